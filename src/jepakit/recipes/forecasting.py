"""Forecast the record of a run from its frozen encoder, beside linear models and repetition of the past.

The head reads the tokens of one channel, all its moments side by side, and is shared by the channels; every floor that
is fitted goes through the same head, the same training windows and the same penalties.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from jepakit.data.record import Record
from jepakit.evaluation.forecasting import (
    Forecast,
    ForecastArm,
    ForecastConfig,
    Head,
    Repeat,
    bridged,
    forecast_arms,
    forecast_record,
    levelled,
    origins,
    stretch,
    windows,
)
from jepakit.nn import ViT
from jepakit.recipes.data import Data, SeriesData
from jepakit.recipes.scoring import device_of
from jepakit.recipes.signal_splits import parts_of, record_of
from jepakit.types import UserError

HORIZONS = (96, 336)
MAX_FEATURES = 2048
"""Numbers of one channel's past up to which a head is solved; of more tokens neighbours in time are averaged."""
_MANY_CHANNELS = 8
"""Channels from which on heads are fitted on fewer windows: each gives as many rows as there are channels."""
_SHOWN = 4
_HOUR_S = 3600.0
_SEASONS_S = (24 * _HOUR_S, 7 * 24 * _HOUR_S)


@dataclass(frozen=True)
class Scale:
    """Standardise channels by mean and deviation of the training part; one that is constant there keeps its unit."""

    mean: Float[Tensor, "c 1"]
    std: Float[Tensor, "c 1"]

    @classmethod
    def of(cls, values: Float[Tensor, "c t"]) -> "Scale":
        """Take them from the training part, over what was measured."""
        mean = values.nanmean(dim=1, keepdim=True).nan_to_num(0.0)
        std = (values - mean).square().nanmean(dim=1, keepdim=True).sqrt()
        return cls(mean, torch.where(std > 1e-5 * mean.abs(), std, 1.0))

    def __call__(self, values: Float[Tensor, "*b c t"]) -> Float[Tensor, "*b c t"]:
        """Return standardised values."""
        return (values - self.mean) / self.std

    def undo(self, values: Float[Tensor, "*b c t"]) -> Float[Tensor, "*b c t"]:
        """Return values as they were recorded."""
        return values * self.std + self.mean


@dataclass(frozen=True)
class Forecasts:
    """Hold what evaluation.json says of forecasts, and the arrays from which some are drawn."""

    record: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def is_record(data: Data) -> bool:
    """Return whether data is one record over time, whose future can be forecast, and no set of labelled samples."""
    return isinstance(data, SeriesData) and not data.train.lower().endswith(".npz")


def feasible_horizons(data: SeriesData, horizons: Sequence[int] = HORIZONS) -> tuple[int, ...]:
    """Return the horizons that fit into every part of a record after a whole window."""
    parts = parts_of(data, len(record_of(data)))
    rooms = [end - max(begin, data.length) for begin, end in parts.values()]
    return tuple(horizon for horizon in horizons if horizon <= min(rooms))


def forecast(
    method: Any,
    data: SeriesData,
    *,
    final: bool = False,
    horizons: Sequence[int] = HORIZONS,
    season: int | None = None,
) -> Forecasts:
    """Score a frozen encoder's forecasts and those of its floors, on the development part, or on the test part.

    Args:
        method: The trained method, in eval mode.
        data: The run's record and how its time is divided.
        final: Forecast the test part.
        horizons: Moments ahead, each a task.
        season: Moments after which the seasonal forecast repeats itself; by default a day of the stamps, or a week
            where a moment is a day; without stamps there is none.

    Raises:
        UserError: A horizon does not fit, or a token of the encoder stands for several channels.
    """
    record = record_of(data)
    scale = Scale.of(record.values[:, slice(*parts_of(data, len(record))["train"])])
    untrained = method.config.build(seed=method.seed, num_steps=1).eval().to(device_of(method))
    arms: dict[str, ForecastArm] = {
        "jepa": encoder_head(method, scale),
        "random init": replace(encoder_head(untrained, scale), is_floor=True),
    }
    return forecast_with(arms, record, scale, data, final=final, horizons=horizons, season=season)


def forecast_together(
    methods: Mapping[str, Any], data: SeriesData, *, final: bool = False, horizons: Sequence[int] = HORIZONS
) -> dict[str, Any]:
    """Score the forecasts of several frozen encoders on the same windows, beside the floors that know no encoder.

    Args:
        methods: The trained methods by name, in eval mode.
        data: The record that they share and how its time is divided.
        final: As in `forecast`.
        horizons: As in `forecast`.

    Raises:
        UserError: As `forecast`.
    """
    record = record_of(data)
    scale = Scale.of(record.values[:, slice(*parts_of(data, len(record))["train"])])
    arms: dict[str, ForecastArm] = {name: encoder_head(method, scale) for name, method in methods.items()}
    return forecast_with(arms, record, scale, data, final=final, horizons=horizons).record


def forecast_with(
    arms: dict[str, ForecastArm],
    record: Record,
    scale: Scale,
    data: SeriesData,
    *,
    final: bool,
    horizons: Sequence[int],
    season: int | None = None,
) -> Forecasts:
    """Score arms beside the floors that know no encoder.

    Args:
        arms: What is compared; the first is the one that the others are compared with.
        record: The run's.
        scale: By which its channels are standardised.
        data: How its time is divided.
        final: As in `forecast`.
        horizons: As in `forecast`.
        season: As in `forecast`.

    Raises:
        UserError: A horizon does not fit, or is below 1.
    """
    if not horizons or min(horizons) < 1:
        raise UserError(f"Horizons are whole numbers of moments from 1, got {tuple(horizons)}.")
    season = season_of(record.step_s) if season is None else season
    if season is not None and not 1 <= season <= data.length:
        raise UserError(f"A season of {season} moments does not fit into a window of {data.length}; see --season.")
    split, values, parts = "test" if final else "dev", scale(record.values), parts_of(data, len(record))
    fewer = max(1, len(record.names) // _MANY_CHANNELS)
    config = ForecastConfig(
        length=data.length,
        horizons=tuple(horizons),
        split="test" if final else "dev",
        num_fit=ForecastConfig.num_fit // fewer,
        num_choice=ForecastConfig.num_choice // fewer,
    )
    asked = origins(values, parts[split], data.length, max(horizons), split)
    shown = asked[torch.linspace(0, len(asked) - 1, _SHOWN).long()].unique()
    told = forecast_arms(values, parts, arms | floor_arms(season), config, shown.tolist())
    protocol = _protocol(record, data, config, season, {of.horizon: len(of.squared) for of in told})
    content = {"format": 1, "kind": "forecast", "protocol": protocol} | forecast_record(told, config)
    return Forecasts(
        content | {"shown": _titles(record, told, shown)}, _arrays(record, scale, told, shown, data.length)
    )


def encoder_head(method: Any, scale: Scale) -> Head:
    """Return the head on an encoder's tokens of one channel.

    Raises:
        UserError: A token stands for several channels.
    """
    channels = len(scale.mean)
    if not isinstance(method.encoder, ViT) or method.encoder.grid[0] != channels:
        raise UserError("Forecasting reads each channel's own tokens: it needs an encoder with patches 1 channel high.")

    @torch.no_grad()
    def features(past: Float[Tensor, "b c t"]) -> Float[Tensor, "b c f"]:
        prepared = method.preprocess(scale.undo(past).to(device_of(method)))
        tokens = method.encode(prepared.to(method.dtype), tokens=True).float().cpu()
        return _side_by_side(rearrange(tokens, "b (c n) d -> b c n d", c=channels))

    return Head(features=features, is_floor=False)


def _side_by_side(tokens: Float[Tensor, "b c n d"]) -> Float[Tensor, "b c f"]:
    """Return a channel's tokens side by side, neighbours averaged where they are too many."""
    num = max(1, MAX_FEATURES // tokens.shape[-1])
    if tokens.shape[2] > num:
        flat = rearrange(tokens, "b c n d -> (b c) d n")
        flat = torch.nn.functional.adaptive_avg_pool1d(flat, num)
        tokens = rearrange(flat, "(b c) d n -> b c n d", c=tokens.shape[1])
    return rearrange(tokens, "b c n d -> b c (n d)")


def floor_arms(season: int | None) -> dict[str, ForecastArm]:
    """Return what anyone would try first: linear models of the window in three forms, and repetition."""

    def normalised(past: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        mean, deviation = levelled(past, "instance")
        return torch.where(deviation > 0, (bridged(past) - mean) / deviation.clamp_min(1e-30), 0.0)

    def from_last(past: Float[Tensor, "b c t"]) -> Float[Tensor, "b c t"]:
        return bridged(past) - levelled(past, "last")[0]

    repeats: dict[str, ForecastArm] = {} if season is None else {"seasonal naive": Repeat(season=season)}
    return {
        "linear, window normalised": Head(features=normalised),
        "linear, last value taken off": Head(features=from_last, level="last"),
        "linear, raw window": Head(features=bridged, level="none"),
        **repeats,
        "naive": Repeat(),
    }


def season_of(step_s: float | None) -> int | None:
    """Return the moments of the shortest of a day and a week that holds several; None without stamps.

    Example:
        >>> season_of(3600.0), season_of(900.0), season_of(86400.0), season_of(None)
        (24, 96, 7, None)
    """
    if step_s is None:
        return None
    return next((round(whole / step_s) for whole in _SEASONS_S if whole / step_s >= 2), None)


def _protocol(
    record: Record, data: SeriesData, config: ForecastConfig, season: int | None, num_windows: dict[int, int]
) -> dict[str, Any]:
    """Say by what rule it was done, in numbers and in sentences."""
    blocks = {horizon: stretch(horizon, num) for horizon, num in num_windows.items()}
    return {
        "split": config.split,
        "length": config.length,
        "horizons": list(config.horizons),
        "season": season,
        "channels": list(record.names),
        "num_windows": {str(horizon): num for horizon, num in num_windows.items()},
        "stretch": {str(horizon): block for horizon, block in blocks.items()},
        "seed": config.seed,
        "tried": len(config.grid),
        "statement": [
            "Errors are means over windows, channels and moments ahead, of channels standardised by the training part; "
            f"every window of the {config.split} part is forecast, one for each moment.",
            "Heads are ridge regressions, one for all channels, fitted on windows of the training part, evenly spaced; "
            f"their penalty is one of {len(config.grid)}, chosen on the development part for every arm alike"
            f"{', so that its choice is in these scores' if config.split == 'dev' else ''}.",
            "Intervals resample stretches of "
            f"{', '.join(f'{block} moments (horizon {horizon})' for horizon, block in blocks.items())}, as windows "
            "that overlap tell the same; they are rough where there are few.",
        ],
    }


def _titles(record: Record, told: Sequence[Forecast], shown: Tensor) -> dict[str, Any]:
    """Return the names of what is drawn: the arms, and a title for each window."""
    longest = max(of.horizon for of in told)
    return {
        "arms": [of.arm for of in told if of.horizon == longest],
        "titles": [
            f"{record.names[i % len(record.names)]} from {record.stamps[first]}"
            for i, first in enumerate(shown.tolist())
        ],
    }


def _arrays(
    record: Record, scale: Scale, told: Sequence[Forecast], shown: Tensor, length: int
) -> dict[str, NDArray[Any]]:
    """Return one channel of each drawn window, another for each, in the units of the record."""
    longest = max(of.horizon for of in told)
    channel = torch.arange(len(shown)) % len(record.names)
    row = torch.arange(len(shown))
    past = min(length, longest)
    made = torch.stack([scale.undo(of.shown)[row, channel] for of in told if of.horizon == longest], dim=1)
    return {
        "past": windows(record.values, shown - past, past)[row, channel].numpy(),
        "truth": windows(record.values, shown, longest)[row, channel].numpy(),
        "predicted": made.numpy().astype(np.float32),
    }
