"""Make clips of scanned digits that bounce in a frame, before a background or none: a pure function of (seed, id).

Where a digit is at a time has a closed form, so any frame of any clip is drawn without those before it. Digits are
drawn between pixels by linear interpolation, the brighter on top where two meet.

Source: after Moving MNIST (Srivastava et al. 2015, arXiv 1502.04681). Deviations: scikit-learn's bundled digits in
place of MNIST's, one or two of them, in smaller frames, and backgrounds behind them.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.data.memory import Digits
from jepakit.random import Stream
from jepakit.types import require
from jepakit.views import drawn_texture, whole_specks

BACKGROUNDS = ("none", "noise", "texture")

_TINY = 8
"""Side of a scanned digit in pixels."""

_GRAIN = 2
"""Side of the squares of noise in pixels."""


@dataclass(frozen=True)
class Motion:
    """Hold what is true of clips.

    Args:
        position: Left and upper edge of each digit in pixels, x first.
        velocity: Pixels per frame along x and y, as they are after the bounces so far.
        label: Which digit each is.
        drift: Cosine and sine of how far the background is shifted along x and y, in turns of its period; no columns
            where it is no texture.
    """

    position: Float[Tensor, "b t m 2"]
    velocity: Float[Tensor, "b t m 2"]
    label: Int[Tensor, "b m"]
    drift: Float[Tensor, "b t _"]


@dataclass(frozen=True)
class MovingDigits:
    """Draw clips of bouncing digits.

    Args:
        seed: Of every draw.
        num_digits: Digits in a frame, 1 or 2.
        image_size: Side of a frame in pixels.
        scale: Side in pixels of what was one pixel of a scanned digit.
        speed: Slowest and fastest motion along each axis, in pixels per frame.
        background: `none` is black; `noise` is new in every frame and cannot be predicted; a `texture` drifts by a
            pixel per frame, along a direction of each clip's own, and can be.
        strength: How bright the background may be, in (0, 1].
        images: First scanned digit that is used, and the first that is not; clips for tests take others than clips to
            learn from.

    Raises:
        UserError: A number is out of range, or there is no such background.

    Example:
        >>> digits = MovingDigits(background="noise")
        >>> digits.frames(torch.arange(4), 3).shape
        torch.Size([4, 3, 1, 32, 32])
    """

    seed: int = 0
    num_digits: int = 1
    image_size: int = 32
    scale: int = 2
    speed: tuple[float, float] = (1.0, 3.0)
    background: str = "none"
    strength: float = 0.7
    images: tuple[int, int] = (0, 1797)

    def __post_init__(self) -> None:
        require(self.num_digits in (1, 2), f"There are 1 or 2 moving digits, not {self.num_digits}.")
        require(
            self.scale >= 1 and self._room >= 1,
            f"Digits of {_TINY * self.scale} pixels do not move in frames of {self.image_size}; give larger frames.",
        )
        require(0.0 <= self.speed[0] <= self.speed[1], f"Speeds go from slow to fast, got {self.speed}.")
        require(
            self.background in BACKGROUNDS,
            f"A background is none, noise or texture, not {self.background!r}.",
        )
        require(0.0 < self.strength <= 1.0, f"The strength of a background is in (0, 1], got {self.strength}.")
        first, end = self.images
        require(0 <= first < end <= 1797, f"Scanned digits are counted from 0 to 1797, got {self.images}.")

    def frames(self, ids: Int[Tensor, " b"], num_frames: int) -> UInt8[Tensor, "b t 1 h w"]:
        """Return the first frames of clips."""
        scanned, _ = self._scanned
        digit = scanned[self._which(ids)].float() / 255.0
        x, y = self._moved(ids, num_frames)[0].unbind(dim=-1)
        rows, columns = (weights(place, self.image_size, _TINY * self.scale) for place in (y, x))
        layers = torch.einsum("btmhi,bmij,btmwj->btmhw", rows, digit, columns)
        front = layers.amax(dim=2)
        drawn = front + (1.0 - front) * self.strength * self._behind(ids, num_frames)
        return (255.0 * drawn).round().to(torch.uint8)[:, :, None]

    def motion(self, ids: Int[Tensor, " b"], num_frames: int) -> Motion:
        """Return what is true of the same frames."""
        position, velocity = self._moved(ids, num_frames)
        drift = torch.zeros(len(ids), num_frames, 0)
        if self.background == "texture":
            turns = 2.0 * torch.pi * self._shift(ids, num_frames).float() / whole_specks(self.image_size)
            drift = torch.cat((turns.cos(), turns.sin()), dim=-1)
        return Motion(position, velocity, self._scanned[1][self._which(ids)], drift)

    @property
    def _room(self) -> int:
        """Return how many pixels a digit can move along an axis."""
        return self.image_size - _TINY * self.scale

    @cached_property
    def _scanned(self) -> tuple[UInt8[Tensor, "n h w"], Int[Tensor, " n"]]:
        """Return the scanned digits that are used, enlarged, and which digits they are."""
        source, used = Digits(), slice(*self.images)
        assert source.labels is not None
        large = source.images[used, 0].repeat_interleave(self.scale, 1).repeat_interleave(self.scale, 2)
        return large, source.labels[used]

    def _which(self, ids: Int[Tensor, " b"]) -> Int[Tensor, "b m"]:
        """Return which scanned digits are shown."""
        first, end = self.images
        return Stream(self.seed, "moving-digits/which").integers(0, ids, self.num_digits, end - first)

    def _moved(self, ids: Int[Tensor, " b"], num_frames: int) -> tuple[Tensor, Tensor]:
        """Return position and velocity (b, t, m, 2): straight on, mirrored at the edges."""
        drawn = Stream(self.seed, "moving-digits/motion").uniform(0, ids, 6 * self.num_digits)
        begin, speed, sign = rearrange(drawn, "b (k m a) -> k b 1 m a", k=3, a=2)
        slow, fast = self.speed
        pace = (slow + (fast - slow) * speed) * torch.where(sign < 0.5, -1.0, 1.0)
        return bounced(begin * self._room, pace, self._room, num_frames)

    def _behind(self, ids: Int[Tensor, " b"], num_frames: int) -> Float[Tensor, "b t h w"]:
        """Return the background, from 0 to 1."""
        size = self.image_size
        if self.background == "noise":
            side = -(-size // _GRAIN)
            times = range(num_frames)
            stream = Stream(self.seed, "moving-digits/noise")
            squares = torch.stack([stream.uniform(t, ids, side**2).view(-1, side, side) for t in times], dim=1)
            return squares.repeat_interleave(_GRAIN, 2).repeat_interleave(_GRAIN, 3)[:, :, :size, :size]
        if self.background == "texture":
            period = whole_specks(size)
            texture = drawn_texture(1, period, 0, ids.device)[0] / 255.0
            across, down = ((self._shift(ids, num_frames)[..., i, None] + torch.arange(size)) % period for i in (0, 1))
            return texture[down[..., :, None], across[..., None, :]]
        return torch.zeros(len(ids), num_frames, size, size)

    def _shift(self, ids: Int[Tensor, " b"], num_frames: int) -> Int[Tensor, "b t 2"]:
        """Return how far the texture is shifted along x and y, in whole pixels."""
        drawn = Stream(self.seed, "moving-digits/texture").integers(0, ids, 3, 1 << 30)
        ways = torch.tensor([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1) if (x, y) != (0, 0)])
        drift = ways[drawn[:, 2] % len(ways)]
        gone = drawn[:, None, :2] + drift[:, None] * torch.arange(num_frames)[:, None]
        return gone % whole_specks(self.image_size)


def bounced(
    begin: Float[Tensor, "b 1 m 2"], pace: Float[Tensor, "b 1 m 2"], room: int, num_frames: int
) -> tuple[Float[Tensor, "b t m 2"], Float[Tensor, "b t m 2"]]:
    """Return place and velocity, in pixels and per frame, of what goes straight on and is mirrored at 0 and `room`."""
    folded = (begin + pace * torch.arange(num_frames)[:, None, None]) % (2 * room)  # there and back again
    is_back = folded > room
    return torch.where(is_back, 2 * room - folded, folded), torch.where(is_back, -pace, pace)


def weights(place: Float[Tensor, "b t m"], image_size: int, size: int) -> Float[Tensor, "b t m h i"]:
    """Return how much of each row of a picture falls on each row of the frame, which may lie between two."""
    gap = torch.arange(image_size)[:, None] - torch.arange(size) - place[..., None, None]
    return (1.0 - gap.abs()).clamp_min(0.0)
