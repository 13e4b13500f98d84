"""Corrupt signals, for measuring how an encoder trained on clean ones fares: five severities of three kinds.

As in `corrupt`, a function of (kind, severity, sample id, seed), and a higher severity uses the same draws: louder
noise, a longer gap, further channels gone.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.views.severity import level_of
from jepakit.views.signal_views import deviation, with_gap
from jepakit.views.table import with_missing

SERIES_SEVERITIES: dict[str, tuple[float, ...]] = {
    "noise": (0.1, 0.25, 0.5, 1.0, 2.0),  # standard deviation as a multiple of each channel's own
    "gap": (0.1, 0.2, 0.3, 0.5, 0.7),  # fraction of the moments, one stretch, that were not measured
    "channel_drop": (0.2, 0.4, 0.6, 0.8, 0.9),  # fraction of the channels that were not measured; one always stays
}
SERIES_CORRUPTIONS = tuple(SERIES_SEVERITIES)
SOUND_SEVERITIES: dict[str, tuple[float, ...]] = {
    "noise": (20.0, 14.0, 8.0, 1.0, -5.0),  # signal-to-noise ratio in decibels, white noise over the whole length
    "gap": (0.1, 0.2, 0.3, 0.5, 0.7),  # fraction of the length, one stretch, that is silent
    "muffle": (0.7, 0.5, 0.35, 0.25, 0.15),  # highest frequency that is left, as a fraction of half the sampling rate
}
SOUND_CORRUPTIONS = tuple(SOUND_SEVERITIES)


@torch.no_grad()
def corrupt_series(
    kind: str, signal: Float[Tensor, "b c t"], severity: int, ids: Int[Tensor, " b"], seed: int = 0
) -> Float[Tensor, "b c t"]:
    """Return corrupted copies of windows of a record, NaN where nothing is measured any more.

    Args:
        kind: One of `SERIES_CORRUPTIONS`.
        signal: Windows.
        severity: From 1 to 5, see `SERIES_SEVERITIES`.
        ids: The samples' ids, on which their draws depend.
        seed: Seed of the draws.

    Raises:
        UserError: The kind or the severity is unknown.
    """
    level = level_of("series", SERIES_SEVERITIES, kind, severity)
    if kind == "noise":
        drawn = Stream(seed, "corrupt/signal-noise").normal(0, ids, signal[0].numel())
        return signal + drawn.view_as(signal) * (level * deviation(signal))
    if kind == "gap":
        return _gapped(signal, level, ids, seed, torch.nan)
    share = torch.full((len(signal), 1), level, device=signal.device)
    return with_missing(signal, share, ids, 0, Stream(seed, "corrupt/channels"))


@torch.no_grad()
def corrupt_sounds(
    kind: str, signal: Float[Tensor, "b c t"], severity: int, ids: Int[Tensor, " b"], seed: int = 0
) -> Float[Tensor, "b c t"]:
    """Return corrupted copies of sounds, NaN still where nothing was.

    Args:
        kind: One of `SOUND_CORRUPTIONS`.
        signal: Sounds.
        severity: From 1 to 5, see `SOUND_SEVERITIES`.
        ids: The samples' ids, on which their draws depend.
        seed: Seed of the draws.

    Raises:
        UserError: The kind or the severity is unknown.
    """
    level = level_of("sounds", SOUND_SEVERITIES, kind, severity)
    if kind == "noise":
        power = signal.square().nanmean(dim=-1, keepdim=True).nan_to_num(0.0)
        drawn = Stream(seed, "corrupt/signal-noise").normal(0, ids, signal[0].numel())
        return signal.nan_to_num(0.0) + drawn.view_as(signal) * (power * 10.0 ** (-level / 10.0)).sqrt()
    if kind == "gap":
        return _gapped(signal, level, ids, seed, 0.0)
    spectrum = torch.fft.rfft(signal.nan_to_num(0.0))
    share = torch.linspace(0.0, 1.0, spectrum.shape[-1], device=signal.device)
    return torch.fft.irfft(spectrum * (share <= level), n=signal.shape[-1])


def _gapped(
    signal: Float[Tensor, "b c t"], fraction: float, ids: Int[Tensor, " b"], seed: int, value: float
) -> Float[Tensor, "b c t"]:
    share = torch.full((len(signal), 1), max(fraction, 1.0 / signal.shape[-1]), device=signal.device)
    return with_gap(signal, share, Stream(seed, "corrupt/gap").uniform(0, ids, 1), value)
