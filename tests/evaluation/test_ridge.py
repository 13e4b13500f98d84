import pytest
import torch

from jepakit.evaluation.ridge import left_out_error, penalty_unit, principal_axes
from jepakit.random import Stream

PENALTIES = torch.tensor([0.1, 3.0, 50.0]).double()


def problem(rows: int, d: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draws = Stream(seed, "test").normal(0, torch.arange(rows), d + 2).double()
    return draws[:, :d] + 1.0, draws[:, d:] + draws[:, :2]


def brute_force_left_out(x: torch.Tensor, y: torch.Tensor, penalty: float, num_copies: int) -> float:
    """Refit without each item in turn, means included in the fit through an unpenalised constant."""
    error = 0.0
    for start in range(0, len(x), num_copies):
        keep = torch.ones(len(x), dtype=torch.bool)
        keep[start : start + num_copies] = False
        centre, mean = x[keep].mean(dim=0), y[keep].mean(dim=0)
        xc = x[keep] - centre
        weight = torch.linalg.solve(xc.T @ xc + penalty * torch.eye(x.shape[1]).double(), xc.T @ (y[keep] - mean))
        error += float((y[~keep] - mean - (x[~keep] - centre) @ weight).square().sum())
    return error


@pytest.mark.parametrize(("rows", "d"), [(24, 5), (12, 30)])
@pytest.mark.parametrize("num_copies", [1, 3])
def test_left_out_error_is_what_refitting_without_each_item_gives(rows, d, num_copies):
    x, y = problem(rows, d)
    values, axes = principal_axes(x - x.mean(dim=0))
    coordinates, targets = (x - x.mean(dim=0)) @ axes, y - y.mean(dim=0)
    moments = coordinates.mT @ targets
    fast = left_out_error(coordinates, targets, moments, values + PENALTIES[:, None], rows, num_copies)
    slow = [brute_force_left_out(x, y, float(p), num_copies) for p in PENALTIES]
    torch.testing.assert_close(fast, torch.tensor(slow).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("rows", "d"), [(24, 5), (12, 30)])
def test_principal_axes_diagonalise_the_scatter(rows, d):
    x, _ = problem(rows, d)
    x = x - x.mean(dim=0)
    values, axes = principal_axes(x)
    assert axes.shape == (d, min(rows, d))
    torch.testing.assert_close((x @ axes).mT @ (x @ axes), torch.diag(values), atol=1e-9, rtol=0)
    torch.testing.assert_close(x @ axes @ axes.mT, x, atol=1e-9, rtol=0)
    assert float(penalty_unit(values, d)) == pytest.approx(float(x.square().sum()) / d)


def test_stacked_problems_are_solved_apart():
    x = torch.stack([problem(10, 4, seed)[0] for seed in range(3)])
    x = x - x.mean(dim=1, keepdim=True)
    together = principal_axes(x)[0]
    torch.testing.assert_close(together, torch.stack([principal_axes(each)[0] for each in x]))
