"""Give a training its clips from a recording: those of a step are a pure function of the seed and the step.

It has the face of `worlds.stream.ClipStream`: `batch` and `from_step`. Every place where a clip can begin comes up once
an epoch, in an order of its own; nothing is saved, so any step can be the first.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Int
from torch import Tensor

from jepakit.collectives import rank, world_size
from jepakit.data.order import Order
from jepakit.data.recording import Recording
from jepakit.types import ClipBatch, UserError


@dataclass(frozen=True)
class RecordedClips:
    """Draw clips from episodes.

    Args:
        recording: What was recorded.
        batch_size: Clips of a step over all processes.
        num_frames: Frames of a clip.
        frame_skip: Actions between two of its frames; those in between are never read.
        seed: The run's seed, which decides the order.
        episodes: Which episodes; all by default. Held-out ones are left out here.

    Raises:
        UserError: A clip has no action, or fewer clips fit into the episodes than a batch holds.
    """

    recording: Recording
    batch_size: int
    num_frames: int
    frame_skip: int = 1
    seed: int = 0
    episodes: Int[Tensor, " k"] | None = None

    def __post_init__(self) -> None:
        if self.num_frames < 2 or min(self.batch_size, self.frame_skip) < 1:
            raise UserError(
                f"Clips need at least 2 frames and a batch at least 1 clip, got num_frames={self.num_frames}, "
                f"frame_skip={self.frame_skip} and batch_size={self.batch_size}."
            )
        if len(self.starts) < self.batch_size:
            raise UserError(
                f"{self.recording.name} holds {len(self.starts)} clips of {self.num_frames} frames with "
                f"frame_skip={self.frame_skip}, fewer than a batch of {self.batch_size}; use shorter clips or a "
                "smaller batch."
            )

    @cached_property
    def starts(self) -> Int[Tensor, " m"]:
        """Return every row at which a clip can begin."""
        return self.recording.starts(self.num_frames, self.frame_skip, self.episodes)

    def batch(self, step: int) -> ClipBatch:
        """Return this process's share of the clips of a step."""
        order = Order(num_samples=len(self.starts), batch_size=self.batch_size, seed=self.seed)
        first = self.starts[order.share(step, rank(), world_size())]
        return self.recording.clips(first, self.num_frames, self.frame_skip)

    def from_step(self, step: int) -> Iterator[tuple[int, ClipBatch]]:
        """Yield every (step, batch) from a step on."""
        for later in itertools.count(step):
            yield later, self.batch(later)
