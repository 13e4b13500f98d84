"""Fix which episodes are evaluated: committed lists, one for choices and one for results, that say what they hold.

A manifest names a world, a seed and episode ids, and keeps a digest of the starts and goals that these draw, so that a
change in a world's draws cannot pass unnoticed. Episodes that begin at their goal were left out when it was written.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.storage import config_to_dict, read_object
from jepakit.types import UserError

SPLITS = ("dev", "test")


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
            world: The world of a run; its seed does not matter.
            num_episodes: Only so many of the first.

        Raises:
            UserError: The world is another one, fewer than one episode is asked for or more than there are, or it no
                longer draws what it drew when the manifest was written.
        """
        world = replace(world, seed=self.world["seed"])
        if config_to_dict(world) != self.world:
            raise UserError(f"This manifest is of the world {dict(self.world)}, not of {world}.")
        if num_episodes is not None and not 1 <= num_episodes <= len(self.ids):
            raise UserError(f"This manifest has 1 to {len(self.ids)} episodes to give, not {num_episodes}.")
        ids = torch.tensor(self.ids)
        if digest_of(*world.task(ids)) != self.digest:
            raise UserError("The world draws other episodes than when this manifest was written; its draws changed.")
        ids = ids[:num_episodes]
        return world, *world.task(ids), ids


def make_manifest(world: Any, num_episodes: int, first: int = 0) -> Manifest:
    """List the first episodes of a world from an id on that do not begin at their goal."""
    ids = torch.arange(first, first + 4 * num_episodes)
    start, goal = world.task(ids)
    ids = ids[~world.reached(start, goal)][:num_episodes]
    return Manifest(config_to_dict(world), tuple(ids.tolist()), digest_of(*world.task(ids)))


def read_manifest(world: Any, split: str) -> tuple[str, Manifest]:
    """Return the name and the content of the committed manifest of a world.

    Args:
        world: Its settings; the seed does not matter.
        split: `dev` for choices, `test` for results.

    Raises:
        UserError: There is none for such a world, or no such split.
    """
    if split not in SPLITS:
        raise UserError(f"Manifests are of the splits {' and '.join(SPLITS)}, not {split!r}.")
    wanted = {key: value for key, value in config_to_dict(world).items() if key != "seed"}
    folder = resources.files("jepakit.evaluation") / "manifests"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(f"-{split}.json"):
            with resources.as_file(file) as path:
                found = read_object(path)
            if {key: value for key, value in found["world"].items() if key != "seed"} == wanted:
                return file.name.removesuffix(".json"), Manifest(found["world"], tuple(found["ids"]), found["digest"])
    raise UserError(f"There is no committed {split} manifest for {world}; make one with evaluation.make_manifest.")


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
