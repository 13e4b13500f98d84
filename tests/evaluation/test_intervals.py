import math

import pytest
import torch
from scipy import stats

from jepakit.evaluation.intervals import (
    bootstrap,
    crossed,
    over_repeats,
    over_stretches,
    paired,
    spread,
    student_t,
    wilson,
)
from jepakit.random import Stream
from jepakit.types import UserError


def normal(seed: int, *shape: int) -> torch.Tensor:
    return Stream(seed, "test").normal(0, torch.arange(shape[0]), math.prod(shape[1:])).view(shape).double()


def coverage(intervals, truth: float) -> float:
    return sum(i.low <= truth <= i.high for i in intervals) / len(intervals)


def test_wilson_matches_scipy_and_never_has_width_zero():
    for correct, total in ((0, 10), (7, 10), (10, 10), (480, 540)):
        ours = wilson(correct, total)
        theirs = stats.binomtest(correct, total).proportion_ci(method="wilson")
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
        assert 0.0 <= ours.low <= ours.value <= ours.high <= 1.0
        assert ours.high - ours.low > 0.01
        assert ours.varies == "test items"


@pytest.mark.parametrize("p", [0.1, 0.5, 0.93])
def test_wilson_covers_the_truth(p):
    probability = stats.binom.pmf(range(101), 100, p)
    covers = sum(q for k, q in enumerate(probability) if wilson(k, 100).low <= p <= wilson(k, 100).high)
    assert 0.92 < covers < 0.98


@pytest.mark.parametrize("n", [3, 20])
def test_over_repeats_covers_the_mean(n):
    intervals = [over_repeats(row, "seeds") for row in normal(n, 1500, n) + 4.0]
    assert 0.93 < coverage(intervals, 4.0) < 0.97


def test_over_repeats_matches_scipy():
    x = normal(1, 1, 12)[0]
    low, high = stats.t.interval(0.9, 11, float(x.mean()), stats.sem(x.numpy()))
    ours = over_repeats(x, "label draws", level=0.9)
    assert (ours.low, ours.high, ours.n) == (pytest.approx(low), pytest.approx(high), 12)
    assert student_t(11, 0.9) == pytest.approx(stats.t.ppf(0.95, 11))


def test_paired_differences_cover_and_are_narrower_than_unpaired_ones():
    luck = 5.0 * normal(2, 800, 25)
    ours, theirs = luck + 0.5 + normal(3, 800, 25), luck + normal(4, 800, 25)
    intervals = [paired(a, b, "label draws") for a, b in zip(ours, theirs, strict=True)]
    assert 0.92 < coverage(intervals, 0.5) < 0.98
    alone = over_repeats(ours[0], "label draws")
    assert intervals[0].high - intervals[0].low < 0.5 * (alone.high - alone.low)


def test_paired_arms_need_the_same_repeats():
    with pytest.raises(UserError, match="got 5 and 4"):
        paired(torch.ones(5), torch.ones(4), "seeds")


def test_crossed_covers_where_draws_alone_do_not():
    draw, item, noise = normal(5, 500, 20), normal(6, 500, 30), normal(7, 500, 20, 30)
    tables = draw[:, :, None] + item[:, None, :] + noise
    both = [crossed(table) for table in tables]
    draws_only = [over_repeats(table.mean(dim=1), "label draws") for table in tables]
    assert 0.92 < coverage(both, 0.0) < 0.985
    assert coverage(draws_only, 0.0) < 0.91
    assert both[0].varies == "label draws and test items"


def test_bootstrap_covers_and_repeats_itself():
    x = normal(8, 300, 60).exp()  # skewed
    intervals = [bootstrap(row, num_resamples=400) for row in x]
    assert 0.88 < coverage(intervals, math.exp(0.5)) < 0.98
    assert bootstrap(x[0], num_resamples=400) == intervals[0]
    assert bootstrap(x[0], num_resamples=400, seed=1) != intervals[0]


def test_spread_is_where_single_draws_fall():
    low, high = spread(torch.arange(101).double() / 100.0)
    assert (low, high) == (pytest.approx(0.025), pytest.approx(0.975))
    interval = over_repeats(torch.arange(101).double() / 100.0, "label draws")
    assert high - low > 5.0 * (interval.high - interval.low)


def test_one_repeat_gives_no_interval():
    for measure in (lambda x: over_repeats(x, "seeds"), bootstrap):
        with pytest.raises(UserError, match="at least 2"):
            measure(torch.ones(1))
    with pytest.raises(UserError, match="at least 2"):
        crossed(torch.ones(1, 5))
    with pytest.raises(UserError, match="5 of 4"):
        wilson(5, 4)


def test_intervals_over_stretches_cover_the_mean_of_a_sequence_that_remembers():
    noise = normal(5, 400, 640)
    kernel = torch.ones(1, 1, 20, dtype=torch.float64) / 20
    smooth = torch.nn.functional.conv1d(noise[:, None], kernel)[:, 0]  # neighbours share 19 of 20 draws
    intervals = [over_stretches(row, 40, num_resamples=200) for row in smooth]
    assert 0.88 < coverage(intervals, 0.0) < 0.97
    alone = [bootstrap(row, num_resamples=200) for row in smooth]
    assert coverage(alone, 0.0) < 0.5
    assert intervals[0].value == pytest.approx(float(smooth[0].mean()))
    assert (intervals[0].n, intervals[0].varies) == (16, "stretches of time")


def test_stretches_of_one_value_are_the_plain_bootstrap():
    x = normal(6, 1, 300)[0] + 1.0
    ours, theirs = over_stretches(x, 1, num_resamples=4000), bootstrap(x, num_resamples=4000)
    assert (ours.low, ours.high) == (pytest.approx(theirs.low, abs=0.02), pytest.approx(theirs.high, abs=0.02))
    with pytest.raises(UserError, match="stretches of 5 needs at least 2 values and as many as that, got 3"):
        over_stretches(x[:3], 5)
