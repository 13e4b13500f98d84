"""Tails and limits agree, and give the rate that is asked for on what is exchangeable."""

import pytest
import torch

from jepakit.evaluation.tails import finest_rate, limit, require_rate, tail
from jepakit.types import UserError

ORDINARY = torch.arange(1.0, 100.0)


def test_a_tail_counts_the_score_itself() -> None:
    assert tail(ORDINARY, torch.tensor([0.0, 50.0, 99.0, 1000.0])).tolist() == pytest.approx([1.0, 0.51, 0.02, 0.01])
    assert finest_rate(99) == 0.01


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.5])
def test_what_exceeds_the_limit_has_a_tail_within_the_rate(rate: float) -> None:
    score = torch.linspace(0.5, 101.0, 300)
    assert torch.equal(score > limit(ORDINARY, rate), tail(ORDINARY, score) <= rate + 1e-7)


def test_limits_are_taken_column_by_column() -> None:
    both = limit(torch.stack((ORDINARY, 2 * ORDINARY), dim=1), 0.05)
    assert both.tolist() == [float(limit(ORDINARY, 0.05)), 2 * float(limit(ORDINARY, 0.05))]


def test_exchangeable_scores_raise_as_many_alarms_as_asked() -> None:
    drawn = torch.randn(200, 400, generator=torch.Generator().manual_seed(0))
    share = [float((tail(row[:199].sort().values, row[199:]) <= 0.05).float().mean()) for row in drawn]
    assert 0.035 < sum(share) / len(share) < 0.065


@pytest.mark.parametrize(("rate", "sentence"), [(0.0, "between 0 and 1"), (0.001, "down to 0.01, not 0.001")])
def test_a_rate_that_cannot_be_told_is_refused(rate: float, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        require_rate(rate, 99, "moments")
