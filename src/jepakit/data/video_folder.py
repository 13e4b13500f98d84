"""Find video files below a folder, and cut long footage into windows."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.data.clips import Footage
from jepakit.data.folder import FolderOfFiles, find_files
from jepakit.data.frame_folder import FrameFolders, find_frames
from jepakit.data.source import Unreadable
from jepakit.data.video_file import VideoFile
from jepakit.data.video_index import looked_at
from jepakit.types import UserError, require

VIDEO_EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts"),
    *(".mpg", ".mpeg", ".flv", ".ogv", ".wmv", ".3gp"),
)


class VideoFolder(FolderOfFiles):
    """Read the video files below a folder.

    Args:
        root: The folder.
        labels: As in `FolderOfFiles`.
        index: As in `looked_at`.

    Raises:
        UserError: As `FolderOfFiles` and `looked_at`.
    """

    what = "video"
    extensions = VIDEO_EXTENSIONS

    def __init__(self, root: str | Path, labels: Literal["folder"] | None = None, index: Path | None = None) -> None:
        super().__init__(root, labels)
        self.facts = looked_at(self.root, self._paths.tolist(), index)

    def read(self, index: int) -> VideoFile:
        """Return one video, which is decoded when pictures are asked of it. Raises `Unreadable`."""
        facts = self.facts[index]
        if facts.reason:
            raise Unreadable(self.name(index), facts.reason)
        return VideoFile(lambda: self.open(index), self.name(index), facts)


class VideoWindows:
    """Show windows of footage, one after the other, as samples: a clip of each begins within it.

    Footage that cannot be read, or is too short for a clip, is one window, so that it is named where it is asked for.

    Args:
        source: The footage.
        span_s: Seconds of a clip, from its first picture to its last.
        stride_s: Seconds from the beginning of a window to that of the next.

    Raises:
        UserError: Windows do not go on.
    """

    def __init__(self, source: VideoFolder | FrameFolders, span_s: float, stride_s: float) -> None:
        require(stride_s > 0.0, f"Windows go on by more than 0 seconds, not {stride_s}.")
        self.source, self.stride_s = source, stride_s
        self._rooms = [_room(source, index, span_s) for index in range(len(source))]
        num = torch.tensor([1 + int(room / stride_s) for room in self._rooms], dtype=torch.long)
        self._first = num.cumsum(0) - num
        self.footage: Int[Tensor, " b"] = torch.repeat_interleave(num)
        self.labels = None if source.labels is None else source.labels[self.footage]
        self.class_names = source.class_names

    def __len__(self) -> int:
        return len(self.footage)

    def of(self, footage: Int[Tensor, " k"]) -> Int[Tensor, " m"]:
        """Return the windows of some footage."""
        return torch.isin(self.footage, footage).nonzero()[:, 0]

    def read(self, index: int) -> Footage:
        """Open the footage of one window. Raises `Unreadable`."""
        number, begin = self._place(index)
        end = min(begin + self.stride_s, self._rooms[number])
        return replace(self.source.read(number), window=(begin, end))

    def name(self, index: int) -> str:
        """Name the footage and the second of its window."""
        number, begin = self._place(index)
        return f"{self.source.name(number)} from {begin:g} s"

    def _place(self, index: int) -> tuple[int, float]:
        """Return the footage of a window and the second at which it begins."""
        number = int(self.footage[index])
        return number, (index - int(self._first[number])) * self.stride_s


def _room(source: Any, index: int, span_s: float) -> float:
    """Return the last second at which a clip can begin; 0 where none can."""
    try:
        return max(0.0, source.read(index).seconds - span_s)
    except Unreadable:
        return 0.0


def open_videos(
    spec: str | Path,
    *,
    labels: bool | str = False,
    frame_rate: float = 25.0,
    index: Path | None = None,
) -> VideoFolder | FrameFolders:
    """Open a folder of video files, or of folders of pictures where there is no video file below it.

    Args:
        spec: The path.
        labels: False for none; True or "folder" for the folders directly below it.
        frame_rate: Pictures a second of folders of pictures.
        index: As in `looked_at`.

    Raises:
        NoLabels: Labels are asked for, and there are none.
        UserError: There is nothing at the path, nothing that can be read, or labels that are wrong.
    """
    path = Path(spec)
    if path.is_file():
        raise UserError(f"{str(spec)!r} is a single file; give a folder of videos, or of folders of pictures.")
    if labels not in (False, True, "folder"):
        raise UserError(f"{str(spec)!r} is a folder without columns; ask for its labels by 'folder', not {labels!r}.")
    by_folder: Literal["folder"] | None = "folder" if labels else None
    if path.is_dir() and not find_files(path, VIDEO_EXTENSIONS).files and any(find_frames(path)):
        return FrameFolders(path, frame_rate, by_folder)
    return VideoFolder(path, by_folder, index)
