"""Training resumes bit for bit, keeps non-finite steps from the weights, and saves before it leaves."""

import json
import math
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_methods import batch, build

from jepakit.storage import Run
from jepakit.training import NonFiniteError, Trainer, TrainingConfig
from jepakit.training.monitor import Monitor
from jepakit.training.optimizer import Optimizer
from jepakit.training.progress import Silent
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


def test_a_resumed_run_measures_health_when_it_is_due_and_not_when_it_resumes(tmp_path: Path) -> None:
    config = replace(CONFIG, health_every=2)

    def interrupted(step: int) -> Iterator[tuple[int, ImageBatch]]:
        for number, images in batches(step):
            if number == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            yield number, images

    for source, step in ((interrupted, 3), (batches, CONFIG.num_steps), (batches, CONFIG.num_steps)):
        monitor = Monitor(torch.randn(32, 3, 16, 16))
        assert Trainer(build("ijepa"), config, Run(tmp_path), source, monitor=monitor).fit().step == step
    assert [row["step"] for row in Run(tmp_path).metrics("health")] == [0, 2, 4, 6]


class Poisoned(torch.nn.Module):
    """A method whose loss becomes NaN at one step, for the batch that begins with a given image or for any."""

    def __init__(self, bad_step: int, name: str = "pixels", first_id: int | None = None) -> None:
        super().__init__()
        self.inner = build(name)
        self.bad_step = bad_step
        self.first_id = first_id

    def forward(self, images: ImageBatch, step: int) -> StepOutput:
        output = self.inner(images, step)
        if step != self.bad_step or self.first_id not in (None, int(images.id[0])):
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


def test_the_ids_of_a_step_that_was_not_finite_are_its_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Step 2"):
        Trainer(Poisoned(bad_step=2), CONFIG, Run(tmp_path), batches).fit()
    noted = json.loads((tmp_path / "artifacts/non-finite-0.json").read_text())
    assert noted["ids"] == list(range(24, 36))  # of step 2; step 3, which notices, has 0 to 11


def test_a_method_that_met_a_step_that_was_not_finite_goes_back_to_the_last_checkpoint(tmp_path: Path) -> None:
    method = Poisoned(bad_step=3, name="ijepa")
    config = replace(CONFIG, log_every=3, save_every_s=0.0)
    with pytest.raises(NonFiniteError, match=r"the checkpoint of step 3 is sound\. .* with a new --out"):
        Trainer(method, config, Run(tmp_path), batches).fit()
    saved = weights(tmp_path)
    for key, value in method.state_dict().items():  # the moving average too, which no flag on the device stops
        assert torch.equal(value, saved[f"model.{key}"]), key


def test_a_step_that_was_not_finite_before_any_checkpoint_claims_none(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=r"no checkpoint was saved before it\."):
        Trainer(Poisoned(bad_step=1), CONFIG, Run(tmp_path), batches).fit()
    assert Run(tmp_path).load_checkpoint() is None


@pytest.mark.parametrize("first_id", [0, 6])
def test_a_part_that_was_not_finite_is_named_wherever_it_stands(first_id: int, tmp_path: Path) -> None:
    method = Poisoned(bad_step=0, first_id=first_id)
    with pytest.raises(UserError, match=r"Step 0 was not finite \(term prediction, gradient_norm\)"):
        Trainer(method, replace(CONFIG, accumulation=2), Run(tmp_path), batches).fit()


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


class Told(Silent):
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.sentences: list[str] = []

    def update(self, row: Any, num_steps: int) -> None:
        self.rows.append(dict(row))

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def test_loss_and_terms_of_a_cut_batch_are_the_means_over_its_parts(tmp_path: Path) -> None:
    config = replace(CONFIG, num_steps=1, warmup_steps=0, accumulation=3)
    fit("vicreg", tmp_path, config)
    images, method = batch(12), build("vicreg", num_steps=1)
    shares = zip(images.image.split(4), images.id.split(4), strict=True)
    outputs = [method(ImageBatch(image, ids), 0) for image, ids in shares]
    row = Run(tmp_path).metrics("train")[0]
    assert row["loss"] == pytest.approx(sum(float(output.loss.detach()) for output in outputs) / 3, rel=1e-5)
    for name in outputs[0].terms:
        mean = sum(float(output.terms[name]) for output in outputs) / 3
        assert row[f"term/{name}"] == pytest.approx(mean, rel=1e-4, abs=1e-6), name
    energies = torch.cat([output.energy for output in outputs])
    assert row["energy"] == pytest.approx(float(energies.detach().nanmean()), rel=1e-4)


def test_a_run_says_once_that_statistics_are_those_of_a_part(tmp_path: Path) -> None:
    for parts, num_sentences in ((2, 1), (1, 0)):
        told = Told()
        run = Run(tmp_path / str(parts))
        Trainer(build("pixels"), replace(CONFIG, accumulation=parts), run, batches, progress=told).fit()
        assert sum("those of a part of 6" in sentence for sentence in told.sentences) == num_sentences
    told = Told()
    Trainer(build("pixels"), replace(CONFIG, accumulation=2), Run(tmp_path / "2"), batches, progress=told).fit()
    assert not any("those of a part" in sentence for sentence in told.sentences)  # nothing is left to train


def test_clipping_bounds_the_update(tmp_path: Path) -> None:
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


class Judged(Monitor):
    """A monitor whose verdict is healthy up to a step and a collapse after it."""

    def __init__(self, healthy_until: int) -> None:
        super().__init__(torch.randn(32, 3, 16, 16))
        self.healthy_until = healthy_until

    def measure(self, method: Any, step: int, reference: Any = None) -> Any:
        report = super().measure(method, step, reference)
        is_healthy = step <= self.healthy_until
        kind: Any = "healthy" if is_healthy else "total"
        return replace(report, verdict=replace(report.verdict, kind=kind, healthy=is_healthy))


@pytest.mark.parametrize(("healthy_until", "kept"), [(6, 6), (2, 2), (0, None)])
def test_the_healthy_checkpoint_is_the_last_whose_verdict_was_no_collapse(
    healthy_until: int, kept: int | None, tmp_path: Path
) -> None:
    config = replace(CONFIG, health_every=2)
    Trainer(build("ijepa"), config, Run(tmp_path), batches, monitor=Judged(healthy_until)).fit()
    state = Run(tmp_path).checkpoint_state("healthy")
    assert (state and state["step"]) == kept
    last = Run(tmp_path).checkpoint_state("last")
    assert last is not None and last["step"] == 6


def test_the_last_verdict_goes_with_every_row_also_after_a_resume(tmp_path: Path) -> None:
    config = replace(CONFIG, health_every=2, log_every=1)
    told, again = Told(), Told()
    run, monitor = Run(tmp_path), Judged(healthy_until=2)
    Trainer(build("ijepa"), config, run, limited(5), monitor=monitor, progress=told).fit()
    assert [row["health"] for row in told.rows] == ["", "", "healthy", "healthy", "total"]
    Trainer(build("ijepa"), config, run, batches, monitor=monitor, progress=again).fit()
    assert [(row["step"], row["health"]) for row in again.rows] == [(5, "total"), (6, "total")]


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_products_are_computed_in_the_precision_asked_for(precision: Any, dtype: torch.dtype, tmp_path: Path) -> None:
    method, seen = build("pixels"), set()
    layer = next(module for module in method.encoder.modules() if isinstance(module, torch.nn.Linear))
    layer.register_forward_hook(lambda module, args, output: seen.add(output.dtype))
    Trainer(method, replace(CONFIG, num_steps=2, precision=precision), Run(tmp_path), batches).fit()
    assert seen == {dtype}
    assert {parameter.dtype for parameter in method.parameters()} == {torch.float32}


def test_the_schedule_reaches_the_optimizer(tmp_path: Path) -> None:
    config = replace(CONFIG, schedule="wsd", decay_steps=2, log_every=1)
    trainer = Trainer(build("pixels"), config, Run(tmp_path), batches)
    seen: list[float] = []
    step = trainer.optimizer.adamw.step
    trainer.optimizer.adamw.step = lambda: (  # type: ignore[method-assign]
        seen.append(trainer.optimizer.adamw.param_groups[0]["lr"]),
        step(),
    )[1]
    trainer.fit()
    assert seen == pytest.approx([5e-3, 1e-2, 1e-2, 1e-2, 5e-3, 0.0])
    assert [row["learning_rate"] for row in Run(tmp_path).metrics("train")] == pytest.approx(seen)


def test_two_runs_cannot_share_a_directory_with_other_settings(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.claim({"training": {"num_steps": 3}})
    with pytest.raises(UserError, match=r"training.num_steps: 3 -> 4"):
        run.claim({"training": {"num_steps": 4}})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1"),
        (
            {"num_steps": 20, "warmup_steps": 70},
            "warmup_steps 70 + decay_steps 0 exceed num_steps 20; lower them with --training.warmup-steps.",
        ),
        ({"num_steps": 5, "warmup_steps": 3, "decay_steps": 3}, "--training.warmup-steps and --training.decay-steps."),
        ({"num_steps": 5, "batch_size": 6, "accumulation": 4}, "fewer than 2 images a part"),
        ({"clip_norm": -1.0}, "clip_norm must be above 0, or None, which clips nothing, got -1.0."),
        ({"clip_norm": 0.0}, "clip_norm must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay must be at least 0 and finite, got -1.0."),
        ({"final_weight_decay": -1.0}, "final_weight_decay must be at least 0 and finite, or None, got -1.0."),
        ({"health_every": -3}, "health_every must be at least 0, got -3."),
        ({"num_workers": -1}, "num_workers must be at least 0, got -1."),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0"),
        ({"save_every_s": math.nan}, "save_every_s must be at least 0"),
        ({"betas": (0.9, 1.5)}, "betas must be two numbers from 0 to below 1, got (0.9, 1.5)."),
        ({"learning_rate": -1.0}, "learning_rate must be above 0 and finite, got -1.0."),
        ({"learning_rate": math.nan}, "learning_rate must be above 0 and finite, got nan."),
        ({"final_learning_rate": -1.0}, "final_learning_rate must be at least 0"),
        ({"muon_ratio": 0.0}, "muon_ratio must be above 0"),
        (
            {"schedule": "wsd"},
            "schedule wsd needs decay_steps of at least 1, got 0; set it with --training.decay-steps",
        ),
    ],
)
def test_settings_that_cannot_train_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        TrainingConfig(**({"num_steps": 10} | settings))


def test_metrics_hold_throughput_terms_and_schedule(tmp_path: Path) -> None:
    fit("ijepa_sigreg", tmp_path)
    rows = Run(tmp_path).metrics("train")
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert {"loss", "term/prediction", "term/sigreg", "learning_rate", "images_per_s", "seconds"} <= rows[-1].keys()
