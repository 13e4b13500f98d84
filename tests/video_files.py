"""Make small videos whose pictures tell their own number: constant times or not, turned, odd, damaged, silent."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor


def av_or_skip() -> Any:
    """Return PyAV, or skip the test."""
    return pytest.importorskip("av", reason="jepakit[video] not installed")


def numbered(number: int, width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Return a picture whose mean tells a number below 31, with waves that go on."""
    waves = 8 * np.sin(2 * np.pi * (4 * np.arange(width) / width + number / 7))
    return np.broadcast_to((22 + 7 * (number % 31) + waves)[None, :, None], (height, width, 3)).round().astype(np.uint8)


def numbers_of(clip: Tensor) -> list[int]:
    """Return the numbers that pictures (t, c, h, w) tell."""
    return [round((float(picture.float().mean()) - 22) / 7) for picture in clip]


def quarter_lit(width: int = 64, height: int = 48) -> NDArray[np.uint8]:
    """Return a picture whose left upper quarter is bright."""
    picture = np.full((height, width, 3), 20, np.uint8)
    picture[: height // 2, : width // 2] = 220
    return picture


def write_video(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    codec: str = "libx264",
    rate: int = 10,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    **options: str,
) -> Path:
    """Write a video.

    Args:
        path: Its ending decides the container.
        pictures: (h, w, 3).
        codec: How they are encoded.
        rate: Pictures a second.
        times: When each is shown, in thousandths of a second; by default one after the other.
        rotation: Degrees by which it is to be turned counter-clockwise when shown.
        options: Of the codec.
    """
    av = av_or_skip()
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if rotation:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this version of PyAV writes no rotation")
            stream.set_display_rotation(rotation)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(pictures):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                picture.pts, picture.time_base = times[number], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """Write a second of silence in a container of videos."""
    av = av_or_skip()
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        sound.rate, sound.pts = 8000, 0
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    return path


def damage(path: Path, begin: float, end: float) -> Path:
    """Overwrite a part of a file, told by shares of its length, with what is no video."""
    data = bytearray(path.read_bytes())
    first, last = int(begin * len(data)), int(end * len(data))
    data[first:last] = bytes((37 * i + i // 7) % 256 for i in range(last - first))
    path.write_bytes(data)
    return path
