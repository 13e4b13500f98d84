"""Lay windows of a record out as pictures: a row for each channel, a column for each moment.

What an image encoder then calls a patch of 1 x p pixels is p moments of one channel, its row says which channel it is,
and its column when: the whole image path serves time series.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from jepakit.types import require
from jepakit.views.incomplete import Incomplete
from jepakit.views.preprocess import per_channel

_SHOWN = 3.0
"""Deviations from the mean at the edges of a channel's strip in a picture for people."""
_INK, _PAPER = 40, (255, 238)
"""Grey of a curve, and of the strips behind the curves, in turn."""


@dataclass(frozen=True, kw_only=True)
class SeriesPreprocess(Incomplete):
    """Normalise windows, and say beside each value whether it was measured: two planes of channels by moments.

    Args:
        signal_channels: Channels of the record.
        length: Moments of a window.
        normalise: `instance`: by mean and deviation of each channel in the window itself, over what was measured; one
            that does not change becomes 0. `given`: by `mean` and `std`.
        mean: Mean of each channel, or one for all.
        std: Deviation of each channel, or one for all.

    Raises:
        UserError: A size is below 1, a deviation is not above 0, or there is not one value for each channel.

    Source: instance normalisation after Kim et al. 2022, RevIN (ICLR), without its learned scale; what was measured is
    told as in GRU-D (arXiv 1606.01865).
    """

    signal_channels: int
    length: int
    normalise: Literal["instance", "given"] = "instance"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        require(self.signal_channels >= 1, f"A record has at least 1 channel, got {self.signal_channels}.")
        require(self.length >= 1, f"A window has at least 1 moment, got {self.length}.")
        for name, values in (("mean", self.mean), ("std", self.std)):
            require(
                len(values) in (1, self.signal_channels),
                f"SeriesPreprocess: {name} has {len(values)} values for {self.signal_channels} channels.",
            )
        require(min(self.std) > 0, f"SeriesPreprocess: every std must be above 0, got {self.std}.")

    @property
    def channels(self) -> int:
        """Return the planes of the result: the values, and whether they were measured."""
        return 2

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and the width of the result."""
        return self.signal_channels, self.length

    @torch.no_grad()
    def __call__(self, signal: Float[Tensor, "b c t"]) -> Float[Tensor, "b 2 c t"]:
        """Return normalised windows, 0 where nothing was measured, and 1 where something was.

        Raises:
            UserError: The windows have other channels or another length.
        """
        require(
            signal.shape[1:] == self.shape,
            f"The model takes windows of {self.signal_channels} channels x {self.length} moments, got "
            f"{' x '.join(map(str, signal.shape[1:]))}.",
        )
        measured = signal.isfinite()
        value = torch.where(measured, signal.float(), 0.0)
        if self.normalise == "instance":
            value = standardised(value, measured)
        else:
            mean, std = (per_channel(v, self.signal_channels, signal.device)[..., 0] for v in (self.mean, self.std))
            value = torch.where(measured, (value - mean) / std, 0.0)
        return torch.stack((value, measured.float()), dim=1)

    def to_source(self, x: Float[Tensor, "b 2 c t"]) -> Float[Tensor, "b c t"]:
        """Return normalised windows as what views are made of, NaN where nothing was measured."""
        return torch.where(x[:, 1] > 0, x[:, 0], torch.nan)

    def to_pixels(self, x: Float[Tensor, "b 2 c t"]) -> UInt8[Tensor, "b 1 h t"]:
        """Return pictures for people: a strip for each channel, and in it its curve, where something was measured.

        The result is about half as high as it is wide; at least nine rows make a strip.
        """
        rows = max(9, self.length // (2 * self.signal_channels))
        height = ((0.5 - x[:, 0] / (2 * _SHOWN)) * (rows - 1)).round().clamp(0, rows - 1)
        following = torch.cat((height[..., 1:], height[..., -1:]), dim=-1)
        row = torch.arange(rows, device=x.device)[:, None]
        low, high = torch.minimum(height, following), torch.maximum(height, following)
        inked = (row >= low[:, :, None]) & (row <= high[:, :, None]) & (x[:, 1, :, None] > 0)
        paper = torch.tensor(_PAPER, device=x.device)[torch.arange(self.signal_channels, device=x.device) % 2]
        strips = torch.where(inked, _INK, paper[:, None, None])
        return rearrange(strips, "b c r t -> b 1 (c r) t").to(torch.uint8)


def standardised(value: Float[Tensor, "b c t"], measured: Tensor) -> Float[Tensor, "b c t"]:
    """Return values less the mean of their channel in the window, over its deviation; 0 where nothing was measured.

    A deviation below a hundred-thousandth of the values is rounding, and such a channel becomes 0.
    """
    num = measured.sum(dim=-1, keepdim=True).clamp_min(1)
    mean = value.sum(dim=-1, keepdim=True) / num
    centred = torch.where(measured, value - mean, 0.0)
    std = (centred.square().sum(dim=-1, keepdim=True) / num).sqrt()
    return torch.where(std > 1e-5 * mean.abs(), centred / std.clamp_min(1e-30), 0.0)
