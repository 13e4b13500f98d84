"""The paired difference of two shares covers as often as it says, and has a width even where all agree."""

import pytest
import torch

from jepakit.evaluation.intervals import wilson
from jepakit.evaluation.paired_shares import paired_shares
from jepakit.types import UserError


def shares(both: int, only_ours: int, only_theirs: int, neither: int) -> tuple[torch.Tensor, torch.Tensor]:
    counts = torch.tensor([both, only_ours, only_theirs, neither])
    return (
        torch.tensor([True, True, False, False]).repeat_interleave(counts),
        torch.tensor([True, False, True, False]).repeat_interleave(counts),
    )


def test_it_is_made_of_both_wilson_intervals() -> None:
    sure = paired_shares(*shares(0, 10, 0, 0))  # no margin varies, so they cannot go together
    one, none = wilson(10, 10), wilson(0, 10)
    assert sure.value == sure.high == 1.0
    assert sure.low == pytest.approx(1.0 - ((1 - one.low) ** 2 + none.high**2) ** 0.5)
    a, b, c, d = 20, 12, 3, 15
    phi = (a * d - b * c - 25) / ((a + b) * (c + d) * (a + c) * (b + d)) ** 0.5
    p, q = wilson(32, 50), wilson(23, 50)
    difference = paired_shares(*shares(a, b, c, d))
    assert difference.value == pytest.approx(0.18)
    lower, upper = p.value - p.low, q.high - q.value
    assert difference.low == pytest.approx(0.18 - (lower**2 - 2 * phi * lower * upper + upper**2) ** 0.5)
    assert (difference.n, difference.varies) == (50, "test items")


def test_turned_round_it_is_its_own_mirror_and_pairs_that_agree_make_it_narrow() -> None:
    one, other = shares(20, 12, 3, 15)
    there, back = paired_shares(one, other), paired_shares(other, one)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    same = paired_shares(one, one)
    apart = paired_shares(one, one[torch.randperm(50)])
    assert 0 < same.high - same.low < apart.high - apart.low


def test_it_covers_the_true_difference() -> None:
    n, trials, covered = 40, 400, 0
    for _ in range(trials):
        luck = torch.rand(n)
        ours = luck < 0.6
        theirs = torch.where(torch.rand(n) < 0.5, luck, torch.rand(n)) < 0.4
        difference = paired_shares(ours, theirs)
        covered += difference.low <= 0.2 <= difference.high
    assert 0.91 < covered / trials <= 1.0


def test_items_must_be_the_same() -> None:
    with pytest.raises(UserError, match="got 2 and 3"):
        paired_shares(torch.ones(2, dtype=torch.bool), torch.ones(3, dtype=torch.bool))
    with pytest.raises(UserError, match="got 0 and 0"):
        paired_shares(torch.ones(0, dtype=torch.bool), torch.ones(0, dtype=torch.bool))
