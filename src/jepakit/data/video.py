"""Read pictures from video files by their number, through PyAV."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from jepakit.types import UserError, require


@dataclass(frozen=True)
class VideoFrames:
    """Read pictures from videos, each picture's number counted by its time.

    A clip is decoded from the key frame before it on: fast for videos with many key frames, slow for others; `pack`
    turns a recording into arrays once and for all.

    Args:
        files: The videos.
        file: Which video each row is in.
        number: Its number there.
        fps: Pictures a second.
    """

    files: tuple[Path, ...]
    file: Int[Tensor, " n"]
    number: Int[Tensor, " n"]
    fps: float

    def __call__(self, rows: Int[Tensor, "b t"]) -> UInt8[Tensor, "b t c h w"]:
        """Return the pictures of these rows.

        Raises:
            UserError: PyAV is not installed, or a video is missing, damaged or shorter than its table says.
        """
        clips = [
            pictures_of(self.files[int(self.file[clip[0]])], self.number[clip].tolist(), self.fps) for clip in rows
        ]
        return torch.from_numpy(np.stack(clips)).permute(0, 1, 4, 2, 3).contiguous()


def pictures_of(path: Path, numbers: list[int], fps: float) -> NDArray[np.uint8]:
    """Return the pictures of a video with these ascending numbers, as uint8 (t h w c).

    Raises:
        UserError: PyAV is not installed, or the video is missing, damaged or shorter.
    """
    try:
        import av
    except ImportError as error:
        raise UserError("Video is read by PyAV, which is not installed; pip install 'jepakit[video]'.") from error
    require(path.is_file(), f"{path} does not exist, though the dataset's tables speak of it.")
    try:
        with av.open(str(path)) as container:
            require(bool(container.streams.video), f"{path} holds no video.")
            found = _decoded(container, numbers, fps)
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(f"{path} is truncated, damaged or no video ({error}).") from error
    missing = [number for number in numbers if number not in found]
    require(not missing, f"{path} has no picture {missing[0] if missing else 0}; it is shorter than the tables say.")
    return np.stack([found[number] for number in numbers])


def _decoded(container: Any, numbers: list[int], fps: float) -> dict[int, NDArray[np.uint8]]:
    """Decode from the key frame before the first number to the last number."""
    stream = container.streams.video[0]
    base, begin = stream.time_base or Fraction(1, 1000), stream.start_time or 0
    container.seek(max(begin, begin + int(numbers[0] / fps / base)), stream=stream)
    wanted, found = set(numbers), {}
    for picture in container.decode(stream):
        if picture.pts is None:
            continue
        number = round(float((picture.pts - begin) * base) * fps)
        if number in wanted:
            found[number] = picture.to_ndarray(format="rgb24")
        if number >= numbers[-1]:
            break
    return found
