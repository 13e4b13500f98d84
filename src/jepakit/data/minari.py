"""Read trajectories in Minari's layout: a folder whose `data` holds metadata.json and main_data.hdf5.

    episode_0/observations    (steps + 1, ...), or a group of such for observations of several parts
    episode_0/actions         (steps, a), or (steps,) where an action is the number of a choice
    episode_1/...

Source: Minari's dataset standard, https://minari.farama.org/content/dataset_standards. Deviations: of its two
storages that with HDF5 alone is read; sets without pictures are refused, since a world model of ours learns from those.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from jepakit.data.hdf5 import channels_last, column, numbers, open_hdf5, opened_hdf5, picked, telling_of
from jepakit.data.recording import Recording
from jepakit.storage import read_object
from jepakit.types import UserError, require

MAIN = "main_data.hdf5"


def read_minari(
    path: str | Path, *, pixels: str | None = None, proprio: str | None = None, num_choices: int | None = None
) -> Recording:
    """Open a dataset of Minari; frames are read from it when clips ask for them.

    Args:
        path: The dataset's folder, or its folder `data`.
        pixels: Part of the observations that holds pictures, such as "image" or "camera/front"; none where the
            observations themselves are pictures.
        proprio: Part that holds proprioception; none by default.
        num_choices: Choices, where an action is the number of one; by default as the dataset says of its action space.

    Raises:
        UserError: h5py is not installed; there is no such dataset; it keeps no HDF5; its file is truncated or damaged;
            it has no episodes, no pictures, or an episode whose actions do not fit its observations.
    """
    folder = Path(path) / "data" if (Path(path) / "data").is_dir() else Path(path)
    about = read_object(folder / "metadata.json")
    kind = about.get("data_format", "hdf5")
    require(kind == "hdf5", f"{folder} is a Minari dataset kept as {kind}; only those kept as hdf5 are read.")
    place, felt_at = _place(pixels), None if proprio is None else _place(proprio)
    file_path, actions, felt, lengths = folder / MAIN, [], [], []
    with open_hdf5(file_path) as file:
        names = sorted((name for name in file if name.startswith("episode_")), key=lambda name: int(name[8:]))
        require(bool(names), f"{file_path} holds no episodes.")
        for name in names:
            done = numbers(file_path, f"{name}/actions", column(file_path, file[name], "actions"))
            num = len(_part(file_path, file[name], place))
            require(
                num == len(done) + 1,
                f"{file_path}: {name} has {num} observations and {len(done)} actions; one more than actions is needed.",
            )
            lengths.append(num)
            actions.append(torch.cat((done, torch.zeros_like(done[:1]) if len(done) else done)))
            if felt_at is not None:
                felt.append(numbers(file_path, f"{name}/{felt_at}", _part(file_path, file[name], felt_at)))
        frames = MinariFrames(file_path, names, place, torch.tensor(lengths))
    choices = _choices(about) if num_choices is None else num_choices
    return Recording(
        str(path), frames, torch.tensor(lengths), torch.cat(actions), torch.cat(felt) if felt else None, choices
    )


class MinariFrames:
    """Read pictures from the groups of episodes.

    Args:
        path: The file, opened once in each process that reads from it.
        names: The episodes' groups.
        place: Where pictures are in each.
        lengths: Pictures of each.

    Raises:
        UserError: There are no pictures there.
    """

    def __init__(self, path: Path, names: list[str], place: str, lengths: Int[Tensor, " e"]):
        self.path = path
        self.names = names
        self.place = place
        self.offsets = lengths.cumsum(0) - lengths
        self._opened: dict[int, Any] = {}
        self.channels_last = channels_last(f"{path}: {names[0]}/{place}", _part(path, self._file()[names[0]], place))

    def __call__(self, rows: Int[Tensor, "b t"]) -> UInt8[Tensor, "b t c h w"]:
        """Return the pictures of these rows.

        Raises:
            UserError: They cannot be read.
        """
        episodes = torch.searchsorted(self.offsets, rows[:, 0].contiguous(), right=True) - 1
        steps = rows - self.offsets[episodes][:, None]
        file = self._file()
        with telling_of(self.path):
            clips = [
                picked(_part(self.path, file[self.names[episode]], self.place), clip)
                for episode, clip in zip(episodes.tolist(), steps.tolist(), strict=True)
            ]
        found = torch.from_numpy(np.stack(clips))
        return found.permute(0, 1, 4, 2, 3).contiguous() if self.channels_last else found

    def _file(self) -> Any:
        process = os.getpid()  # an open file must not be shared with a forked process
        if process not in self._opened:
            self._opened = {process: opened_hdf5(self.path)}
        return self._opened[process]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": {}}


def _place(part: str | None) -> str:
    return "observations" if part is None or part == "observations" else f"observations/{part}"


def _part(path: Path, episode: Any, place: str) -> Any:
    """Return a part of an episode's observations, or say which parts there are."""
    found = episode.get(place)
    if found is None or not hasattr(found, "shape"):
        parts: list[str] = []
        seen = episode.get("observations")
        if hasattr(seen, "visititems"):
            seen.visititems(lambda name, item: parts.append(name) if hasattr(item, "shape") else None)
        raise UserError(
            f"{path}: observations have no part {place.removeprefix('observations').strip('/') or 'of their own'!r}; "
            f"there are {', '.join(parts) or 'none'}."
        )
    return found


def _choices(about: dict[str, Any]) -> int:
    """Return how many choices the dataset's action space has; 0 where it is another space."""
    space = about.get("action_space", {})
    try:
        space = json.loads(space) if isinstance(space, str) else space
    except ValueError:
        return 0
    return int(space.get("n", 0)) if isinstance(space, dict) and space.get("type") == "Discrete" else 0
