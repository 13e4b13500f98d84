"""Read folders of pictures as footage: one folder a clip, its pictures in the order of the numbers in their names."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from jepakit.data.clips import LATE_S
from jepakit.data.decode import EXTENSIONS, open_image, to_uint8
from jepakit.data.folder import FolderOfFiles, find_files
from jepakit.data.source import Unreadable
from jepakit.types import require


@dataclass(frozen=True)
class FrameFolder:
    """Hold the pictures of one folder.

    Args:
        paths: The pictures, in time.
        name: What the folder is called.
        rate: Pictures a second.
        window: As in `Footage`.
    """

    paths: Sequence[Path]
    name: str
    rate: float
    window: tuple[float, float] | None = None

    @property
    def seconds(self) -> float:
        """Return the seconds from the first picture to the last."""
        return (len(self.paths) - 1) / self.rate

    def pictures(self, times: Sequence[float], size: int, channels: int) -> UInt8[Tensor, "t c h w"]:
        """Decode what is shown at these ascending times, each picture once. Raises `Unreadable`."""
        shown = [min(int((time + LATE_S) * self.rate), len(self.paths) - 1) for time in times]
        decoded = {number: self._picture(self.paths[number], size, channels) for number in sorted(set(shown))}
        return torch.stack([decoded[number] for number in shown])

    def _picture(self, path: Path, size: int, channels: int) -> UInt8[Tensor, "c h w"]:
        try:
            return to_uint8(open_image(path.read_bytes(), path.name), channels, size, name=path.name)
        except OSError as error:
            raise Unreadable(self.name, f"{path.name} cannot be read: {error.strerror}") from error
        except Unreadable as error:
            raise Unreadable(self.name, f"{error.name}: {error.reason}") from error


class FrameFolders(FolderOfFiles):
    """Find the folders of pictures below a folder.

    Args:
        root: The folder.
        rate: Pictures a second.
        labels: As in `FolderOfFiles`, of folders in place of files.

    Raises:
        UserError: As `FolderOfFiles`, all pictures lie in `root` itself, or the rate is not positive.
    """

    what = "clip"

    def __init__(self, root: str | Path, rate: float, labels: Literal["folder"] | None = None) -> None:
        require(rate > 0.0, f"Folders of pictures hold above 0 pictures a second, not {rate}.")
        super().__init__(root)
        self.rate = rate
        folders = find_frames(self.root)
        require(
            bool(folders),
            f"All pictures of {str(self.root)!r} lie in it directly; put those of each clip in a folder of their own.",
        )
        self._paths = np.array([os.fsencode(folder) for folder in folders])
        self._frames = list(folders.values())
        if labels is not None:
            self._label_by_folder(list(folders))

    def read(self, index: int) -> FrameFolder:
        """Return the pictures of one folder, which are decoded when they are asked for."""
        folder = self.root / os.fsdecode(bytes(self._paths[index]))
        paths = [folder / os.fsdecode(bytes(name)) for name in self._frames[index]]
        return FrameFolder(paths, self.name(index), self.rate)


def find_frames(root: Path) -> dict[str, NDArray[Any]]:
    """Return the names of the pictures of each folder below a folder, by the numbers in them; none of its own."""
    files = sorted((path for path in find_files(root, EXTENSIONS).files if "/" in path), key=_by_number)
    return {
        folder: np.array([os.fsencode(path.rpartition("/")[2]) for path in paths])
        for folder, paths in groupby(files, key=lambda path: path.rpartition("/")[0])
    }


def _by_number(path: str) -> tuple[str, list[tuple[int, str]]]:
    """Return what sorts frame_9 before frame_10, folder by folder."""
    folder, _, name = path.rpartition("/")
    parts = re.split(r"(\d+)", name)
    return folder, [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
