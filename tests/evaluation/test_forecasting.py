"""Forecasts come from the past alone, heads are the least-squares solution, and windows are those of the protocol."""

from typing import Any

import pytest
import torch
from sklearn.linear_model import Ridge

from jepakit.evaluation.forecasting import (
    ForecastConfig,
    Head,
    Repeat,
    bridged,
    forecast_arms,
    forecast_record,
    levelled,
    moments,
    origins,
    predicted,
    solve,
    stretch,
    windows,
)
from jepakit.evaluation.ridge import penalty_unit
from jepakit.types import UserError

PARTS = {"train": (0, 300), "dev": (300, 400), "test": (400, 500)}
NAN = torch.nan


def record(num: int = 500, noise: float = 0.3) -> torch.Tensor:
    """Return two channels with a rhythm of 12 moments, a drifting level, and noise."""
    t = torch.arange(num)
    rhythm = torch.stack([(t * (2 * torch.pi / 12) + phase).sin() for phase in (0.0, 1.0)])
    return rhythm + 0.1 * torch.randn(2, num).cumsum(dim=1) + noise * torch.randn(2, num)


def config(**settings: Any) -> ForecastConfig:
    return ForecastConfig(**{"length": 24, "horizons": (6, 12), "num_fit": 1000, "num_choice": 1000} | settings)


def test_every_target_of_a_part_is_asked_about_once_and_windows_may_lie_before_it() -> None:
    values = record()
    assert origins(values, PARTS["test"], 24, 6, "test").tolist() == list(range(400, 395 + 100))
    assert origins(values, PARTS["train"], 24, 6, "train").tolist()[:1] == [24]
    some = origins(values, PARTS["train"], 24, 6, "train", 50)
    assert some.diff().unique().tolist() == [5] and int(some.max()) + 6 <= 300
    with pytest.raises(UserError, match="horizon of 101 moments after a window of 24 does not fit into the 100 of the"):
        origins(values, PARTS["test"], 24, 101, "test")


def test_windows_are_stretches_of_all_channels() -> None:
    values = torch.arange(20.0).view(2, 10)
    assert windows(values, torch.tensor([1, 4]), 3).tolist() == [[[1, 2, 3], [11, 12, 13]], [[4, 5, 6], [14, 15, 16]]]


def test_bridges_are_straight_lines_and_look_at_nothing_else() -> None:
    told = bridged(torch.tensor([[NAN, 2.0, NAN, NAN, 8.0, NAN], [NAN] * 6]))
    torch.testing.assert_close(told, torch.tensor([[2.0, 2.0, 4.0, 6.0, 8.0, 8.0], [0.0] * 6]))


def test_levels_are_the_window_s_own_over_what_was_measured() -> None:
    past = torch.tensor([[[1.0, NAN, 3.0], [5.0, 5.0, 5.0], [NAN, NAN, NAN]]])
    mean, deviation = levelled(past, "instance")
    assert mean[0, :, 0].tolist() == [2.0, 5.0, 0.0] and deviation[0, :, 0].tolist() == [1.0, 0.0, 0.0]
    last, one = levelled(past, "last")
    assert last[0, :, 0].tolist() == [3.0, 5.0, 0.0] and bool((one == 1).all())
    assert [bool((part == value).all()) for part, value in zip(levelled(past, "none"), (0, 1), strict=True)] == [
        True
    ] * 2


@pytest.mark.parametrize("level", ["none", "last", "instance"])
def test_a_head_is_the_ridge_regression_of_scikit_learn(level: Any) -> None:
    values, rule = record(), config(grid=(0.1,), horizons=(6,))
    arm = Head(features=lambda past: past[..., -8:] - past.mean(dim=-1, keepdim=True), level=level)
    first = origins(values, PARTS["train"], 24, 6, "train")
    sums = moments(arm, values, values, first, 24, 6)
    head, chosen = solve(sums, sums, rule)[6]
    assert chosen == "penalty 0.1"
    past, ahead = windows(values, first - 24, 24), windows(values, first, 6)
    at, scale = levelled(past, level)
    x, y = arm.features(past).flatten(0, 1), ((ahead - at) / scale).flatten(0, 1)
    weight = scale.flatten().square()
    centred = x - (weight[:, None] * x).sum(0) / weight.sum()
    scatter = (centred.T @ (weight[:, None] * centred)).double()
    penalty = 0.1 * float(penalty_unit(torch.linalg.eigvalsh(scatter), 8))
    other = Ridge(alpha=penalty).fit(x.double(), y.double(), sample_weight=weight.double())
    ours = predicted(arm, head, past, 6)
    theirs = at + scale * torch.from_numpy(other.predict(x.double())).view(ahead.shape).float()
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_the_penalty_is_the_one_with_the_least_error_on_the_development_part() -> None:
    values, rule = record(), config(horizons=(6,), grid=(1e-6, 1e3))
    noise = Head(
        features=lambda past: torch.cat((past[..., -4:], torch.randn(*past.shape[:2], 40)), dim=-1), level="last"
    )
    learnt, asked = (origins(values, PARTS[name], 24, 6, name, num) for name, num in (("train", 25), ("dev", 1000)))
    fitted, choice = (moments(noise, values, values, first, 24, 6) for first in (learnt, asked))
    head, chosen = solve(fitted, choice, rule)[6]
    assert chosen == "penalty 1000"
    error = (predicted(noise, head, windows(values, asked - 24, 24), 6) - windows(values, asked, 6)).square().mean()
    alone = solve(fitted, choice, config(horizons=(6,), grid=(1e-6,)))[6][0]
    worse = (predicted(noise, alone, windows(values, asked - 24, 24), 6) - windows(values, asked, 6)).square().mean()
    assert float(error) < float(worse)


def test_repetition_repeats_the_last_season_and_past_gaps() -> None:
    past = torch.tensor([[[1.0, 2.0, 3.0, 4.0, NAN]]])
    assert predicted(Repeat(), None, past, 3).tolist() == [[[4, 4, 4]]]
    assert predicted(Repeat(season=3), None, past, 7).tolist() == [[[3, 4, 4, 3, 4, 4, 3]]]


def arms() -> dict[str, Any]:
    return {
        "jepa": Head(features=bridged, level="none", is_floor=False),
        "season": Repeat(season=12),
        "naive": Repeat(),
    }


def test_errors_are_counted_window_by_window_over_what_was_measured() -> None:
    values = record(noise=0.0)
    values[1, 420:425] = NAN
    told = forecast_arms(values, PARTS, arms(), config(split="test"), shown=(400, 450))
    by = {(of.arm, of.horizon): of for of in told}
    assert {of.horizon: len(of.squared) for of in told} == {6: 95, 12: 89}
    naive = by["naive", 6]
    last, ahead = bridged(values)[:, 399 + 20], values[:, 420:426]
    expected = (ahead - last[:, None]).square()
    assert float(naive.squared[20]) == pytest.approx(float(expected[expected.isfinite()].mean()), rel=1e-5)
    assert by["season", 12].squared.mean() < 0.5 * by["naive", 12].squared.mean()
    assert by["jepa", 12].shown.shape == (2, 2, 12) and by["jepa", 6].shown.shape == (0, 2, 6)


def test_nothing_after_the_window_is_looked_at() -> None:
    values = record()
    changed = values.clone()
    changed[:, 450:] += 100.0
    before, after = (forecast_arms(v, PARTS, arms(), config(split="test"), shown=(450,)) for v in (values, changed))
    for of, other in zip(before, after, strict=True):
        assert torch.equal(of.shown, other.shown)
        assert torch.equal(of.squared[: 51 - of.horizon], other.squared[: 51 - of.horizon])


def test_the_test_part_decides_nothing() -> None:
    values = record()
    changed = values.clone()
    changed[:, 400:] = torch.randn(2, 100)
    before, after = (forecast_arms(v, PARTS, arms(), config(split="dev")) for v in (values, changed))
    assert all(torch.equal(of.squared, other.squared) for of, other in zip(before, after, strict=True))
    test = forecast_arms(changed, PARTS, arms(), config(split="test"), shown=(400,))
    kept = forecast_arms(values, PARTS, arms(), config(split="test"), shown=(400,))
    assert all(torch.equal(of.shown, other.shown) for of, other in zip(test, kept, strict=True))


def test_a_record_holds_every_arm_with_intervals_and_paired_differences() -> None:
    told = forecast_record(forecast_arms(record(), PARTS, arms(), config()), config())
    assert {(row["horizon"], row["measure"], row["arm"]) for row in told["forecasts"]} == {
        (horizon, measure, arm) for horizon in (6, 12) for measure in ("mse", "mae") for arm in arms()
    }
    assert all(row["low"] < row["value"] < row["high"] for row in told["forecasts"])
    assert {(row["arm"], row["against"]) for row in told["differences"]} == {("jepa", "season"), ("jepa", "naive")}
    of = {(row["horizon"], row["arm"]): row["value"] for row in told["forecasts"] if row["measure"] == "mse"}
    for row in told["differences"]:
        assert row["value"] == pytest.approx(of[row["horizon"], "jepa"] - of[row["horizon"], row["against"]])
        assert row["varies"] == "stretches of time"
    assert (stretch(6, 95), stretch(96, 40)) == (6, 8)
