"""Fix which episodes are evaluated: committed lists, one for choices and one for results, that say what they hold.

A manifest names a world, a seed and episode ids, and keeps a digest of the starts and goals that these draw, so that a
change in a world's draws cannot pass unnoticed. Episodes that begin at their goal, or come to it if nothing is done,
were left out when it was written. Mazes are evaluated in layouts that are held out, but for the world of a single maze.
A world before a background has the manifest of the world without: the same starts and goals, and behind them what its
own draws say. For worlds with settings of their own a manifest is drawn when it is needed, by the same rules.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from jepakit.storage import config_to_dict, read_object
from jepakit.types import UserError
from jepakit.worlds import Distracted, PointMaze2D
from jepakit.worlds.distracted import beneath

SPLITS = ("dev", "test")
SEEDS = {"dev": 101, "test": 202}
"""Of the worlds' draws; runs have small seeds."""

NUM_EPISODES = {"dev": 200, "test": 500}
DRAWN = "drawn"
"""Name of a manifest that is not committed."""

_IDLE_STEPS = 20
_FIRST = {"dev": 0, "test": 1 << 20}
"""First ids of manifests that are drawn; committed ones differ by their seeds."""


@dataclass(frozen=True)
class Manifest:
    """List evaluated episodes of a world.

    Args:
        world: The world's settings, its seed among them.
        ids: Episodes.
        digest: Of the starts and goals that they draw.
    """

    world: Mapping[str, Any]
    ids: tuple[int, ...]
    digest: str

    def tasks(self, world: Any, num_episodes: int | None = None) -> tuple[Any, Any, Any, Int[Tensor, " b"]]:
        """Return the world of these episodes, their starts, their goals and their ids.

        Args:
            world: The world of a run; its seed does not matter, nor do its background and which mazes it draws from.
            num_episodes: Only so many of the first.

        Raises:
            UserError: The world is another one, fewer than one episode is asked for or more than there are, or it no
                longer draws what it drew when the manifest was written.
        """
        world = evaluated(world, self.world["seed"])
        if config_to_dict(beneath(world)) != self.world:
            raise UserError(f"This manifest is of the world {dict(self.world)}, not of {world}.")
        if num_episodes is not None and not 1 <= num_episodes <= len(self.ids):
            raise UserError(f"This manifest has 1 to {len(self.ids)} episodes to give, not {num_episodes}.")
        ids = torch.tensor(self.ids)
        if digest_of(*beneath(world).task(ids)) != self.digest:
            raise UserError("The world draws other episodes than when this manifest was written; its draws changed.")
        ids = ids[:num_episodes]
        return world, *world.task(ids), ids


def make_manifest(world: Any, num_episodes: int, first: int = 0) -> Manifest:
    """List the first episodes of a world from an id on that are not solved by doing nothing."""
    ids = torch.arange(first, first + 4 * num_episodes)
    ids = ids[~solved_idly(world, *world.task(ids))][:num_episodes]
    return Manifest(config_to_dict(world), tuple(ids.tolist()), digest_of(*world.task(ids)))


def solved_idly(world: Any, start: Any, goal: Any) -> Bool[Tensor, " b"]:
    """Return which episodes begin at their goal, or come to it within 20 steps in which nothing is done."""
    solved: Tensor = world.reached(start, goal)
    idle = torch.zeros(len(solved), *world.action_space.shape)
    for _ in range(_IDLE_STEPS):
        start = world.step(start, idle)
        solved = solved | world.reached(start, goal)
    return solved


def evaluated(world: Any, seed: int) -> Any:
    """Return the world of evaluated episodes: with another seed and, of mazes, layouts that no training has seen.

    A single maze stays what it is, since there is nothing in it from which to know another.
    """
    if isinstance(world, Distracted):
        return replace(world, world=evaluated(world.world, seed), seed=seed)
    if isinstance(world, PointMaze2D) and world.num_layouts == 1:
        return world
    return replace(world, seed=seed, **({"split": "held-out"} if isinstance(world, PointMaze2D) else {}))


def find_manifest(world: Any, split: str) -> tuple[str, Manifest]:
    """Return the name and the content of the manifest of a world: the committed one, or one that is `DRAWN` now.

    Args:
        world: Its settings; the seed does not matter, but for a single maze, nor do its background and which mazes it
            draws from.
        split: `dev` for choices, `test` for results.

    Raises:
        UserError: There is no such split.
    """
    if split not in SPLITS:
        raise UserError(f"Manifests are of the splits {' and '.join(SPLITS)}, not {split!r}.")
    wanted = _settings(config_to_dict(beneath(evaluated(world, 0))))
    folder = resources.files("jepakit.evaluation") / "manifests"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(f"-{split}.json"):
            with resources.as_file(file) as path:
                found = read_object(path)
            if _settings(found["world"]) == wanted:
                return file.name.removesuffix(".json"), Manifest(found["world"], tuple(found["ids"]), found["digest"])
    return DRAWN, make_manifest(beneath(evaluated(world, SEEDS[split])), NUM_EPISODES[split], _FIRST[split])


def _settings(world: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a world but its seed."""
    return {key: value for key, value in world.items() if key != "seed"}


def as_json(manifest: Manifest) -> dict[str, Any]:
    """Return what the file of a manifest holds."""
    return asdict(manifest)


def digest_of(*states: Any) -> str:
    """Return a digest of states, rounded so that machines agree on it."""
    told = hashlib.blake2b(digest_size=16)
    for state in states:
        for name, value in sorted(vars(state).items()):
            if isinstance(value, Tensor):
                told.update(name.encode())
                told.update((value.double() * 1000).round().long().cpu().numpy().tobytes())
    return told.hexdigest()
