import pytest
import torch

from jepakit.masking import FutureMask
from jepakit.types import UserError

IDS = torch.arange(5)


def test_the_past_is_shown_and_each_horizon_is_a_question():
    hidden = FutureMask(grid=(2, 8), horizons=(1, 4), seen=(0.5, 0.5))(IDS, 0)
    assert hidden.context_idx[0].tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert hidden.target_idx[0].tolist() == [[4, 12], [7, 15]]
    assert torch.equal(hidden.target_idx, hidden.target_idx[:1].expand_as(hidden.target_idx)), "one moment for all"


def test_nothing_asked_about_is_shown_whenever_the_present_is():
    mask = FutureMask(grid=(3, 12), horizons=(1, 3, 5), seen=(0.1, 1.0))
    presents = set()
    for step in range(60):
        hidden = mask(IDS, step)
        columns = hidden.target_idx[0] % 12
        present = int((hidden.context_idx[0] % 12).max()) + 1
        assert torch.equal(columns, columns[:, :1].expand_as(columns))
        assert (columns[:, 0] - present + 1).tolist() == [1, 3, 5]
        presents.add(present)
    assert presents == set(range(1, 8)), "as late as the farthest horizon allows"


def test_of_clips_the_first_axis_is_time() -> None:
    hidden = FutureMask(grid=(4, 2, 3), horizons=(1, 2), seen=(0.5, 0.5))(torch.arange(2), 0)
    assert hidden.context_idx[1].tolist() == list(range(12))
    assert hidden.target_idx[0].tolist() == [list(range(12, 18)), list(range(18, 24))]


def test_steps_and_seeds_differ():
    mask, other = (FutureMask(grid=(1, 40), horizons=(1,), seed=seed) for seed in (0, 1))
    ends = [[m(IDS, step).context_idx.shape[1] for step in range(10)] for m in (mask, other)]
    assert len(set(ends[0])) > 3
    assert ends[0] != ends[1]


@pytest.mark.parametrize("settings", [
    {"horizons": ()}, {"horizons": (0,)}, {"horizons": (8,)}, {"seen": (0.0, 0.5)}, {"seen": (0.8, 0.5)},
    {"seen": (0.5, 1.1)},
])  # fmt: skip
def test_horizons_and_shares_that_cannot_be_are_refused(settings):
    with pytest.raises(UserError, match="FutureMask"):
        FutureMask(grid=(2, 8), **settings)
