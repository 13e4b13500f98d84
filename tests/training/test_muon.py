"""Muon steps along an orthogonal matrix of known size, and the loop gives it the encoder's matrices alone."""

import pytest
import torch
from small_methods import batch, build
from torch import nn

from jepakit.training import TrainingConfig
from jepakit.training.muon import Muon, orthogonalise
from jepakit.training.optimizer import Optimizer

FINE, BAD = torch.tensor(0.0), torch.tensor(1.0)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_a_matrix_becomes_nearly_orthogonal_in_its_own_directions(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonalise(matrix)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.6 and values.max() < 1.25
    rotated = u.T @ found @ v.T  # diagonal where the directions are kept
    torch.testing.assert_close(rotated, torch.diag(rotated.diagonal()), atol=1e-4, rtol=0.0)
    assert bool((rotated.diagonal() > 0.6).all())


def test_nothing_stays_nothing() -> None:
    assert not orthogonalise(torch.zeros(3, 5)).any()


def test_an_update_is_a_fifth_of_the_learning_rate_whatever_the_gradients_size() -> None:
    for size in (1e-4, 1e4):
        kernel = nn.Parameter(torch.zeros(16, 8, 3, 3))
        kernel.grad = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(1)) * size
        Muon([kernel]).step(learning_rate=0.5, weight_decay=0.1, found_inf=FINE)
        assert float(kernel.detach().square().mean().sqrt()) == pytest.approx(0.2 * 0.5, rel=0.2)
        assert float((kernel.detach() * kernel.grad).sum()) < 0  # downhill


def test_momentum_and_weight_decay_follow_their_formulas() -> None:
    start = torch.randn(4, 6, generator=torch.Generator().manual_seed(2))
    weight = nn.Parameter(start.clone())
    muon = Muon([weight], momentum=0.5)
    expected, buffer = start.clone(), torch.zeros(4, 6)
    for step in range(3):
        gradient = torch.randn(4, 6, generator=torch.Generator().manual_seed(3 + step))
        weight.grad = gradient.clone()
        muon.step(learning_rate=0.1, weight_decay=0.3, found_inf=FINE)
        buffer = 0.5 * buffer + gradient
        expected = expected * (1 - 0.1 * 0.3) - 0.1 * 0.2 * 6**0.5 * orthogonalise(gradient + 0.5 * buffer)
    torch.testing.assert_close(weight.detach(), expected)


def test_a_step_that_was_not_finite_changes_nothing() -> None:
    weight = nn.Parameter(torch.randn(4, 6))
    muon = Muon([weight])
    weight.grad = torch.randn(4, 6)
    muon.step(0.1, 0.1, FINE)
    before, momentum = weight.detach().clone(), muon.buffers[0].clone()
    weight.grad = torch.full((4, 6), torch.nan)
    muon.step(0.1, 0.1, BAD)
    assert torch.equal(weight, before) and torch.equal(muon.buffers[0], momentum)


def test_muon_takes_the_encoders_matrices_and_adamw_the_rest() -> None:
    method = build("ijepa")
    optimizer = Optimizer(
        method.param_groups(),
        TrainingConfig(num_steps=3, optimizer="muon", muon_ratio=2.0, weight_decay=0.0),
        torch.device("cpu"),
    )
    named = dict(method.named_parameters())
    assert optimizer.turned
    assert all(name.startswith("encoder.") and named[name].ndim > 1 for name in optimizer.turned)
    stepped = [p for group in optimizer.adamw.param_groups for p in group["params"]]
    trained = {name for name, p in named.items() if p.requires_grad}
    assert len(stepped) + len(optimizer.turned) == len(trained)
    before = {name: p.detach().clone() for name, p in named.items()}
    output = method(batch(), 0)
    output.loss.backward()
    optimizer.step(0, output.loss, output.terms)
    moved = {name for name, p in named.items() if not torch.equal(p, before[name])}
    assert set(optimizer.turned) <= moved <= trained
    assert not any(name in key for key in optimizer.state() if key.startswith("exp_avg.") for name in optimizer.turned)
