"""Draw views of signals in batches on their device: other loudness, other moments, noise, gaps.

Every sample by parameters of its own, drawn from its id, as `Augment` does for images; what the settings switch off
costs nothing.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.views.mel import MelPreprocess, WavePreprocess
from jepakit.views.series import SeriesPreprocess
from jepakit.views.table import with_missing
from jepakit.views.view import View

_PARAMS = ("shift", "log_gain")
_KEPT = 0.5
"""Probability that a signal keeps all its moments, and that it keeps all its channels."""


@dataclass(frozen=True, kw_only=True)
class SignalViews:
    """Shift, scale and disturb signals, then lay them out as the encoder takes them; by default nothing is done.

    Args:
        preprocess: How a signal is laid out; a method sets it to its own.
        shift_fraction: Largest shift either way, as a fraction of the length; what comes in is not measured (NaN), or
            silence where the preprocessing is one of sounds.
        gain: Largest factor by which a signal is made larger or smaller; 1 for none. Instance normalisation undoes it.
        noise: Standard deviation of added noise, as a fraction of each channel's own deviation.
        gap: Largest fraction of the moments that are not measured in any channel: one stretch, of a length of its own.
        channel_drop: Largest fraction of the channels that are not measured at all; one always stays.
        name: Name of the random stream.
        seed: Seed of the draws.

    Raises:
        UserError: A setting is out of its range.
    """

    preprocess: SeriesPreprocess | MelPreprocess | WavePreprocess
    shift_fraction: float = 0.0
    gain: float = 1.0
    noise: float = 0.0
    gap: float = 0.0
    channel_drop: float = 0.0
    name: str = "view"
    seed: int = 0

    def __post_init__(self) -> None:
        require(0 <= self.shift_fraction <= 1, f"SignalViews: shift_fraction is in [0, 1], got {self.shift_fraction}.")
        require(self.gain >= 1, f"SignalViews: gain is a factor of at least 1, got {self.gain}.")
        require(self.noise >= 0, f"SignalViews: noise cannot be negative, got {self.noise}.")
        for name in ("gap", "channel_drop"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"SignalViews: {name} is in [0, 1], got {value}.")

    def __call__(self, signal: Float[Tensor, "b c t"], ids: Int[Tensor, " b"], step: int, view: int = 0) -> View:
        """Return view number `view` of each signal at this step, and its parameters, named by `params`."""
        params = self.draw(ids, step, view)
        signal = self.apply(signal, params, ids, step, view)
        whole = self.preprocess(signal)
        if self.gap == 0 and self.channel_drop == 0:
            return View(image=whole, params=params)
        return View(image=self.preprocess(self.lose(signal, ids, step, view)), params=params, whole=whole)

    @property
    def params(self) -> tuple[str, ...]:
        """Return the name of each parameter of a view: its shift as a fraction of the length, the log of its gain."""
        return _PARAMS

    def relative(self, params_from: Float[Tensor, "b p"], params_to: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
        """Return the second view's parameters in the frame of the first: shifts and logarithms subtract."""
        return params_to - params_from

    @torch.no_grad()
    def draw(self, ids: Int[Tensor, " b"], step: int, view: int) -> Float[Tensor, "b p"]:
        """Draw each sample's parameters, named by `params`."""
        u = Stream(self.seed, f"{self.name}/{view}").uniform(step, ids, len(_PARAMS))
        reach = torch.tensor((self.shift_fraction, math.log(self.gain)), device=u.device)
        return (2.0 * u - 1.0) * reach

    @torch.no_grad()
    def apply(
        self, signal: Float[Tensor, "b c t"], params: Float[Tensor, "b p"], ids: Int[Tensor, " b"], step: int, view: int
    ) -> Float[Tensor, "b c t"]:
        """Return signals that are scaled, shifted and disturbed, NaN where nothing is shifted in."""
        if self.gain > 1:
            signal = signal * params[:, 1, None, None].exp()
        if self.noise > 0:
            drawn = Stream(self.seed, f"{self.name}/{view}/noise").normal(step, ids, signal[0].numel())
            signal = signal + drawn.view_as(signal) * (self.noise * deviation(signal))
        if self.shift_fraction > 0:
            signal = shifted(signal, (params[:, 0] * signal.shape[-1]).round().long())
        return signal

    @torch.no_grad()
    def lose(
        self, signal: Float[Tensor, "b c t"], ids: Int[Tensor, " b"], step: int, view: int
    ) -> Float[Tensor, "b c t"]:
        """Return signals of which a half has a gap, and a half lacks channels, NaN there."""
        u = Stream(self.seed, f"{self.name}/{view}/incomplete").uniform(step, ids, 5)
        if self.gap > 0:
            signal = with_gap(signal, torch.where(u[:, :1] < _KEPT, 0.0, u[:, 1:2] * self.gap), u[:, 2:3])
        if self.channel_drop > 0:
            share = torch.where(u[:, 3:4] < _KEPT, 0.0, u[:, 4:] * self.channel_drop)
            signal = with_missing(signal, share, ids, step, Stream(self.seed, f"{self.name}/{view}/channels"))
        return signal


def deviation(signal: Float[Tensor, "b c t"]) -> Float[Tensor, "b c 1"]:
    """Return the standard deviation of each channel over what was measured, 0 where nothing was."""
    centred = signal - signal.nanmean(dim=-1, keepdim=True)
    return centred.square().nanmean(dim=-1, keepdim=True).sqrt().nan_to_num(0.0)


def shifted(signal: Float[Tensor, "b c t"], by: Int[Tensor, " b"]) -> Float[Tensor, "b c t"]:
    """Return each signal so many moments later, NaN where nothing comes in."""
    length = signal.shape[-1]
    origin = torch.arange(length, device=signal.device) - by[:, None]
    taken = signal.gather(2, origin.clamp(0, length - 1)[:, None].expand_as(signal))
    return torch.where(((origin >= 0) & (origin < length))[:, None], taken, torch.nan)


def with_gap(
    signal: Float[Tensor, "b c t"], share: Float[Tensor, "b 1"], place: Float[Tensor, "b 1"], value: float = torch.nan
) -> Float[Tensor, "b c t"]:
    """Return signals with one stretch set to a value in all channels.

    Args:
        signal: Signals.
        share: Fraction of the moments.
        place: From 0, at the beginning, to 1, at the end.
        value: By default NaN: not measured.
    """
    length = signal.shape[-1]
    width = (share * length).round()
    start = torch.floor(place * (length - width + 1))
    moment = torch.arange(length, device=signal.device)
    hidden = (moment >= start) & (moment < start + width)
    return torch.where(hidden[:, None], value, signal)
