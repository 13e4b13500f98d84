"""Keep episodes in a folder of plain arrays that can be mapped into memory: our compact form of trajectories.

    index.json    what is there: shapes, lengths of the episodes, a checksum of each array, a free description
    frames.bin    uint8, one picture a row (c h w), episode after episode
    action.bin    float32, row by row beside the frames; the row of an episode's last frame is zero and means nothing
    proprio.bin   float32, row by row, where there is proprioception

A reader maps the frames and touches only those of its clips, so the set may be larger than memory. The folder appears
under its name when all of it is on the disk: a kill leaves nothing, or a hidden folder that ends in `.part`.
"""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.storage.atomic import naming_folder, read_object
from jepakit.types import UserError, require

FORMAT = "jepakit trajectories"
VERSION = 1
INDEX = "index.json"
RANKS = {"frames": 3, "action": 1, "proprio": 1}
"""Axes of a row of each array."""
_CHECKED_AT_ONCE = 2**24  # bytes


@dataclass(frozen=True)
class Episode:
    """Hold what was seen, done and felt in one episode of t frames.

    Args:
        frames: Pictures.
        action: What was done between each frame and the next; the number of a choice, where there are choices.
        proprio: What the body felt at each frame.
    """

    frames: UInt8[Tensor, "t c h w"]
    action: Float[Tensor, "_ a"]
    proprio: Float[Tensor, "t p"] | None = None


@dataclass(frozen=True)
class StoredTrajectories:
    """Hold what a folder of trajectories holds; `frames` are read from the disk when they are touched.

    Args:
        frames: Pictures of all episodes.
        action: Beside each frame what was done there; zeros beside an episode's last.
        proprio: What the body felt at each frame.
        lengths: Frames of each episode.
        num_choices: Choices, where an action is the number of one; 0 otherwise.
        description: What its writer said of it.
    """

    frames: UInt8[Tensor, "n c h w"]
    action: Float[Tensor, "n a"]
    proprio: Float[Tensor, "n p"] | None
    lengths: Int[Tensor, " e"]
    num_choices: int
    description: Mapping[str, Any]


def write_trajectories(
    path: str | Path, episodes: Iterable[Episode], *, num_choices: int = 0, description: Mapping[str, Any] | None = None
) -> int:
    """Write episodes one after the other into a new folder, and return how many.

    Args:
        path: The folder; there must be nothing yet.
        episodes: Taken one at a time, so that all of them need never be in memory.
        num_choices: Choices, where an action is the number of one.
        description: Anything that JSON holds, such as the environment and the seed.

    Raises:
        UserError: There is something at the path, there are no episodes, one has no action, an action that is not
            finite or another shape than the first, the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    require(not path.exists(), f"{path} exists already; choose another name or remove it.")
    with naming_folder(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        with contextlib.ExitStack() as files:
            writer = _Writer(temporary, files, num_choices, dict(description or {}))
            for episode in episodes:
                writer.append(episode)
            writer.finish()
        temporary.chmod(0o755)
        temporary.rename(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"The disk is full: {path} was not written; free some space and go on.") from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(writer.lengths)


class _Writer:
    """Append episodes to the files of one folder."""

    def __init__(self, folder: Path, opened: contextlib.ExitStack, num_choices: int, description: dict[str, Any]):
        self.folder = folder
        self.opened = opened
        self.head = {"format": FORMAT, "version": VERSION, "num_choices": num_choices}
        self.description = description
        self.lengths: list[int] = []
        self.shapes: dict[str, list[int]] = {}
        self.files: dict[str, BinaryIO] = {}
        self.checksums: dict[str, int] = {}

    def append(self, episode: Episode) -> None:
        """Write one episode behind the others."""
        which = f"Episode {len(self.lengths)}"
        num_frames, num_actions = len(episode.frames), len(episode.action)
        require(
            num_frames == num_actions + 1 and num_actions > 0,
            f"{which} has {num_frames} frames and {num_actions} actions; it needs at least one action, and one frame "
            "more than actions.",
        )
        arrays = {"frames": episode.frames, "action": torch.cat((episode.action, 0 * episode.action[:1].nan_to_num()))}
        if episode.proprio is not None:
            arrays["proprio"] = episode.proprio
        for name, array in arrays.items():
            require(bool(array.isfinite().all()), f"{which} has numbers in {name} that are not finite.")
        shapes = {name: list(array.shape[1:]) for name, array in arrays.items()}
        self.shapes = self.shapes or shapes
        require(shapes == self.shapes, f"{which} is of {shapes} a frame, the first of {self.shapes}; they must agree.")
        for name, array in arrays.items():
            self._write(name, array.cpu().contiguous().to(torch.uint8 if name == "frames" else torch.float32))
        self.lengths.append(num_frames)

    def _write(self, name: str, array: Tensor) -> None:
        if name not in self.files:
            self.files[name] = self.opened.enter_context((self.folder / f"{name}.bin").open("wb"))
        content = array.numpy().data.cast("B")
        self.files[name].write(content)
        self.checksums[name] = zlib.crc32(content, self.checksums.get(name, 0))

    def finish(self) -> None:
        """Write the index and flush everything to the disk."""
        require(bool(self.lengths), "There are no episodes to write.")
        arrays = {name: {"shape": self.shapes[name], "crc32": self.checksums[name]} for name in self.files}
        index = {**self.head, "lengths": self.lengths, "arrays": arrays, "description": self.description}
        self.files["index"] = self.opened.enter_context((self.folder / INDEX).open("wb"))
        self.files["index"].write(json.dumps(index, allow_nan=False).encode())
        for file in self.files.values():
            file.flush()
            os.fsync(file.fileno())


def read_trajectories(path: str | Path) -> StoredTrajectories:
    """Map a folder that `write_trajectories` wrote.

    Sizes are checked, and the checksums of all but the frames, which `check_frames` reads through.

    Raises:
        UserError: It is no such folder, or a file of it is missing, truncated or damaged.
    """
    folder = Path(path)
    index = _index(folder)
    lengths = torch.tensor(index["lengths"])
    num = int(lengths.sum())
    arrays = {name: _mapped(folder, name, num, entry["shape"]) for name, entry in index["arrays"].items()}
    for name in arrays.keys() - {"frames"}:
        _check(folder, name, index["arrays"][name]["crc32"])
    return StoredTrajectories(
        arrays["frames"], arrays["action"], arrays.get("proprio"), lengths, index["num_choices"], index["description"]
    )


def check_frames(path: str | Path) -> None:
    """Read all frames of a folder and compare them with their checksum.

    Raises:
        UserError: They are not what was written.
    """
    folder = Path(path)
    _check(folder, "frames", _index(folder)["arrays"]["frames"]["crc32"])


def _index(folder: Path) -> dict[str, Any]:
    require(folder.is_dir(), f"{folder} is no folder of trajectories.")
    index = read_object(folder / INDEX)
    require(
        index.get("format") == FORMAT and index.get("version") == VERSION,
        f"{folder / INDEX} does not describe {FORMAT} of version {VERSION}.",
    )
    arrays, lengths = index.get("arrays"), index.get("lengths")
    is_whole = isinstance(arrays, dict) and {"frames", "action"} <= arrays.keys() <= RANKS.keys()
    is_whole = is_whole and isinstance(lengths, list) and all(type(num) is int and num > 1 for num in lengths)
    is_whole = is_whole and isinstance(index.get("description"), dict) and type(index.get("num_choices")) is int
    is_whole = is_whole and all(_is_array(entry, RANKS[name]) for name, entry in dict(arrays or {}).items())
    require(is_whole, f"{folder / INDEX} is damaged: it does not say what its arrays hold; write it again.")
    require(bool(lengths), f"{folder} holds no episodes.")
    return index


def _is_array(entry: Any, rank: int) -> bool:
    """Return whether an entry of the index says what an array holds."""
    shape = entry.get("shape") if isinstance(entry, dict) else None
    is_shape = isinstance(shape, list) and len(shape) == rank and all(type(size) is int and size > 0 for size in shape)
    return is_shape and type(entry.get("crc32")) is int


def _mapped(folder: Path, name: str, num: int, shape: list[int]) -> Tensor:
    file = folder / f"{name}.bin"
    kind = np.dtype(np.uint8) if name == "frames" else np.dtype("<f4")
    expected = num * int(np.prod(shape)) * kind.itemsize
    size = file.stat().st_size if file.is_file() else 0
    require(
        size == expected,
        f"{file} is missing or truncated: it has {size} bytes where {expected} were written; fetch or write it again.",
    )
    # Copies on writing: torch has no read-only tensors, and what is written must never reach the file.
    return torch.from_numpy(np.memmap(file, kind, mode="c", shape=(num, *shape)))


def _check(folder: Path, name: str, expected: int) -> None:
    checksum = 0
    file = folder / f"{name}.bin"
    with file.open("rb") as content:
        while part := content.read(_CHECKED_AT_ONCE):
            checksum = zlib.crc32(part, checksum)
    require(checksum == expected, f"{file} is damaged: its checksum is not the one written; fetch or write it again.")
