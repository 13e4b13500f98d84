import pytest
import torch

from jepakit.objectives.distance import DISTANCES, cosine, l1, mse, smooth_l1


def rows(scale: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 5, generator=generator) * scale, torch.randn(6, 5, generator=generator)


def test_closed_forms_by_hand() -> None:
    z_hat, z = torch.tensor([[0.5, 3.0]]), torch.zeros(1, 2)
    assert smooth_l1(z_hat, z).item() == pytest.approx((0.125 + 2.5) / 2)
    assert l1(z_hat, z).item() == pytest.approx(3.5 / 2)
    assert mse(z_hat, z).item() == pytest.approx(9.25 / 2)
    directions = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-3.0, 0.0]])
    assert cosine(directions, torch.tensor([[1.0, 0.0]]).expand(3, 2)).tolist() == pytest.approx([0, 1, 2])


@pytest.mark.parametrize("name", DISTANCES)
def test_every_distance_gives_a_row_its_own_energy_and_is_zero_at_the_target(name: str) -> None:
    distance = DISTANCES[name]
    z_hat, z = rows(3.0)
    energy = distance(z_hat, z)
    assert energy.shape == (6,)
    assert (energy > 0).all()
    assert torch.allclose(energy[2:3], distance(z_hat[2:3], z[2:3]))
    assert torch.allclose(distance(z, z), torch.zeros(6), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("smooth_l1", torch.nn.SmoothL1Loss()), ("l1", torch.nn.L1Loss()), ("mse", torch.nn.MSELoss())],
)
def test_the_mean_over_rows_is_torchs_loss(name: str, theirs: torch.nn.Module) -> None:
    z_hat, z = rows(3.0)
    assert torch.allclose(DISTANCES[name](z_hat, z).mean(), theirs(z_hat, z))


@pytest.mark.parametrize("name", DISTANCES)
def test_gradients(name: str) -> None:
    z_hat, z = rows(3.0)
    assert torch.autograd.gradcheck(DISTANCES[name], (z_hat.double().requires_grad_(), z.double()))


def test_cosine_survives_a_zero_row() -> None:
    z_hat = torch.zeros(1, 4, requires_grad=True)
    cosine(z_hat, torch.ones(1, 4)).sum().backward()
    assert torch.isfinite(z_hat.grad).all()


def test_the_table_names_every_distance() -> None:
    assert dict(DISTANCES) == {"smooth_l1": smooth_l1, "l1": l1, "mse": mse, "cosine": cosine}
