"""Forecast a record from frozen features of its past, by one linear head for every arm, beside what repeats the past.

    forecast = level + scale * (f W + w)

`f` are numbers that an arm tells of one channel's past, `W` and `w` are shared by all channels, and level and scale are
those of the window itself. Values are standardised by the training part; squared errors are counted in these units, so
that a window in which hardly anything moves weighs little. `W` is ridge regression in closed form.

Windows of a part are those whose *target* lies in it: what a forecaster looks at may lie before, as it would in use.
Neighbouring windows share almost all of their moments, so intervals resample stretches of time (`over_stretches`).

Source: the protocol of Zeng et al. 2022, "Are Transformers Effective for Time Series Forecasting?" (DLinear, NLinear;
arXiv 2205.13504). Deviations: linear models are solved, not descended; the head sees evenly spaced training windows;
DLinear's two maps of trend and remainder are together one map of the raw window, and stand here as that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from einops import rearrange
from jaxtyping import Float, Float64, Int
from torch import Tensor

from jepakit.evaluation.intervals import LEVEL, Interval, over_stretches
from jepakit.evaluation.ridge import RIDGE_GRID, penalty_unit
from jepakit.types import UserError

Features = Callable[[Float[Tensor, "b c t"]], Float[Tensor, "b c f"]]
"""Tell numbers of each channel's past from windows of standardised values, NaN where nothing was measured."""

GRID = RIDGE_GRID[::2]
_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class Head:
    """Say what a linear head reads of a window.

    Args:
        features: Numbers of each channel's past.
        level: What is taken off and given back: `instance`, the window's mean and deviation; `last`, its last value;
            `none`.
        is_floor: Whether others must beat it.
    """

    features: Features
    level: Literal["instance", "last", "none"] = "instance"
    is_floor: bool = True


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """Repeat the last moments of the window: one is the naive forecast, a season's the seasonal one."""

    season: int = 1
    is_floor: bool = True


ForecastArm = Head | Repeat


@dataclass(frozen=True, kw_only=True)
class ForecastConfig:
    """Say by what rule forecasts are made and scored.

    Args:
        length: Moments of a window.
        horizons: Moments ahead, each a task of its own.
        split: `dev` or `test`: which part is forecast. Penalties are chosen on `dev`.
        num_fit: Training windows that heads are fitted on, evenly spaced.
        num_choice: Windows of the development part on which their penalties are chosen.
        grid: Penalties, in units of the mean eigenvalue of the features' scatter.
        seed: Of the intervals' resamples.
    """

    length: int
    horizons: tuple[int, ...]
    split: Literal["dev", "test"] = "dev"
    num_fit: int = 2048
    num_choice: int = 768
    grid: tuple[float, ...] = GRID
    seed: int = 0


@dataclass(frozen=True)
class Moments:
    """Hold the sums over windows and channels from which a head is solved; the last feature is the scale itself."""

    xx: Float64[Tensor, "f f"]
    xy: Float64[Tensor, "f h"]
    yy: Float64[Tensor, " h"]


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Hold one arm's errors at one horizon, in standardised units.

    Args:
        arm: Who forecast.
        horizon: Moments ahead.
        squared: Mean squared error of each window, in the order of time.
        absolute: Mean absolute error of each window.
        is_floor: Whether others must beat it.
        chosen: What the development part chose.
        shown: Forecasts of the windows that are drawn.
    """

    arm: str
    horizon: int
    squared: Float64[Tensor, " n"]
    absolute: Float64[Tensor, " n"]
    is_floor: bool
    chosen: str
    shown: Float[Tensor, "k c h"]


def forecast_arms(
    values: Float[Tensor, "c t"],
    parts: Mapping[str, tuple[int, int]],
    arms: Mapping[str, ForecastArm],
    config: ForecastConfig,
    shown: Sequence[int] = (),
) -> list[Forecast]:
    """Fit a head for every arm and score all of them on the same windows.

    Args:
        values: The record, standardised, NaN where nothing was measured.
        parts: First moment and the one after the last of `train`, `dev` and `test`.
        arms: By name.
        config: The rule.
        shown: First moments of targets whose forecasts are kept, at the longest horizon.

    Raises:
        UserError: A horizon does not fit into a part of the record.
    """
    longest, (begin, end) = max(config.horizons), parts[config.split]
    learnt, chosen = (
        origins(values, parts[name], config.length, longest, name, num)
        for name, num in (("train", config.num_fit), ("dev", config.num_choice))
    )
    asked = {h: origins(values, (begin, end), config.length, h, config.split) for h in config.horizons}
    told: list[Forecast] = []
    for name, arm in arms.items():
        if isinstance(arm, Head):
            fitted = moments(arm, bridged(values[:, : parts["train"][1]]), values, learnt, config.length, longest)
            choice = moments(arm, bridged(values[:, : parts["dev"][1]]), values, chosen, config.length, longest)
            weights = solve(fitted, choice, config)
        else:
            weights = {h: (None, "") for h in config.horizons}
        told += _scored(name, arm, weights, values, asked, config, shown)
    return told


def origins(
    values: Float[Tensor, "c t"], part: tuple[int, int], length: int, horizon: int, name: str, num: int | None = None
) -> Int[Tensor, " n"]:
    """Return the first moments of targets that lie in a part, after a whole window: all of them, or so many.

    Raises:
        UserError: There is none.
    """
    first, last = max(part[0], length), part[1] - horizon
    if last < first:
        raise UserError(
            f"A horizon of {horizon} moments after a window of {length} does not fit into the {part[1] - part[0]} of "
            f"the {name} part; ask for a shorter one (--horizons)."
        )
    every = 1 if num is None else max(1, (last - first + 1) // num)
    return torch.arange(first, last + 1, every)


def windows(values: Float[Tensor, "c t"], first: Int[Tensor, " b"], length: int) -> Float[Tensor, "b c w"]:
    """Return stretches of a record from these moments on."""
    return rearrange(values[:, first[:, None] + torch.arange(length)], "c b w -> b c w")


def levelled(
    past: Float[Tensor, "b c t"], level: Literal["instance", "last", "none"]
) -> tuple[Float[Tensor, "b c 1"], Float[Tensor, "b c 1"]]:
    """Return level and scale of each channel of a window, by what was measured; 0 and 0 where nothing was."""
    if level == "none":
        return torch.zeros_like(past[..., :1]), torch.ones_like(past[..., :1])
    if level == "last":
        return bridged(past)[..., -1:], torch.ones_like(past[..., :1])
    mean = past.nanmean(dim=-1, keepdim=True)
    deviation = (past - mean).square().nanmean(dim=-1, keepdim=True).sqrt()
    deviation = torch.where(deviation > 1e-5 * mean.abs(), deviation, 0.0)
    return mean.nan_to_num(0.0), deviation.nan_to_num(0.0)


def bridged(values: Float[Tensor, "*b t"]) -> Float[Tensor, "*b t"]:
    """Fill what was not measured by straight lines between neighbours in time, by the nearest at the ends, else by 0.

    Example:
        >>> bridged(torch.tensor([torch.nan, 1.0, torch.nan, 3.0, torch.nan])).tolist()
        [1.0, 1.0, 2.0, 3.0, 3.0]
    """
    measured, num = values.isfinite(), values.shape[-1]
    moment = torch.arange(num).expand(values.shape)
    before = torch.where(measured, moment, -1).cummax(dim=-1).values
    after = torch.where(measured, moment, num).flip(-1).cummin(dim=-1).values.flip(-1)
    left, right = torch.where(before < 0, after, before), torch.where(after >= num, before, after)
    known = values.nan_to_num(0.0)
    low, high = (known.gather(-1, place.clamp(0, num - 1)) for place in (left, right))
    share = (moment - left) / (right - left).clamp_min(1)
    return torch.where(measured, known, low + share * (high - low))


@torch.no_grad()
def rows(arm: Head, past: Float[Tensor, "b c t"]) -> tuple[Float[Tensor, "r f"], Float[Tensor, "r 1"]]:
    """Return what the head multiplies, a row for each window and channel, and each row's level."""
    level, scale = levelled(past, arm.level)
    features = torch.cat((arm.features(past).float().cpu(), torch.ones_like(scale)), dim=-1)
    return rearrange(features * scale, "b c f -> (b c) f"), rearrange(level, "b c one -> (b c) one")


def moments(
    arm: Head,
    targets: Float[Tensor, "c _"],
    values: Float[Tensor, "c t"],
    first: Int[Tensor, " n"],
    length: int,
    horizon: int,
) -> Moments:
    """Return the sums from which an arm's head is solved; targets are bridged where nothing was measured."""
    xx, xy, yy = (torch.zeros(()), torch.zeros(()), torch.zeros(()))
    for start in first.split(_AT_ONCE):
        x, level = rows(arm, windows(values, start - length, length))
        y = rearrange(windows(targets, start, horizon), "b c h -> (b c) h") - level
        xx, xy, yy = xx + (x.T @ x).double(), xy + (x.T @ y).double(), yy + y.double().square().sum(dim=0)
    return Moments(xx, xy, yy)


def solve(
    fitted: Moments, choice: Moments, config: ForecastConfig
) -> dict[int, tuple[Float[Tensor, "f h"] | None, str]]:
    """Return each horizon's head, its last row for the scale, and what was chosen: the penalty with the least error.

    Args:
        fitted: Of the training part.
        choice: Of the development part.
        config: Horizons and penalties.
    """
    whole = fitted.xx[-1, -1].clamp_min(1e-30)  # the scale's own row is left out of the penalty
    mean, bias = fitted.xx[:-1, -1] / whole, fitted.xy[-1] / whole
    values, axes = torch.linalg.eigh(fitted.xx[:-1, :-1] - whole * torch.outer(mean, mean))
    values = values.clamp_min(0.0)
    along, unit = axes.T @ (fitted.xy[:-1] - whole * torch.outer(mean, bias)), penalty_unit(values, len(values))
    best: dict[int, tuple[float, Tensor, str]] = {}
    for penalty in config.grid:
        slope = axes @ (along / (values + penalty * unit)[:, None])
        head = torch.cat((slope, (bias - mean @ slope)[None]))
        errors = choice.yy - 2 * (head * choice.xy).sum(dim=0) + (head * (choice.xx @ head)).sum(dim=0)
        for horizon in config.horizons:
            error = float(errors[:horizon].sum())
            if horizon not in best or error < best[horizon][0]:
                best[horizon] = (error, head[:, :horizon].float(), f"penalty {penalty:g}")
    return {horizon: (head, chosen) for horizon, (_, head, chosen) in best.items()}


def predicted(
    arm: ForecastArm, head: Float[Tensor, "f h"] | None, past: Float[Tensor, "b c t"], horizon: int
) -> Float[Tensor, "b c h"]:
    """Return forecasts of every channel of some windows."""
    if isinstance(arm, Repeat):
        season = bridged(past)[..., -arm.season :]
        return season.repeat(1, 1, -(-horizon // season.shape[-1]))[..., :horizon]
    assert head is not None
    x, level = rows(arm, past)
    return rearrange(level + x @ head, "(b c) h -> b c h", c=past.shape[1])


def _scored(
    name: str,
    arm: ForecastArm,
    weights: Mapping[int, tuple[Tensor | None, str]],
    values: Float[Tensor, "c t"],
    asked: Mapping[int, Int[Tensor, " n"]],
    config: ForecastConfig,
    shown: Sequence[int],
) -> list[Forecast]:
    """Return an arm's errors at every horizon, window by window."""
    told = []
    for horizon, first in asked.items():
        head, chosen = weights[horizon]
        squared, absolute = [], []
        for start in first.split(_AT_ONCE):
            made = predicted(arm, head, windows(values, start - config.length, config.length), horizon)
            error = (made - windows(values, start, horizon)).double()
            squared.append(error.square().flatten(1).nanmean(dim=1))
            absolute.append(error.abs().flatten(1).nanmean(dim=1))
        kept = torch.tensor(list(shown) if horizon == max(asked) else [], dtype=torch.long)
        drawn = predicted(arm, head, windows(values, kept - config.length, config.length), horizon)
        told.append(
            Forecast(
                arm=name,
                horizon=horizon,
                squared=torch.cat(squared),
                absolute=torch.cat(absolute),
                is_floor=arm.is_floor,
                chosen=chosen,
                shown=drawn,
            )
        )
    return told


def forecast_record(told: Sequence[Forecast], config: ForecastConfig) -> dict[str, Any]:
    """Return what evaluation.json says of forecasts, of plain lists, numbers and strings.

    `forecasts` holds a row for each horizon, measure (`mse`, `mae`) and arm: value, low, high, n (stretches), varies,
    is_floor, chosen. `differences` holds, for each arm that is no floor, its squared error less that of each other arm,
    window by window: below zero it forecasts better.
    """
    rows, differences = [], []
    for of in told:
        block = stretch(of.horizon, len(of.squared))
        for measure, errors in (("mse", of.squared), ("mae", of.absolute)):
            cell = {"horizon": of.horizon, "measure": measure, "arm": of.arm}
            rest = {"is_floor": of.is_floor, "chosen": of.chosen}
            rows.append(cell | asdict(_interval(errors, block, config.seed)) | rest)
        for other in told:
            if of.is_floor or other.horizon != of.horizon or other.arm == of.arm:
                continue
            between = asdict(_interval(of.squared - other.squared, block, config.seed))
            differences.append({"horizon": of.horizon, "arm": of.arm, "against": other.arm} | between)
    return {"forecasts": rows, "differences": differences, "level": LEVEL}


def stretch(horizon: int, num_windows: int) -> int:
    """Return the moments of a stretch that intervals resample: a horizon's, or a fifth of a short part."""
    return min(horizon, max(1, num_windows // 5))


def _interval(errors: Float64[Tensor, " n"], block: int, seed: int) -> Interval:
    """Return the mean over windows in which anything was measured, with its interval over stretches of time."""
    return over_stretches(errors[errors.isfinite()], block, seed=seed)
