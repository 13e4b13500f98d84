"""Read trajectories from HDF5 in the layout of LeWM and stable-worldmodel: one file, a column per quantity, rows steps.

    pixels      (rows, h, w, c) or (rows, c, h, w), uint8
    action      (rows, a): what was done at the row; NaN in an episode's last row
    ep_offset   (episodes,): first row of each episode
    ep_len      (episodes,): its number of rows
    ...         further columns, one of which may serve as proprioception

Source: LeWM arXiv 2603.19312 and stable-worldmodel arXiv 2605.21800. Its own files are compressed by a plug-in of HDF5,
which the package hdf5plugin brings; it is used where it is installed.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from jepakit.data.recording import Recording
from jepakit.types import UserError, require

CHANNELS = (1, 2, 3, 4)


def read_hdf5(
    path: str | Path,
    *,
    pixels: str = "pixels",
    action: str = "action",
    proprio: str | None = None,
    num_choices: int = 0,
) -> Recording:
    """Open a file of LeWM's layout; frames are read from it when clips ask for them.

    Args:
        path: The file.
        pixels: The column of pictures.
        action: The column of actions.
        proprio: The column of proprioception; none by default.
        num_choices: Choices, where an action is the number of one.

    Raises:
        UserError: h5py is not installed; the file is truncated or no HDF5; a column is missing or of another form;
            episodes lie outside the rows; an action is not finite.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        columns = {name: column(path, file, name) for name in ("ep_len", "ep_offset", pixels, action)}
        lengths, offsets = (torch.from_numpy(columns[name][:].astype(np.int64)) for name in ("ep_len", "ep_offset"))
        require(lengths.ndim == 1 and lengths.shape == offsets.shape, f"{path}: ep_len and ep_offset do not match.")
        require(len(lengths) > 0, f"{path} holds no episodes.")
        num = min(len(columns[pixels]), len(columns[action]))
        inside = (lengths > 0) & (offsets >= 0) & (offsets + lengths <= num)
        require(bool(inside.all()), f"{path}: an episode lies outside the {num} rows there are; it is damaged.")
        rows = rows_of(offsets, lengths)
        frames = HDF5Frames(path, pixels, rows)
        frames(torch.zeros(1, 1, dtype=torch.long))  # what cannot be read is better known now than in training
        done = numbers(path, action, columns[action])
        felt = None if proprio is None else numbers(path, proprio, column(path, file, proprio))
        require(felt is None or len(felt) >= num, f"{path}: the column {proprio!r} has fewer rows than {num}.")
    return Recording(str(path), frames, lengths, done[rows], None if felt is None else felt[rows], num_choices)


class HDF5Frames:
    """Read pictures from a column of an HDF5 file.

    Args:
        path: The file, opened once in each process that reads from it.
        name: The column.
        rows: The file's row of each row of the recording.

    Raises:
        UserError: The column is no column of pictures.
    """

    def __init__(self, path: Path, name: str, rows: Int[Tensor, " n"]):
        self.path = path
        self.name = name
        self.rows = rows
        self._opened: dict[int, Any] = {}
        self.channels_last = channels_last(f"{path}: the column {name!r}", self._column())

    def __call__(self, rows: Int[Tensor, "b t"]) -> UInt8[Tensor, "b t c h w"]:
        """Return the pictures of these rows.

        Raises:
            UserError: They cannot be read.
        """
        pictures = self._column()
        with telling_of(self.path):
            clips = [picked(pictures, clip) for clip in self.rows[rows].tolist()]
        found = torch.from_numpy(np.stack(clips))
        return found.permute(0, 1, 4, 2, 3).contiguous() if self.channels_last else found

    def _column(self) -> Any:
        process = os.getpid()  # an open file must not be shared with a forked process
        if process not in self._opened:
            self._opened = {process: opened_hdf5(self.path)}
        return column(self.path, self._opened[process], self.name)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}


def picked(pictures: Any, rows: list[int]) -> NDArray[np.uint8]:
    """Return the rows of a clip: one by one where each is a chunk of its own, else the whole stretch that holds them.

    HDF5 unpacks a chunk anew for each time that it is asked for, and reads a slice with a step hundreds of times more
    slowly than the same rows one by one.
    """
    chunk = pictures.chunks[0] if pictures.chunks else 1
    apart = rows[1] - rows[0] if len(rows) > 1 else 1
    if chunk == 1 and apart > 1:
        return np.stack([pictures[row] for row in rows])
    found: NDArray[np.uint8] = pictures[rows[0] : rows[-1] + 1][::apart]
    return found


def rows_of(offsets: Int[Tensor, " e"], lengths: Int[Tensor, " e"]) -> Int[Tensor, " n"]:
    """Return the rows of episodes, one after the other."""
    before = lengths.cumsum(0) - lengths
    return torch.arange(int(lengths.sum())) + (offsets - before).repeat_interleave(lengths)


def channels_last(what: str, pictures: Any) -> bool:
    """Return whether the channels of pictures come last.

    Raises:
        UserError: They are no uint8 pictures.
    """
    shape = tuple(pictures.shape)
    is_picture = len(shape) == 4 and pictures.dtype == np.uint8 and (shape[3] in CHANNELS or shape[1] in CHANNELS)
    require(
        is_picture, f"{what} holds no uint8 pictures (rows, h, w, c) or (rows, c, h, w), but {pictures.dtype} {shape}."
    )
    return shape[3] in CHANNELS


def numbers(path: Path, name: str, values: Any) -> Tensor:
    """Return a column of numbers as float32 vectors.

    Raises:
        UserError: It holds something else.
    """
    shape = tuple(values.shape)
    require(
        values.dtype.kind in "fiub" and len(shape) in (1, 2),
        f"{path}: the column {name!r} holds no vectors of numbers, but {values.dtype} {shape}.",
    )
    return torch.from_numpy(np.asarray(values[:], dtype=np.float32).reshape(len(values), -1))


def column(path: Path, group: Any, name: str) -> Any:
    """Return a column of a file or group.

    Raises:
        UserError: There is none of that name.
    """
    found = group.get(name)
    if found is None or not hasattr(found, "shape"):
        raise UserError(f"{path} has no column {name!r}; it has {', '.join(sorted(group)) or 'nothing'}.")
    return found


@contextlib.contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open a file for reading.

    Raises:
        UserError: h5py is not installed, or the file is missing, truncated or no HDF5, or fails while it is read.
    """
    with opened_hdf5(path) as file, telling_of(path):
        yield file


def opened_hdf5(path: Path) -> Any:
    """Return an open file, whose owner closes it.

    Raises:
        UserError: As `open_hdf5`.
    """
    try:
        import h5py
    except ImportError as error:
        raise UserError("HDF5 is read by h5py, which is not installed; pip install 'jepakit[data]'.") from error
    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401 - importing it teaches HDF5 further compressions
    require(path.is_file(), f"{path} does not exist or is no file.")
    with telling_of(path):
        return h5py.File(path, "r")


@contextlib.contextmanager
def telling_of(path: Path) -> Iterator[None]:
    """Say in one sentence that a file cannot be read.

    Raises:
        UserError: In place of HDF5's own errors.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if "filter" in str(error) or "plugin" in str(error):
            raise UserError(
                f"{path} is compressed by a plug-in of HDF5 that is not here; pip install hdf5plugin."
            ) from error
        raise UserError(f"{path} is truncated, damaged or no HDF5 file ({str(error).splitlines()[0]}).") from error
