"""Find out what a user's recording is and open it; turn any recording into our compact form."""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor

from jepakit.data.hdf5 import read_hdf5
from jepakit.data.lerobot import read_lerobot
from jepakit.data.minari import MAIN, read_minari
from jepakit.data.recording import FramesInMemory, Recording
from jepakit.storage.trajectories import INDEX, Episode, read_trajectories, write_trajectories
from jepakit.types import UserError, require


def read_compact(path: str | Path) -> Recording:
    """Open a folder in our compact form; its frames stay on the disk until they are touched.

    Raises:
        UserError: It is no such folder, or a file of it is missing, truncated or damaged.
    """
    stored = read_trajectories(path)
    frames = FramesInMemory(stored.frames)
    return Recording(str(path), frames, stored.lengths, stored.action, stored.proprio, stored.num_choices)


def open_recording(path: str | Path) -> Recording:
    """Open a recording of any form that is read, by what lies at the path, with each reader's own defaults.

    Raises:
        UserError: There is nothing at the path, or nothing that is known; or as the reader says.
    """
    place = Path(path)
    require(place.exists(), f"{str(path)!r} does not exist.")
    if place.is_file() and place.suffix.lower() in (".h5", ".hdf5"):
        return read_hdf5(place)
    if (place / INDEX).is_file():
        return read_compact(place)
    if (place / "meta" / "info.json").is_file():
        return read_lerobot(place)
    if (place / "data" / MAIN).is_file() or (place / MAIN).is_file():
        return read_minari(place)
    raise UserError(
        f"{str(path)!r} is no recording that is known: a folder that jepakit wrote ({INDEX}), an HDF5 file of LeWM's "
        f"layout (.h5), a LeRobot dataset (meta/info.json) or a Minari dataset (data/{MAIN})."
    )


def pack_recording(recording: Recording, path: str | Path, *, image_size: int | None = None) -> Recording:
    """Write a recording in our compact form, an episode at a time, and open what was written.

    Args:
        recording: Of any form.
        path: A new folder.
        image_size: Height and width of the pictures there, which are shrunk by area; as they are by default.

    Raises:
        UserError: There is something at the path; the disk is full; pictures would have to grow.
    """

    def episodes() -> Iterator[Episode]:
        for index in range(len(recording)):
            episode = recording.episode(index)
            frames = episode.frames if image_size is None else shrunk(episode.frames, image_size)
            yield Episode(frames, episode.action, episode.proprio)

    write_trajectories(path, episodes(), num_choices=recording.num_choices, description={"source": recording.name})
    return read_compact(path)


def shrunk(frames: UInt8[Tensor, "t c h w"], image_size: int) -> UInt8[Tensor, "t c s s"]:
    """Return square pictures, each pixel the mean of those it covers.

    Raises:
        UserError: They are smaller than asked for.
    """
    height, width = frames.shape[-2:]
    require(0 < image_size <= min(height, width), f"Pictures of {height} x {width} cannot be shrunk to {image_size}.")
    parts = [F.adaptive_avg_pool2d(part.float(), image_size).round().to(torch.uint8) for part in frames.split(64)]
    return torch.cat(parts)
