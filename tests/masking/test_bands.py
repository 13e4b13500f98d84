import pytest
import torch

from jepakit.masking import BandMask
from jepakit.masking.blocks import covered_tokens
from jepakit.types import UserError

IDS = torch.arange(200)


@pytest.mark.parametrize(("along", "num_targets"), [("time", 1), ("time", 3), ("rows", 1), ("rows", 2)])
def test_bands_are_whole_adjacent_and_the_rest_is_shown(along, num_targets):
    grid = (6, 9)
    hidden = BandMask(grid=grid, along=along, target_fraction=0.5, num_targets=num_targets)(IDS, 2)
    assert hidden.target_idx.shape[:2] == (200, num_targets)
    both = torch.cat((hidden.context_idx, hidden.target_idx.flatten(1)), dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(54).expand(200, 54)), "each patch is hidden or shown, once"
    for question in range(num_targets):
        covered = covered_tokens(hidden.target_idx[:, question, None], 54).view(200, *grid)
        lines = covered if along == "time" else covered.mT
        assert torch.equal(lines, lines[:, :1].expand_as(lines)), "all along the other axis"
        inside = lines[:, 0].long()
        assert bool((inside.diff(dim=1).abs().sum(dim=1) <= 2).all()), "one band"


def test_bands_lie_one_in_each_part_and_anywhere_in_it():
    hidden = BandMask(grid=(1, 12), target_fraction=0.5, num_targets=2)(torch.arange(4000), 0)
    first = hidden.target_idx[:, :, 0]
    for question, part in enumerate((0, 6)):
        counts = torch.bincount(first[:, question] - part, minlength=4)
        assert len(counts) == 4 and float((counts / 4000 - 0.25).abs().max()) < 0.035  # five standard deviations
    assert abs(float(torch.corrcoef(first.T.float())[0, 1])) < 0.08


def test_draws_depend_on_sample_step_and_seed():
    mask = BandMask(grid=(2, 12), target_fraction=0.25)
    whole, part = mask(IDS, 1), mask(IDS[50:60], 1)
    assert torch.equal(whole.target_idx[50:60], part.target_idx)
    assert torch.equal(whole.context_idx[50:60], part.context_idx)
    assert not torch.equal(whole.target_idx, mask(IDS, 2).target_idx)
    assert not torch.equal(whole.target_idx, BandMask(grid=(2, 12), target_fraction=0.25, seed=1)(IDS, 1).target_idx)


@pytest.mark.parametrize("settings", [
    {"target_fraction": 0.01}, {"target_fraction": 1.0}, {"num_targets": 0}, {"num_targets": 9},
    {"along": "rows", "target_fraction": 0.1},
])  # fmt: skip
def test_hiding_nothing_or_all_is_refused(settings):
    with pytest.raises(UserError, match="BandMask"):
        BandMask(grid=(2, 8), **settings)
