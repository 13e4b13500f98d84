"""Hold pairs of clips, one lawful and one not, and look for trajectories that can be made into such pairs.

Both clips of a pair are made from one trajectory that the world itself went through. Most trajectories are of no use
(nothing crosses a wall in them), so one after another is tried, by its id: which ids are pairs depends on the world's
seed and the id alone, and the first so many of them are the same whoever asks.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import ClipBatch, UserError
from jepakit.worlds.trajectories import Behaviour, Trajectories, select

FIRST = 1 << 40
"""Id of the first trajectory that is tried: trainings count from 0 and never come so far."""

_AT_ONCE, _PATIENCE = 256, 120
"""Trajectories that are tried together, and how often that is done for nothing before giving up."""


@dataclass(frozen=True)
class Setting:
    """Say what clips are to be like.

    Args:
        world: Where.
        behaviour: How trajectories come about, as in training.
        num_frames: Frames of a clip.
        frame_skip: Actions between two of them.
        first: Id of the first trajectory.

    Raises:
        UserError: A clip is too short for something to happen in its middle.
    """

    world: Any
    behaviour: Behaviour
    num_frames: int = 8
    frame_skip: int = 1
    first: int = FIRST

    def __post_init__(self) -> None:
        if self.num_frames < 4 or self.frame_skip < 1:
            raise UserError(
                f"A violation needs clips of at least 4 frames, at least 1 action apart, got {self.num_frames} frames "
                f"and a frame_skip of {self.frame_skip}."
            )

    @property
    def num_steps(self) -> int:
        """Return the actions of a clip."""
        return (self.num_frames - 1) * self.frame_skip

    def made(self, ids: Int[Tensor, " b"], num_steps: int | None = None) -> Trajectories:
        """Return the trajectories of these ids."""
        return self.behaviour(self.world, ids, self.num_steps if num_steps is None else num_steps)

    def clips(self, made: Trajectories, ids: Int[Tensor, " b"]) -> ClipBatch:
        """Return what is seen of trajectories."""
        return ClipBatch(made.every(self.frame_skip).render(self.world), made.action, ids)

    def ordinary(self, num: int, part: int = 0) -> ClipBatch:
        """Return clips in which nothing was looked for; those of each part are others, and none is in a pair."""
        ids = torch.arange(num) + self.first + (part + 1) * (1 << 36)
        return self.clips(self.made(ids), ids)


@dataclass(frozen=True)
class Pairs:
    """Hold pairs of clips.

    Args:
        lawful: Clips that the world made.
        unlawful: Their pairs, with the same ids.
        moment: The first frame of each unlawful clip that cannot follow from what is before it.
    """

    lawful: ClipBatch
    unlawful: ClipBatch
    moment: Int[Tensor, " b"]

    @property
    def id(self) -> Int[Tensor, " b"]:
        """Return the id of each pair."""
        return self.lawful.id

    def __len__(self) -> int:
        return len(self.moment)


def gathered(attempt: Callable[[Int[Tensor, " b"]], Pairs | None], num: int, first: int) -> Pairs:
    """Try ids from `first` on until there are so many pairs.

    Args:
        attempt: Returns the pairs among these ids, in their order; None where there are none.
        num: Pairs asked for.
        first: Id to begin with.

    Raises:
        UserError: No pairs are asked for, or they do not come up.
    """
    if num < 1:
        raise UserError(f"At least 1 pair is to be made, got {num}.")
    parts: list[Pairs] = []
    tried = since = 0
    while since < _PATIENCE:
        part = attempt(first + tried * _AT_ONCE + torch.arange(_AT_ONCE))
        tried, since = tried + 1, since + 1
        if part is not None:
            parts.append(part)
            since = 0
        if sum(map(len, parts)) >= num:
            lawful, unlawful = (
                _joined([getattr(part, side) for part in parts], num) for side in ("lawful", "unlawful")
            )
            return Pairs(lawful, unlawful, torch.cat([part.moment for part in parts])[:num])
    raise UserError(
        f"Only {sum(map(len, parts))} of {num} pairs came up in {tried * _AT_ONCE} trajectories; ask for longer clips "
        "(num_frames), or for frames further apart (frame_skip)."
    )


def _joined(clips: list[ClipBatch], num: int) -> ClipBatch:
    """Return the first clips of several batches as one."""
    return ClipBatch(*(torch.cat([getattr(clip, name) for clip in clips])[:num] for name in ("frames", "action", "id")))


def chosen(made: Trajectories, is_good: Bool[Tensor, " b"]) -> Trajectories:
    """Return the good ones of trajectories, of which there is at least one."""
    rows = is_good.nonzero().flatten()
    places = (rows[:, None] * made.num_states + torch.arange(made.num_states)).flatten()
    return Trajectories(select(made.states, places), made.action[rows])


def drawn_block(setting: Setting, ids: Int[Tensor, " b"], name: str) -> Int[Tensor, " b"]:
    """Draw the frame after which something happens, from the second to the last but two."""
    stream = Stream(setting.world.seed, f"violations/{name}")
    return 1 + stream.integers(0, ids, 1, setting.num_frames - 3)[:, 0]


def only_block(is_there: Bool[Tensor, "b blocks"]) -> tuple[Int[Tensor, " b"], Bool[Tensor, " b"]]:
    """Return in which block something is so, and whether in that one alone, not the first nor the last."""
    block = is_there.int().argmax(dim=1)
    is_good = (is_there.sum(dim=1) == 1) & (block >= 1) & (block <= is_there.shape[1] - 2)
    return block, is_good


def in_blocks(steps: Float[Tensor, "b t ..."], frame_skip: int) -> Float[Tensor, "b blocks s1 ..."]:
    """Return values of successive states by the block of actions that leads through them, both its ends included."""
    found = steps.unfold(1, frame_skip + 1, frame_skip)
    return found.movedim(-1, 2)


def with_frames(clip: ClipBatch, frames: Tensor) -> ClipBatch:
    """Return clips with other pictures."""
    return replace(clip, frames=frames)
