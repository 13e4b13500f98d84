"""Make clips of two scanned digits that bounce, one of them in front: it hides the other where they meet.

A fifth of the pairs and all speeds above a limit are held out, so that tests can ask what was learned of each digit and
each speed, or of the motion itself: `seen` draws from what training draws from, `unseen speed` and `unseen pair` differ
from it in that alone. Clips for tests show scans of other writers besides.

Source: after Moving MNIST (Srivastava et al. 2015, arXiv 1502.04681). Deviations: scikit-learn's bundled digits in
place of MNIST's; the digit in front hides the other by its strokes and a rim around them, where Moving MNIST adds both;
held-out pairs and speeds.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.data.clips import ClipForm, VideoDecoder
from jepakit.data.decoder import Decoded
from jepakit.data.memory import Digits
from jepakit.data.moving_digits import Motion, bounced, weights
from jepakit.data.source import Subset, places_in_whole, whole_of
from jepakit.random import Stream
from jepakit.types import require

PARTS = ("seen", "unseen speed", "unseen pair")

_TINY = 8
"""Side of a scanned digit in pixels."""

_AT_ONCE = 16
"""Clips that are drawn together: of more the parts do not fit into a processor's cache."""

_HELD_OUT = 5
"""Pairs of which the sum is a multiple of it are held out: 11 of 55, each digit in as many of them as any other."""


@dataclass(frozen=True, kw_only=True)
class DigitPairs:
    """Draw clips of two digits, the one in front first in all that is said of them.

    Args:
        seed: Of every draw.
        part: `seen`; `unseen speed`, whose digits are faster; or `unseen pair`, which shows digits together that are
            never together in the others.
        image_size: Side of a frame in pixels.
        scale: Side in pixels of what was one pixel of a scanned digit.
        speed: Slowest and fastest motion in scanned pixels per frame, whatever its direction.
        unseen_speed: The same of `unseen speed`.
        images: First scanned digit that is used, and the first that is not.

    Raises:
        UserError: A number is out of range, speeds overlap, or there is no such part.

    Example:
        >>> DigitPairs().frames(torch.arange(4), 3).shape
        torch.Size([4, 3, 1, 32, 32])
    """

    seed: int = 0
    part: str = "seen"
    image_size: int = 32
    scale: int = 2
    speed: tuple[float, float] = (0.4, 1.2)
    unseen_speed: tuple[float, float] = (1.2, 1.7)
    images: tuple[int, int] = (0, 1797)

    def __post_init__(self) -> None:
        require(self.part in PARTS, f"Pairs of digits are {', '.join(PARTS[:2])} or {PARTS[2]}, not {self.part!r}.")
        require(
            self.scale >= 1 and self._room >= 1,
            f"Digits of {_TINY * self.scale} pixels do not move in frames of {self.image_size}; give larger frames.",
        )
        for slow, fast in (self.speed, self.unseen_speed):
            require(0.0 <= slow <= fast, f"Speeds go from slow to fast, got {(slow, fast)}.")
        require(
            self.unseen_speed[0] >= self.speed[1] or self.unseen_speed[1] <= self.speed[0],
            f"Speeds of {self.speed} are seen, so {self.unseen_speed} are not unseen.",
        )
        first, end = self.images
        require(0 <= first < end <= 1797, f"Scanned digits are counted from 0 to 1797, got {self.images}.")

    def frames(self, ids: Int[Tensor, " b"], num_frames: int) -> UInt8[Tensor, "b t 1 h w"]:
        """Return the first frames of clips."""
        return torch.cat([self._frames(some, num_frames) for some in ids.split(_AT_ONCE)])

    def _frames(self, ids: Int[Tensor, " b"], num_frames: int) -> UInt8[Tensor, "b t 1 h w"]:
        ink, cover = self._sprites
        which = self._drawn(ids)[1]
        x, y = (self._moved(ids, num_frames)[0] - self.scale).unbind(dim=-1)
        rows, columns = (weights(place, self.image_size, ink.shape[-1]) for place in (y, x))
        front, behind, hidden = (
            rows[:, :, m] @ sprite[which[:, m], None] @ columns[:, :, m].transpose(-1, -2)
            for m, sprite in ((0, ink), (1, ink), (0, cover))
        )
        shown = front + (1.0 - hidden) * behind
        return (255.0 * shown.clamp_max(1.0)).round().to(torch.uint8)[:, :, None]

    def motion(self, ids: Int[Tensor, " b"], num_frames: int) -> Motion:
        """Return what is true of the same frames; there is no background that drifts."""
        position, velocity = self._moved(ids, num_frames)
        return Motion(position, velocity, self.digits(ids), torch.zeros(len(ids), num_frames, 0))

    def digits(self, ids: Int[Tensor, " b"]) -> Int[Tensor, "b 2"]:
        """Return which digits clips show."""
        return self._drawn(ids)[0]

    @property
    def _room(self) -> int:
        """Return how many pixels a digit can move along an axis."""
        return self.image_size - _TINY * self.scale

    @cached_property
    def _sprites(self) -> tuple[Float[Tensor, "n i i"], Float[Tensor, "n i i"]]:
        """Return the strokes of scanned digits, enlarged and with room for a rim, and what they hide."""
        images = Digits().images[:, 0].float() / 255.0
        ink = images.repeat_interleave(self.scale, 1).repeat_interleave(self.scale, 2)
        ink = F.pad(ink, (self.scale,) * 4)
        near = F.max_pool2d(ink, 2 * self.scale + 1, stride=1, padding=self.scale)
        return ink, (2.0 * near).clamp_max(1.0)

    @cached_property
    def _partners(self) -> Int[Tensor, "10 k"]:
        """Return the digits with which each may be shown."""
        sums = torch.arange(10)[:, None] + torch.arange(10)
        is_shown = (sums % _HELD_OUT == 0) == (self.part == "unseen pair")
        return is_shown.nonzero()[:, 1].view(10, -1)

    @cached_property
    def _scans(self) -> tuple[Int[Tensor, " n"], Int[Tensor, " 10"], Int[Tensor, " 10"]]:
        """Return the scanned digits that are used, sorted by what they are, where each kind begins and how many."""
        labels = Digits().labels
        assert labels is not None
        used = labels[slice(*self.images)]
        num = torch.bincount(used, minlength=10)
        return self.images[0] + used.argsort(stable=True), num.cumsum(0) - num, num

    def _drawn(self, ids: Int[Tensor, " b"]) -> tuple[Int[Tensor, "b 2"], Int[Tensor, "b 2"]]:
        """Return the digits of clips, and which scans of them are shown."""
        partners = self._partners
        high = torch.tensor([10, partners.shape[1]])
        front, partner = Stream(self.seed, "digit-pairs/digits").integers(0, ids, 2, high).unbind(dim=1)
        digits = torch.stack((front, partners[front, partner]), dim=1)
        order, begin, num = self._scans
        scan = Stream(self.seed, "digit-pairs/scans").integers(0, ids, 2, num[digits])
        return digits, order[begin[digits] + scan]

    def _moved(self, ids: Int[Tensor, " b"], num_frames: int) -> tuple[Tensor, Tensor]:
        """Return position and velocity (b, t, m, 2): straight on, mirrored at the edges."""
        drawn = Stream(self.seed, "digit-pairs/motion").uniform(0, ids, 8)
        begin, (speed, way) = rearrange(drawn[:, :4], "b (m a) -> b 1 m a", a=2), drawn[:, 4:].view(-1, 2, 2).unbind(1)
        slow, fast = self.unseen_speed if self.part == "unseen speed" else self.speed
        pace = self.scale * (slow + (fast - slow) * speed)
        turn = 2.0 * torch.pi * way
        velocity = pace[..., None] * torch.stack((turn.cos(), turn.sin()), dim=-1)
        return bounced(begin * self._room, velocity[:, None], self._room, num_frames)


class DigitClips:
    """Serve clips of digit pairs as a source; the label is the digit in front.

    Args:
        pairs: What is drawn.
        num_frames: Frames of a clip.
        num: How many clips there are.
        first: Id of the first, by which all about it is drawn.
    """

    def __init__(self, pairs: DigitPairs, num_frames: int, num: int, first: int = 0) -> None:
        self.pairs, self.num_frames = pairs, num_frames
        self.ids = first + torch.arange(num)
        self.labels = pairs.digits(self.ids)[:, 0]
        self.class_names: tuple[str, ...] = tuple(map(str, range(10)))

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, index: int) -> UInt8[Tensor, "t 1 h w"]:
        """Draw one clip."""
        return self.pairs.frames(self.ids[index : index + 1], self.num_frames)[0]

    def name(self, index: int) -> str:
        """Name a clip by its id."""
        return f"pair of digits {int(self.ids[index])}"


class DigitClipDecoder(VideoDecoder):
    """Draw clips of digit pairs as they are asked for, those of a batch together; none is kept.

    Args:
        source: `DigitClips`, or a part of them.
        channels: 1 for grey, 3 for three times the same.
    """

    source: DigitClips | Subset

    def __init__(self, source: DigitClips | Subset, channels: int = 1) -> None:
        whole: DigitClips = whole_of(source)
        form = ClipForm(num_frames=whole.num_frames, fps=1.0, image_size=whole.pairs.image_size, channels=channels)
        super().__init__(source, form)
        self.fixed = False
        self._whole = whole

    def at(self, step: int, ids: list[int]) -> Decoded:
        """Return the clips of these samples, at any step the same."""
        if not ids:
            return self.void(0), [], []
        numbers = places_in_whole(self.source, torch.tensor(ids, dtype=torch.long))
        frames = self._whole.pairs.frames(self._whole.ids[numbers], self.form.num_frames)
        return frames.expand(-1, -1, self.form.channels, -1, -1).contiguous(), ids, []

    def decode(self, index: int, step: int = 0) -> UInt8[Tensor, "t c h w"]:
        """Draw one clip."""
        return self.at(step, [index])[0][0]
