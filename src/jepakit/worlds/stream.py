"""Give a training its clips: made as they are needed, each seen once, those of a step a pure function of the step."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from jepakit.collectives import rank, world_size
from jepakit.types import ClipBatch, UserError
from jepakit.worlds.two_rooms import TwoRooms
from jepakit.worlds.wandering import Wandering


@dataclass(frozen=True)
class ClipStream:
    """Wander, and draw what is seen.

    Args:
        world: Where.
        wandering: How.
        batch_size: Clips of a step over all processes.
        num_frames: Frames of a clip.

    Raises:
        UserError: A clip has no action, or there are fewer clips than processes.
    """

    world: TwoRooms
    wandering: Wandering
    batch_size: int
    num_frames: int

    def __post_init__(self) -> None:
        if self.num_frames < 2 or self.batch_size < 1:
            raise UserError(f"Clips need at least 2 frames and a batch at least 1 clip, got {self}.")

    def batch(self, step: int) -> ClipBatch:
        """Return this process's share of the clips of a step."""
        ids = (step * self.batch_size + torch.arange(self.batch_size)).tensor_split(world_size())[rank()]
        made = self.wandering(self.world, ids, self.num_frames - 1)
        return ClipBatch(made.render(self.world), made.action, ids)

    def from_step(self, step: int) -> Iterator[tuple[int, ClipBatch]]:
        """Yield every (step, batch) from a step on."""
        while True:
            yield step, self.batch(step)
            step += 1
