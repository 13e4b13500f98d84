import pytest
import torch

from jepakit.objectives import Covariance, Variance, covariance, variance
from jepakit.random import Stream
from jepakit.types import UserError


def normal(b: int, g: int, d: int) -> torch.Tensor:
    return Stream(0, "z").normal(0, torch.arange(b), g * d).reshape(b, g, d).double()


def paper_variance(view: torch.Tensor) -> torch.Tensor:
    """Equations 1 and 2 for one view (n, d): gamma = 1, epsilon = 1e-4."""
    std = torch.sqrt(view.var(dim=0) + 1e-4)
    return torch.clamp(1 - std, min=0).sum() / view.shape[1]


def paper_covariance(view: torch.Tensor) -> torch.Tensor:
    """Equations 3 and 4 for one view (n, d)."""
    matrix = torch.cov(view.T)
    total = (matrix**2).sum() - (matrix.diagonal() ** 2).sum()
    return total / view.shape[1]


@pytest.mark.parametrize(
    ("ours", "theirs"), [(Variance(), paper_variance), (Covariance(), paper_covariance)], ids=["variance", "covariance"]
)
def test_value_and_gradient_are_the_papers_averaged_over_groups(ours, theirs) -> None:
    z = (normal(20, 2, 6) * torch.linspace(0.2, 2, 6) + 3).requires_grad_()
    value, expected = ours(z, 0), (theirs(z[:, 0]) + theirs(z[:, 1])) / 2
    torch.testing.assert_close(value, expected)
    gradients = [torch.autograd.grad(loss, z)[0] for loss in (value, expected)]
    torch.testing.assert_close(*gradients)
    assert torch.autograd.gradcheck(lambda z: ours(z, 0), (z,))


def test_closed_forms() -> None:
    collapsed = torch.ones(8, 2, 4)
    assert variance(collapsed).item() == pytest.approx(1 - 0.01, abs=1e-6)
    assert covariance(collapsed) == 0
    line = torch.arange(5.0)[:, None, None].expand(5, 1, 3)  # three equal columns of variance 2.5
    assert covariance(line).item() == pytest.approx(6 * 2.5**2 / 3)
    assert variance(line) == 0
    assert variance(line, target_std=2.0, epsilon=1.5).item() == pytest.approx(0)
    assert variance(line, target_std=3.0, epsilon=1.5).item() == pytest.approx(1)
    signs = torch.tensor([[1.0, 1.0], [1, -1], [-1, 1], [-1, -1]])[:, None]
    assert covariance(signs).item() == pytest.approx(0)


def test_groups_are_measured_apart() -> None:
    positional = normal(1, 50, 4).expand(8, 50, 4)
    assert variance(positional) > 0.9
    assert variance(positional.reshape(-1, 1, 4)) < 0.2


def test_half_precision_is_computed_in_float32() -> None:
    z = (normal(64, 1, 8) * 0.1 + 20).bfloat16()
    for term in (variance, covariance):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = term(z)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value.double(), term(z.double()), rtol=1e-4, atol=1e-6)


def test_refusals() -> None:
    with pytest.raises(UserError, match="at least 2 samples in a batch, got 1"):
        variance(torch.zeros(1, 1, 4))
    with pytest.raises(UserError, match="at least 2 samples in a batch, got 1"):
        covariance(torch.zeros(1, 1, 4))
    with pytest.raises(UserError, match="target_std"):
        Variance(target_std=0.0)
