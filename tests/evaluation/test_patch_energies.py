"""Energies of patches stand at the place that was asked about."""

from types import SimpleNamespace

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.evaluation.patch_energies import along, grid_of_patches, patch_energies
from jepakit.jepa import Objective
from jepakit.objectives import DISTANCES
from jepakit.types import Hidden, Prediction, UserError

GRID, DIM = (2, 4), 3
KINDS = ("moment", "row")


class Copies(nn.Module):
    """Predict of each hidden patch the mean of those that are seen; a token is what its patch holds."""

    encoder = SimpleNamespace(grid=GRID)
    objective = Objective(DISTANCES["mse"])

    def target(self, x: Float[Tensor, "b c h w"]) -> Tensor:
        return x.flatten(2).transpose(1, 2)

    def answers(self, x: Tensor, hidden: Hidden, tokens: Tensor, step: int = 0) -> Prediction:
        seen = tokens.gather(1, hidden.context_idx[..., None].expand(-1, -1, DIM)).mean(dim=1)
        asked = tokens.gather(1, hidden.target_idx[:, 0, :, None].expand(-1, -1, DIM))
        num = asked.shape[1]
        rows = len(x) * num
        return Prediction(
            z_hat=seen.repeat_interleave(num, dim=0),
            z=asked.flatten(0, 1),
            weight=torch.ones(rows),
            sample=torch.arange(len(x)).repeat_interleave(num),
            group=hidden.target_idx.flatten(),
        )


def drawn(num: int, seed: int = 0) -> Tensor:
    return torch.randn(num, DIM, *GRID, generator=torch.Generator().manual_seed(seed))


def test_energy_stands_at_the_place_and_kind_that_was_asked() -> None:
    x = drawn(5)
    found, size = patch_energies(Copies(), x, KINDS, at_once=2)
    others = torch.ones(4, dtype=torch.bool)
    others[1] = False
    by_moment = (x[:, :, :, others].mean(dim=(2, 3)) - x[:, :, 0, 1]).square().mean(dim=1)
    by_row = (x[:, :, 1].mean(dim=2) - x[:, :, 0, 1]).square().mean(dim=1)
    torch.testing.assert_close(found[:, 0, 0, 1], by_moment)
    torch.testing.assert_close(found[:, 1, 0, 1], by_row)
    assert found.shape == (5, 2, *GRID)
    torch.testing.assert_close(size, x.square().mean(dim=1))


def test_windows_are_put_together_by_their_mean_over_what_they_say() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0], [10.0, torch.nan, 30.0]])[:, None, None]
    found, count = (part[0, 0] for part in along(values, torch.tensor([0, 1]), 5))
    assert found[:4].tolist() == [1.0, 6.0, 3.0, 30.0]
    assert bool(found[4].isnan())
    assert count.tolist() == [1.0, 2.0, 1.0, 1.0, 0.0]


def test_what_cannot_be_asked_is_said() -> None:
    with pytest.raises(UserError, match="hides no patches"):
        grid_of_patches(nn.Linear(2, 2))
