"""Shares of pairs and of clips, counted by hand, with intervals that are never without width."""

import pytest
import torch

from jepakit.evaluation.expectation import found, likeness, violated
from jepakit.evaluation.intervals import wilson
from jepakit.types import UserError


def test_a_violation_counts_where_it_is_above_its_own_pair() -> None:
    unlawful, lawful = torch.tensor([2.0, 9.0, 1.0, 5.0]), torch.tensor([1.0, 8.0, 7.0, 5.0])
    share = violated(unlawful, lawful)
    assert share.value == (2 + 0.5) / 4
    assert share.low == wilson(2, 4).low
    assert share.high == wilson(3, 4).high
    assert violated(lawful, lawful).value == 0.5
    perfect = violated(lawful + 1, lawful)
    assert perfect.value == 1.0
    assert perfect.low < 1.0


def test_likeness_is_the_share_of_all_comparisons() -> None:
    generator = torch.Generator().manual_seed(0)
    lawful, ordinary = torch.randn(40, generator=generator) + 0.5, torch.randn(70, generator=generator)
    lawful[:5] = ordinary[:5]
    above, ties = ((lawful[:, None] > ordinary).double(), (lawful[:, None] == ordinary).double())
    share = likeness(lawful, ordinary)
    assert share.value == pytest.approx(float((above + ties / 2).mean()))
    assert share.low < share.value < share.high
    assert likeness(ordinary, lawful).value == pytest.approx(1 - share.value)


def test_the_interval_of_likeness_covers_as_often_as_it_says() -> None:
    generator = torch.Generator().manual_seed(1)
    covered = 0
    for _ in range(400):
        share = likeness(torch.randn(60, generator=generator), torch.randn(80, generator=generator))
        covered += share.low <= 0.5 <= share.high
    assert 0.92 <= covered / 400 <= 0.98


def test_complete_separation_has_width() -> None:
    share = likeness(torch.arange(5.0) + 10, torch.arange(8.0))
    assert share.value == 1.0
    assert share.low == wilson(5, 5).low


def test_a_violation_is_found_at_its_moment_or_just_after() -> None:
    marked = torch.zeros(4, 6, dtype=torch.bool)
    marked[0, 3] = marked[1, 4] = marked[2, 5] = marked[3, 2] = True
    moment = torch.tensor([3, 3, 3, 3])
    assert found(marked, moment).value == 0.5
    assert found(marked, moment, late=0).value == 0.25
    assert found(marked, moment, late=2).value == 0.75


def test_what_cannot_be_compared_is_said_in_a_sentence() -> None:
    one = torch.ones(3)
    with pytest.raises(UserError, match="lawful pair"):
        violated(one, one[:2])
    with pytest.raises(UserError, match="NaN"):
        violated(one, one * torch.nan)
    with pytest.raises(UserError, match="at least 2"):
        likeness(one[:1], one)
