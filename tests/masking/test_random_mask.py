import pytest
import torch

from jepakit.masking import RandomMask
from jepakit.masking.blocks import covered_tokens
from jepakit.types import UserError


@pytest.mark.parametrize(("num_targets", "m", "k"), [(1, 48, 16), (3, 16, 16), (5, 10, 14)])
def test_hidden_and_shown_make_the_whole(num_targets, m, k):
    hidden = RandomMask(grid=(8, 8), target_fraction=0.75, num_targets=num_targets)(torch.arange(6), 1)
    assert hidden.target_idx.shape == (6, num_targets, m)
    assert hidden.context_idx.shape == (6, k)
    both = torch.cat((hidden.context_idx, hidden.target_idx.flatten(1)), dim=1).sort(dim=1).values
    assert torch.equal(both, torch.arange(64).expand(6, 64))


def test_every_patch_is_hidden_equally_often():
    hidden = RandomMask(grid=(4, 4), target_fraction=0.25, num_targets=2)(torch.arange(40_000), 0)
    for question in range(2):
        rate = covered_tokens(hidden.target_idx[:, question, None], 16).float().mean(dim=0)
        assert (rate - 2 / 16).abs().max() < 0.008  # five standard deviations


@pytest.mark.parametrize("settings", [
    {"target_fraction": 0.001},
    {"target_fraction": 1.0},
    {"target_fraction": 0.1, "num_targets": 50},
    {"num_targets": 0},
])  # fmt: skip
def test_hiding_nothing_or_all_is_refused(settings):
    with pytest.raises(UserError, match="RandomMask"):
        RandomMask(grid=(8, 8), **settings)
