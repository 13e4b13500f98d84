"""Give a training its clips: made as they are needed, each seen once, those of a step a pure function of the step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from jepakit.collectives import rank, world_size
from jepakit.types import ClipBatch, UserError
from jepakit.worlds.trajectories import Behaviour
from jepakit.worlds.world import World

AHEAD = 16
"""Steps whose clips are made at once: most of the time of a small batch is spent on starting operations."""


@dataclass(frozen=True)
class ClipStream:
    """Wander, and draw what is seen.

    Args:
        world: Where.
        behaviour: How.
        batch_size: Clips of a step over all processes.
        num_frames: Frames of a clip.
        frame_skip: Actions between two of its frames; those in between are never drawn.

    Raises:
        UserError: A clip has no action, or there are fewer clips than processes.
    """

    world: World
    behaviour: Behaviour
    batch_size: int
    num_frames: int
    frame_skip: int = 1

    def __post_init__(self) -> None:
        if self.num_frames < 2 or min(self.batch_size, self.frame_skip) < 1:
            raise UserError(f"Clips need at least 2 frames and a batch at least 1 clip, got {self}.")

    def batch(self, step: int) -> ClipBatch:
        """Return this process's share of the clips of a step."""
        return next(self._made([step]))

    def from_step(self, step: int) -> Iterator[tuple[int, ClipBatch]]:
        """Yield every (step, batch) from a step on."""
        while True:
            steps = range(step, step + AHEAD)
            yield from zip(steps, self._made(steps), strict=True)
            step += AHEAD

    def _made(self, steps: Sequence[int]) -> Iterator[ClipBatch]:
        """Wander for several steps at once; those of a step do not depend on which others are made with it.

        Each step's pictures are drawn when it is their turn: all at once they would need fresh memory every time, which
        takes longer than drawing them.
        """
        whole = torch.arange(self.batch_size)
        ids = [(step * self.batch_size + whole).tensor_split(world_size())[rank()] for step in steps]
        made, first = self.behaviour(self.world, torch.cat(ids), self.frame_skip * (self.num_frames - 1)), 0
        for mine in ids:
            clips = made.between(first, first + len(mine))
            yield ClipBatch(clips.every(self.frame_skip).render(self.world), clips.action, mine)
            first += len(mine)
