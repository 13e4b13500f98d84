"""Two processes equal one, for every method, with uneven shares: loss and gradients of a step, weights after many."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from small_methods import CONFIGS, batch, build

from jepakit.training import TrainingConfig
from jepakit.training.distributed import wrap
from jepakit.training.optimizer import Optimizer
from jepakit.types import ImageBatch

NUM_STEPS = 20
SHARES = (8, 5)


def share(step: int, rank: int | None) -> ImageBatch:
    """Return a step's batch of 13, or one process's part of it: 8 and 5, as a broken file would leave them."""
    whole = batch(sum(SHARES), start=sum(SHARES) * (step % 2))
    if rank is None:
        return whole
    start = sum(SHARES[:rank])
    return ImageBatch(whole.image[start : start + SHARES[rank]], whole.id[start : start + SHARES[rank]])


def first_step(name: str, rank: int | None) -> dict[str, Any]:
    """Return loss, terms and gradients of one step in float32."""
    method = build(name)
    wrapped = wrap(method)  # must outlive the backward pass: it owns the hooks that average gradients
    output = wrapped(share(0, rank), 0)
    output.loss.backward()
    gradients = {n: p.grad for n, p in method.named_parameters() if p.grad is not None}
    return {"loss": output.loss.detach(), "terms": dict(output.terms), "gradients": gradients}


def many_steps(name: str, rank: int | None) -> dict[str, Any]:
    """Return weights and buffers after many steps in float64."""
    method = build(name).double()
    wrapped = wrap(method)
    config = TrainingConfig(num_steps=NUM_STEPS, learning_rate=1e-3)
    optimizer = Optimizer(method.param_groups(), config, torch.device("cpu"))
    for step in range(NUM_STEPS):
        output = wrapped(share(step, rank), step)
        output.loss.backward()
        optimizer.step(step, output.loss, output.terms)
        method.after_step(step)
    return dict(method.state_dict())


def work(rank: int, folder: str) -> None:
    """Compute both results in one of two processes; the first one saves them."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    results = {name: {"first": first_step(name, rank), "many": many_steps(name, rank)} for name in CONFIGS}
    torch.save(results, f"{folder}/rank{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = tmp_path_factory.mktemp("gloo")
    mp.spawn(work, args=(str(folder),), nprocs=2)
    first, second = (torch.load(Path(folder) / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    return first, second


@pytest.mark.parametrize("name", tuple(CONFIGS))
def test_loss_and_gradients_of_a_step_are_those_of_one_process(name: str, results: tuple[Any, Any]) -> None:
    expected = first_step(name, None)
    for each in results:
        got = each[name]["first"]
        torch.testing.assert_close(got["loss"], expected["loss"], rtol=1e-5, atol=1e-6)
        for term, value in expected["terms"].items():
            torch.testing.assert_close(got["terms"][term], value, rtol=1e-5, atol=1e-6)
        largest = max(float(gradient.norm()) for gradient in expected["gradients"].values())
        for key, gradient in expected["gradients"].items():
            # a bias that the loss cannot feel has a gradient of rounding errors alone: hold it to the largest one
            error = (got["gradients"][key] - gradient).norm() / gradient.norm().clamp(min=1e-2 * largest)
            assert error < 1e-5, f"{key}: {error:.1e}"


@pytest.mark.parametrize("name", tuple(CONFIGS))
def test_weights_after_twenty_steps_are_those_of_one_process(name: str, results: tuple[Any, Any]) -> None:
    expected = many_steps(name, None)
    for each in results:
        for key, value in expected.items():
            torch.testing.assert_close(each[name]["many"][key], value, rtol=0, atol=1e-9, msg=key)
