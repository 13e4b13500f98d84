"""Take pictures from a video file at any times, decoding no more than must be, straight to the size that is asked for.

What is done with the odd ones:

    uneven times (variable frame rate)   the picture that is shown at a time is the last that came before
    turned by metadata                   turned upright, in quarter turns; mirroring is left out
    pixels that are not square           the middle that is cut out is square as it is shown
    damage in the clip, or in what it is decoded from   `Unreadable`; clips elsewhere in the file are read
    10 bits, transparent, interlaced     8 bits, as stored, as stored

Decoding begins at the key frame before the first time, known from the index. Up to the last time, pictures that are not
asked for and that no other is decoded from are skipped, and so is the rest of a group of pictures once the last that is
asked for has come out. AVI tells no times: where its pictures are stored in another order than they are shown in, it is
decoded from its beginning on, whose pictures can be counted. One thread decodes: loaders start a process for each CPU.
"""

import io
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from jepakit.data.clips import LATE_S
from jepakit.data.source import Unreadable
from jepakit.data.video_index import VideoFacts, demuxed, opened, stamp_of

_SKIPPING = ("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4")
"""Decoders that skip just the picture they are told to skip; others look at this once for several."""
_MOST_SORTED = 16
"""Most pictures that may be stored between one and those shown before it."""
_EARLIER_S = 2.0
"""Seconds before a key frame at which it is looked for where it was passed."""


@dataclass(frozen=True)
class VideoFile:
    """Hold one video that can be opened.

    Args:
        open_file: Opens its bytes. Raises `Unreadable`.
        name: What it is called.
        facts: What a look at it told.
        window: As in `Footage`.
    """

    open_file: Callable[[], io.BufferedIOBase]
    name: str
    facts: VideoFacts
    window: tuple[float, float] | None = None

    @property
    def seconds(self) -> float:
        """Return the seconds from the first picture to the last."""
        return self.facts.seconds

    def pictures(self, times: Sequence[float], size: int, channels: int) -> UInt8[Tensor, "t c h w"]:
        """Decode what is shown at these ascending times, counted from the first picture. Raises `Unreadable`."""
        base = Fraction(*self.facts.base)
        wanted = [self.facts.first + int((time + LATE_S) / base) for time in times]
        found: list[NDArray[np.uint8]] = []
        with opened(self.open_file(), self.name) as (container, stream):
            shrink = Shrink(size, channels, stream)
            for stamps in runs(wanted, self._keys):
                packets = self._packets(container, stream, stamps)
                found += self._shown(stream, packets, stamps, shrink)
        return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).contiguous()

    @property
    def _keys(self) -> tuple[int, ...]:
        """Return the stamps of the pictures from which decoding can begin such that times are known."""
        return self.facts.keys[:1] if self.facts.is_unsorted else self.facts.keys

    def _packets(self, container: Any, stream: Any, wanted: list[int]) -> list[Any]:
        """Read what the pictures of a run are decoded from, in the order of decoding. Raises `Unreadable`."""
        key = self._keys[_group(wanted[0], self._keys)]
        last = wanted[-1] + (_MOST_SORTED if self.facts.is_unsorted else 0)
        earlier = key - int(_EARLIER_S / Fraction(*self.facts.base))
        for place in (key, max(earlier, self.facts.keys[0]), None):  # MPEG-TS is entered after the key frame too
            if place is None:
                container.seek(0)
            else:
                container.seek(place, stream=stream)
            packets = _from_key(demuxed(container, stream, self.name), key, last)
            if packets:
                return packets
        raise Unreadable(self.name, "cannot be decoded: a key frame that was there is gone")

    def _shown(
        self, stream: Any, packets: list[Any], wanted: list[int], shrink: "Shrink"
    ) -> Iterator[NDArray[np.uint8]]:
        """Give the picture that is shown at each stamp. Raises `Unreadable`."""
        given, last = 0, None
        decode = decoded_in_order if self.facts.is_unsorted else decoded
        for stamp, picture in decode(stream, packets, wanted):
            if picture.is_corrupt:
                raise Unreadable(self.name, "damaged where the clip was to be taken")
            num = bisect_right(wanted, stamp - 1)
            if num > given:
                yield from [shrink(picture if last is None else last)] * (num - given)
                given = num
            if given == len(wanted):
                return
            last = picture
        if last is None:
            raise Unreadable(self.name, "cannot be decoded: no picture came out")
        yield from [shrink(last)] * (len(wanted) - given)


def _from_key(stored: Iterator[Any], key: int, last: int) -> list[Any]:
    """Return the packets from a key frame on of all that is shown up to a stamp; none where the key frame is passed."""
    packets: list[Any] = []
    for packet in stored:
        stamp = stamp_of(packet)
        if stamp is None:
            continue
        if not packets and packet.is_keyframe and stamp > key:
            break
        if packet.dts is not None and packet.dts > last:  # what is shown earlier was stored earlier
            break
        # what is stored after the key frame and shown before it needs what came before it
        if (packets and stamp > key) or (packet.is_keyframe and stamp == key):
            packets.append(packet)
    return packets


def runs(wanted: list[int], keys: Sequence[int]) -> list[list[int]]:
    """Divide stamps, ascending, where a whole group of pictures lies between two: it is jumped over, not read.

    Example:
        >>> runs([0, 10, 29, 55], keys=[0, 20, 40, 50])
        [[0, 10, 29], [55]]
    """
    found = [[wanted[0]]]
    for before, stamp in pairwise(wanted):
        if _group(stamp, keys) - _group(before, keys) > 1:
            found.append([])
        found[-1].append(stamp)
    return found


def decoded(stream: Any, packets: list[Any], wanted: list[int]) -> Iterator[tuple[int, Any]]:
    """Decode the pictures that are shown at these stamps, and what they need, in the order in which they are shown."""
    context = stream.codec_context
    can_skip = context.name in _SKIPPING
    stamps = sorted(stamp_of(packet) for packet in packets if not packet.is_discard)
    if not stamps:
        return
    shown = {stamps[max(0, bisect_right(stamps, stamp) - 1)] for stamp in wanted}
    for group in _groups(packets, shown):
        end = max((i for i, packet in enumerate(group) if stamp_of(packet) in shown), default=-1) + 1
        for packet in [*group[:end], None] if end else ():
            if packet is not None and can_skip:
                context.skip_frame = "DEFAULT" if stamp_of(packet) in shown else "NONREF"
            for picture in context.decode(packet):
                if picture.pts is not None:
                    yield picture.pts, picture
        context.flush_buffers()


def decoded_in_order(stream: Any, packets: list[Any], wanted: list[int]) -> Iterator[tuple[int, Any]]:
    """Decode all pictures from the first on; as they come out they are those of the stamps in their order."""
    pictures = (picture for packet in [*packets, None] for picture in stream.codec_context.decode(packet))
    yield from zip(sorted(map(stamp_of, packets)), pictures, strict=False)


def _groups(packets: list[Any], shown: set[int]) -> list[list[Any]]:
    """Divide packets at key frames, save where a picture that is asked for needs what lies on both sides of one."""
    found: list[list[Any]] = []
    begins = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    for begin, end in zip(begins, [*begins[1:], len(packets)], strict=True):
        group, key = packets[begin:end], stamp_of(packets[begin])
        if found and any(stamp_of(packet) < key and stamp_of(packet) in shown for packet in group):
            found[-1] += group
        else:
            found.append(group)
    return found


def _group(stamp: int, keys: Sequence[int]) -> int:
    """Return the number of the group of pictures in which a stamp lies."""
    return max(0, bisect_right(keys, stamp) - 1)


class Shrink:
    """Cut out the middle square of pictures and bring it to one size and colour, in one pass over what is cut out.

    Args:
        size: Height and width.
        channels: 1 for grey, 3 for RGB.
        stream: Says how wide a pixel is shown, and in which unit times are told.
    """

    def __init__(self, size: int, channels: int, stream: Any) -> None:
        self.size, self.format = size, "gray" if channels == 1 else "rgb24"
        self.aspect, self.base = float(stream.sample_aspect_ratio or 1), stream.time_base
        self._graph: Any = None
        self._made_for: tuple[int, int, str] | None = None

    def __call__(self, picture: Any) -> NDArray[np.uint8]:
        """Return the pixels (h, w, c) of a picture, upright."""
        form = picture.width, picture.height, picture.format.name
        if form != self._made_for:  # the size may change within a video
            self._graph, self._made_for = self._made(picture), form
        self._graph.vpush(picture)
        pixels: NDArray[np.uint8] = self._graph.vpull().to_ndarray()
        return np.rot90(pixels.reshape(self.size, self.size, -1), round(picture.rotation / 90))

    def _made(self, picture: Any) -> Any:
        from av.filter import Graph

        side = min(picture.width * self.aspect, float(picture.height))
        graph = Graph()
        form = {"width": picture.width, "height": picture.height, "format": picture.format}
        source = graph.add_buffer(**form, time_base=self.base)
        cut = graph.add("crop", f"{max(1, int(side / self.aspect))}:{max(1, int(side))}")
        # without the second flag every two pixels side by side would share a colour
        scale = graph.add("scale", f"{self.size}:{self.size}:flags=bicubic+full_chroma_int")
        graph.link_nodes(source, cut, scale, graph.add("format", self.format), graph.add("buffersink")).configure()
        return graph
