import pytest
import torch

from jepakit.objectives import Scale, scale
from jepakit.random import Stream


def test_value_and_gradient_are_the_papers_averaged_over_groups() -> None:
    z = Stream(0, "z").normal(0, torch.arange(20), 12).reshape(20, 2, 6).double()
    z = (z * torch.linspace(0.2, 2, 6) + 3).requires_grad_()
    value, expected = Scale()(z, 0), (1 - z.std(dim=0, correction=0)).square().mean()
    torch.testing.assert_close(value, expected)
    gradients = [torch.autograd.grad(loss, z)[0] for loss in (value, expected)]
    torch.testing.assert_close(*gradients)
    assert torch.autograd.gradcheck(scale, (z,))


def test_closed_forms() -> None:
    signs = torch.tensor([1.0, -1, 1, -1])[:, None, None]
    assert scale(signs).item() == pytest.approx(0, abs=1e-6)
    assert scale(3 * signs + 5).item() == pytest.approx(4, abs=1e-5)
    assert scale(torch.full((4, 1, 2), 7.0)).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("std", [0.3, 1e-2, 1e-4])
def test_gradient_keeps_its_size_near_collapse(std: float) -> None:
    z = (std * torch.tensor([1.0, -1, 1, -1])[:, None, None]).requires_grad_()
    scale(z).backward()
    assert z.grad.abs().flatten().tolist() == pytest.approx([2 * (1 - std) / 4] * 4, rel=1e-3)


def test_a_complete_collapse_has_a_finite_gradient() -> None:
    z = torch.zeros(4, 1, 2, requires_grad=True)
    scale(z).backward()
    assert torch.equal(z.grad, torch.zeros(4, 1, 2))
