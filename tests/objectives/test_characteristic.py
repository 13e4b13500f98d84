import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from jepakit.objectives import characteristic
from jepakit.objectives.characteristic import characteristic_sums


def textbook(
    z: torch.Tensor, directions: torch.Tensor, spacing: float, num_knots: int
) -> tuple[torch.Tensor, torch.Tensor]:
    angle = torch.einsum("bgd,sd->bgs", z, directions)[..., None] * (spacing * torch.arange(num_knots, dtype=z.dtype))
    return angle.cos().sum(0), angle.sin().sum(0)


def problem(
    b: int, g: int, d: int, num_slices: int, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(b + g)
    z = torch.randn(b, g, d, generator=generator, dtype=torch.float64).to(dtype)
    directions = torch.randn(num_slices, d, generator=generator, dtype=torch.float64).to(dtype)
    return z.requires_grad_(), directions / directions.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("num_knots", [2, 3, 4, 5, 8, 10, 17, 18, 25, 41])
def test_sums_and_gradient_are_the_textbooks_for_any_number_of_knots(num_knots: int) -> None:
    z, directions = problem(9, 2, 4, 5)
    ours, theirs = characteristic_sums(z, directions, 0.3, num_knots), textbook(z, directions, 0.3, num_knots)
    coefficients = torch.randn_like(torch.stack(ours))
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=0, atol=1e-12)
    gradients = [torch.autograd.grad((torch.stack(sums) * coefficients).sum(), z)[0] for sums in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)


def test_gradcheck() -> None:
    z, directions = problem(4, 2, 3, 3)
    assert torch.autograd.gradcheck(lambda z: characteristic_sums(z, directions, 0.4, 6), (z,))


def test_a_second_derivative_is_refused() -> None:
    z, directions = problem(4, 2, 3, 3)
    (grad,) = torch.autograd.grad(characteristic_sums(z, directions, 0.4, 6)[1].square().sum(), z, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@pytest.mark.parametrize(("block_samples", "block_elements"), [(1, 1), (4, 8), (4, 13), (3, 200), (256, 2**16)])
def test_blocks_of_any_size_give_the_same_sums(
    monkeypatch: pytest.MonkeyPatch, block_samples: int, block_elements: int
) -> None:
    monkeypatch.setattr(characteristic, "_BLOCK_SAMPLES", block_samples)
    monkeypatch.setattr(characteristic, "_BLOCK_ELEMENTS", block_elements)
    z, directions = problem(10, 3, 4, 7)
    ours, theirs = (torch.stack(f(z, directions, 0.2, 17)) for f in (characteristic_sums, textbook))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    weights = torch.randn_like(theirs)
    gradients = [torch.autograd.grad((sums * weights).sum(), z)[0] for sums in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)


def test_a_strided_input_and_an_empty_one() -> None:
    z, directions = problem(10, 4, 6, 7)
    view = z.detach()[::2, 1:3].requires_grad_()
    torch.testing.assert_close(characteristic_sums(view, directions, 0.2, 9), textbook(view, directions, 0.2, 9))
    empty = z.detach()[:0].requires_grad_()
    cos, sin = characteristic_sums(empty, directions, 0.2, 9)
    assert cos.abs().sum() + sin.abs().sum() == 0
    assert torch.autograd.grad(cos.sum(), empty)[0].shape == (0, 4, 6)


def test_the_knot_at_zero_counts_the_samples() -> None:
    z, directions = problem(300, 2, 3, 5, torch.float32)
    cos, sin = characteristic_sums(z, directions, 0.2, 17)
    assert (cos[..., 0] == 300).all()
    assert (sin[..., 0] == 0).all()


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_float32_errs_at_most_twice_as_much_as_the_textbook(scale: float) -> None:
    z, directions = problem(1024, 1, 32, 64, torch.float32)
    z = (scale * z.detach()).requires_grad_()
    exact_z = z.detach().double().requires_grad_()
    knots = 3 / 16 * torch.arange(17)
    gaussian = torch.exp(-0.5 * knots.double() ** 2)

    def statistic(cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        error = (cos / 1024 - gaussian.to(cos.dtype)) ** 2 + (sin / 1024) ** 2
        return (error * gaussian.to(cos.dtype)).sum(-1).mean()

    exact = statistic(*textbook(exact_z, directions.double(), 3 / 16, 17))
    exact_grad = torch.autograd.grad(exact, exact_z)[0]
    errors = []
    for sums in (characteristic_sums, textbook):
        value = statistic(*sums(z, directions, 3 / 16, 17))
        grad = torch.autograd.grad(value, z)[0]
        errors.append(((value - exact).abs() / exact, (grad - exact_grad).norm() / exact_grad.norm()))
    (our_value, our_grad), (their_value, their_grad) = errors
    assert our_grad <= 2 * their_grad
    assert our_value <= max(2 * their_value, torch.tensor(1e-7))  # a value may be exact by chance


def test_the_plain_form_for_the_compiler_is_the_same_function() -> None:
    z, directions = problem(6, 2, 4, 3)
    powers = characteristic._Powers.for_knots(17)
    plain, blocked = (
        characteristic._plain_gram(z, directions, powers),
        characteristic._Gram.apply(z, directions, powers),
    )
    torch.testing.assert_close(plain, blocked)
    weights = torch.randn_like(plain)
    gradients = [torch.autograd.grad((gram * weights).sum(), z)[0] for gram in (plain, blocked)]
    torch.testing.assert_close(*gradients)


def test_seventeen_knots_need_five_powers() -> None:
    powers = characteristic._Powers.for_knots(17)
    assert powers.inner + powers.outer == 5
    for num_knots in range(2, 60):
        powers = characteristic._Powers.for_knots(num_knots)
        assert powers.inner + powers.outer * powers.stride >= num_knots - 1


class Largest(TorchDispatchMode):
    """Record the number of elements of the largest tensor that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.untyped_storage().nbytes() // 4 for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.numel = max([self.numel, *sizes])
        return result


def test_no_tensor_of_samples_by_slices_by_knots_is_made() -> None:
    b, num_slices, num_knots = 1024, 1024, 17
    z, directions = problem(b, 1, 8, num_slices, torch.float32)
    with Largest() as largest:
        cos, sin = characteristic_sums(z, directions, 3 / 16, num_knots)
        (cos.sum() + sin.sum()).backward()
    assert 0 < largest.numel < b * num_slices * num_knots / 16
