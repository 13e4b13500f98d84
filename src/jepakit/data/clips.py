"""Take clips of one form from footage: so many pictures, so many a second, at one size; where they begin is a draw.

A clip begins anywhere that leaves room for its last picture. In training where is a pure function of (seed, step,
sample's id), so each visit sees another part; without a seed it is fixed: the middle of the footage, or the beginning
of its window. Footage too short for a clip is `Unreadable`: to repeat its last picture would teach that nothing moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from jepakit.data.decode import check_form
from jepakit.data.decoder import Decoder
from jepakit.data.source import Source, Subset, Unreadable
from jepakit.random import Stream
from jepakit.types import VideoBatch, require

LATE_S = 1e-3
"""Seconds by which a picture may come late: containers round times, some of them to a thousandth of a second."""


@dataclass(frozen=True, kw_only=True)
class ClipForm:
    """Say what all clips are brought to.

    Args:
        num_frames: Pictures of a clip.
        fps: Pictures a second; footage of fewer shows some twice.
        image_size: Height and width: the shorter side is brought to it, and the middle is cut out.
        channels: 1 for grey, 3 for RGB.

    Raises:
        UserError: One of them cannot be.
    """

    num_frames: int
    fps: float
    image_size: int
    channels: int = 3

    def __post_init__(self) -> None:
        check_form(self.channels, self.image_size, "crop")
        require(self.num_frames >= 1, f"A clip has at least 1 picture, not {self.num_frames}.")
        require(0.0 < self.fps <= 1000.0, f"A clip has above 0 and at most 1000 pictures a second, not {self.fps}.")

    @property
    def span_s(self) -> float:
        """Return the seconds from the first picture of a clip to its last."""
        return (self.num_frames - 1) / self.fps

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Return the shape (t, c, h, w) of a clip."""
        return self.num_frames, self.channels, self.image_size, self.image_size


@runtime_checkable
class Footage(Protocol):
    """What a source opens: pictures that can be taken from any time on."""

    @property
    def seconds(self) -> float:
        """Return the seconds from the first picture to the last."""
        ...

    @property
    def window(self) -> tuple[float, float] | None:
        """Return the first second at which a clip may begin, and the last; None where any part may be taken."""
        ...

    def pictures(self, times: Sequence[float], size: int, channels: int) -> UInt8[Tensor, "t c h w"]:
        """Return what is seen at these ascending times, counted from the first picture. Raises `Unreadable`."""
        ...


@runtime_checkable
class VideoSource(Source, Protocol):
    """Open footage one by one, or clips that are already pixels."""

    def read(self, index: int) -> Footage | UInt8[Tensor, "t c h w"]:
        """Open one piece of footage; it is decoded later. Raises `Unreadable`."""
        ...


class VideoDecoder(Decoder):
    """Decode clips into uint8 (t, c, h, w).

    Args:
        source: Where the footage comes from.
        form: What clips are brought to.
        seed: The run's seed, by which each step begins clips elsewhere; None begins them always at the same place.
    """

    source: VideoSource | Subset

    def __init__(self, source: VideoSource | Subset, form: ClipForm, seed: int | None = None) -> None:
        super().__init__(source)
        self.form, self.seed = form, seed
        self.fixed = seed is None

    def decode(self, index: int, step: int = 0) -> UInt8[Tensor, "t c h w"]:
        """Decode one clip, begun where the step says if there is a seed. Raises `Unreadable`."""
        footage, form = self.source.read(index), self.form
        if isinstance(footage, Tensor):
            if footage.shape != form.shape or footage.dtype != torch.uint8:
                what = f"{footage.dtype} of shape {tuple(footage.shape)}, not uint8 {form.shape}"
                raise Unreadable(self.source.name(index), what)
            return footage
        begin = self._begin(footage, index, step)
        times = [begin + number / form.fps for number in range(form.num_frames)]
        return footage.pictures(times, form.image_size, form.channels)

    def void(self, num: int) -> UInt8[Tensor, "b t c h w"]:
        """Return room for so many clips."""
        return torch.empty(num, *self.form.shape, dtype=torch.uint8)

    def batch(self, content: Tensor, ids: Int[Tensor, " b"]) -> VideoBatch:
        """Return clips with their ids."""
        return VideoBatch(content, ids)

    def _begin(self, footage: Footage, index: int, step: int) -> float:
        """Return the second at which a clip begins. Raises `Unreadable` where there is no room for one."""
        room = footage.seconds - self.form.span_s
        if room < -LATE_S:
            raise Unreadable(
                self.source.name(index),
                f"it lasts {footage.seconds:.2f} s from its first picture to its last, less than the "
                f"{self.form.span_s:.2f} s of a clip",
            )
        first, last = (0.0, max(room, 0.0)) if footage.window is None else footage.window
        if self.seed is None:
            return first if footage.window is not None else last / 2
        draw = float(Stream(self.seed, "clip/begin").uniform(step, torch.tensor([index]), 1))
        return first + draw * (last - first)
