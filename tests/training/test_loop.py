"""Training resumes bit for bit, keeps non-finite steps from the weights, and saves before it leaves."""

import math
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_methods import batch, build

from jepakit.storage import Run
from jepakit.training import Trainer, TrainingConfig
from jepakit.training.monitor import Monitor
from jepakit.types import ImageBatch, StepOutput, UserError

CONFIG = TrainingConfig(
    num_steps=6, batch_size=12, learning_rate=1e-2, warmup_steps=2, precision="fp32", log_every=2, save_every_s=math.inf
)


def batches(step: int) -> Iterator[tuple[int, ImageBatch]]:
    while True:
        yield step, batch(12, start=12 * (step % 3))
        step += 1


def weights(run: Path) -> dict[str, Any]:
    saved = Run(run).load_checkpoint()
    assert saved is not None
    return saved[0]


def fit(name: str, path: Path, config: TrainingConfig = CONFIG, source: Any = batches) -> Any:
    method = build(name, num_steps=config.num_steps)
    return Trainer(method, config, Run(path), source).fit(), method


@pytest.mark.parametrize(
    ("name", "optimizer"), [("ijepa", "adamw"), ("lejepa", "adamw"), ("transform_jepa", "adamw"), ("ijepa", "muon")]
)
def test_a_resumed_run_equals_the_undisturbed_one_bit_for_bit(name: str, optimizer: Any, tmp_path: Path) -> None:
    config = replace(CONFIG, optimizer=optimizer)
    fit(name, tmp_path / "whole", config)
    stop_after = 4

    def interrupted(step: int) -> Iterator[tuple[int, ImageBatch]]:
        for number, images in batches(step):
            if number == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)
            yield number, images

    result, _ = fit(name, tmp_path / "parts", config, interrupted)
    assert result.interrupted_by == signal.SIGTERM
    assert result.step == stop_after + 1
    result, _ = fit(name, tmp_path / "parts", config)
    assert result.step == CONFIG.num_steps and result.interrupted_by is None
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    differing = [key for key in whole if not torch.equal(whole[key], parts[key])]
    assert not differing


def test_a_finished_run_does_nothing_twice(tmp_path: Path) -> None:
    fit("pixels", tmp_path)
    before = tmp_path.joinpath("checkpoints/last/checkpoint.safetensors").stat().st_mtime_ns
    result, _ = fit("pixels", tmp_path)
    assert result.step == CONFIG.num_steps
    assert tmp_path.joinpath("checkpoints/last/checkpoint.safetensors").stat().st_mtime_ns == before


class Poisoned(torch.nn.Module):
    """A method whose loss becomes NaN at one step."""

    def __init__(self, bad_step: int) -> None:
        super().__init__()
        self.inner = build("pixels")
        self.bad_step = bad_step

    def forward(self, images: ImageBatch, step: int) -> StepOutput:
        output = self.inner(images, step)
        if step != self.bad_step:
            return output
        poison = output.loss * math.nan
        return StepOutput(poison, dict(output.terms) | {"prediction": poison.detach()}, output.energy)

    def param_groups(self) -> Any:
        return self.inner.param_groups()

    def after_step(self, step: int) -> None:
        self.inner.after_step(step)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_non_finite_loss_never_reaches_the_weights_and_is_named(optimizer: Any, tmp_path: Path) -> None:
    config = replace(CONFIG, optimizer=optimizer)
    clean = Poisoned(bad_step=-1)
    Trainer(clean, replace(config, log_every=1), Run(tmp_path / "clean"), limited(2)).fit()
    poisoned = Poisoned(bad_step=2)
    with pytest.raises(UserError, match=r"Step 2 was not finite \(term prediction, gradient_norm\)"):
        Trainer(poisoned, config, Run(tmp_path / "bad"), batches).fit()
    for key, value in clean.state_dict().items():
        assert torch.equal(value, poisoned.state_dict()[key]), key
    assert (tmp_path / "bad/artifacts/non-finite-0.json").exists()


def limited(num_steps: int) -> Any:
    """Batches of the first steps only."""

    def first(step: int) -> Iterator[tuple[int, ImageBatch]]:
        for number, images in batches(step):
            if number == num_steps:
                return
            yield number, images

    return first


def test_accumulated_parts_average_their_gradients(tmp_path: Path) -> None:
    config = replace(CONFIG, num_steps=2, warmup_steps=0)
    halves = replace(config, accumulation=2)
    _, whole = fit("pixels", tmp_path / "whole", config)
    _, parts = fit("pixels", tmp_path / "parts", halves)
    # the pixel method has no statistics over the batch, so cutting it changes rounding alone
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(value, parts.state_dict()[key], rtol=1e-3, atol=1e-4)


def test_clipping_bounds_the_update(tmp_path: Path) -> None:
    from jepakit.training.optimizer import Optimizer

    method = build("pixels")
    optimizer = Optimizer(method.param_groups(), TrainingConfig(num_steps=4, clip_norm=1e-3), torch.device("cpu"))
    output = method(batch(), 0)
    (output.loss * 100).backward()
    parameters = [p for p in method.parameters() if p.grad is not None]
    seen: list[float] = []
    step = optimizer.adamw.step
    norm_of = torch.nn.utils.get_total_norm
    optimizer.adamw.step = lambda: (
        seen.append(float(norm_of([p.grad for p in parameters if p.grad is not None]))),
        step(),
    )[1]  # type: ignore[method-assign]
    norm = optimizer.step(0, output.loss, output.terms)
    assert float(norm) > 1e-3
    assert seen[0] == pytest.approx(1e-3, rel=1e-3)


def test_weight_decay_spares_vectors_and_follows_its_schedule() -> None:
    from jepakit.training.optimizer import Optimizer

    config = TrainingConfig(num_steps=10, weight_decay=0.04, final_weight_decay=0.4)
    method = build("pixels")
    optimizer = Optimizer(method.param_groups(), config, torch.device("cpu"))
    output = method(batch(), 0)
    output.loss.backward()
    optimizer.step(9, output.loss, output.terms)
    decays = [group["weight_decay"] for group in optimizer.adamw.param_groups]
    assert decays == [pytest.approx(0.4), 0.0]


def test_health_is_measured_logged_and_marks_the_healthy_checkpoint(tmp_path: Path) -> None:
    method = build("ijepa", num_steps=6)
    config = replace(CONFIG, health_every=2)
    monitor = Monitor(torch.randn(32, 3, 16, 16))
    Trainer(method, config, Run(tmp_path), batches, monitor=monitor).fit()
    rows = Run(tmp_path).metrics("health")
    assert [row["step"] for row in rows] == [0, 2, 4, 6]
    assert {"encoder", "target"} <= rows[0]["spaces"].keys()
    assert method.training


def test_two_runs_cannot_share_a_directory_with_other_settings(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.claim({"training": {"num_steps": 3}})
    with pytest.raises(UserError, match=r"training.num_steps: 3 -> 4"):
        run.claim({"training": {"num_steps": 4}})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1"),
        ({"num_steps": 5, "warmup_steps": 6}, "exceed num_steps"),
        ({"num_steps": 5, "batch_size": 6, "accumulation": 4}, "fewer than 2 images a part"),
    ],
)
def test_settings_that_cannot_train_are_refused(settings: dict[str, int], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        TrainingConfig(**settings)  # type: ignore[arg-type]


def test_metrics_hold_throughput_terms_and_schedule(tmp_path: Path) -> None:
    fit("ijepa_sigreg", tmp_path)
    rows = Run(tmp_path).metrics("train")
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert {"loss", "term/prediction", "term/sigreg", "learning_rate", "images_per_s", "seconds"} <= rows[-1].keys()
