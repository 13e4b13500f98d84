"""Hold recorded episodes, whatever file they are from, and cut clips out of them.

Actions and proprioception are small and held in memory; frames are read when a clip asks for them. Frames, actions
and proprioception lie in rows, episode after episode; the action of an episode's last row leads nowhere and is never
given out. All that can be wrong with a recording is found when it is opened, by the checks here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.data.order import split
from jepakit.storage.trajectories import Episode
from jepakit.types import ClipBatch, UserError, require


@runtime_checkable
class Frames(Protocol):
    """Read pictures; the rows of a clip lie in one episode, the same number of rows apart."""

    def __call__(self, rows: Int[Tensor, "b t"]) -> UInt8[Tensor, "b t c h w"]:
        """Return the pictures of these rows."""
        ...


@dataclass(frozen=True)
class FramesInMemory:
    """Give pictures of a tensor, which may be a file mapped into memory."""

    pictures: UInt8[Tensor, "n c h w"]

    def __call__(self, rows: Int[Tensor, "b t"]) -> UInt8[Tensor, "b t c h w"]:
        """Return the pictures of these rows."""
        return self.pictures.index_select(0, rows.flatten()).unflatten(0, rows.shape)  # 10 times as fast as [rows]


@dataclass(frozen=True)
class Recording:
    """Hold e episodes of n frames in all.

    Args:
        name: What its owner calls it, for messages.
        frames: Reads pictures.
        lengths: Frames of each episode.
        action: What was done at each frame, the last of each episode aside; the number of a choice, if `num_choices`.
        proprio: What the body felt at each frame.
        num_choices: Choices; 0 where actions are vectors.

    Raises:
        UserError: There are no episodes, one has no action, rows are missing or too many, or a number is not finite
            or no choice.
    """

    name: str
    frames: Frames
    lengths: Int[Tensor, " e"]
    action: Float[Tensor, "n a"]
    proprio: Float[Tensor, "n2 p"] | None = None
    num_choices: int = 0

    def __post_init__(self) -> None:
        require(len(self.lengths) > 0, f"{self.name} holds no episodes.")
        short = torch.nonzero(self.lengths < 2)
        require(
            not len(short),
            f"{self.name}: episode {int(short[0]) if len(short) else 0} has fewer than 2 frames, so nothing was done.",
        )
        num = int(self.lengths.sum())
        for name, array in (("actions", self.action), ("proprioception", self.proprio)):
            require(
                array is None or len(array) == num,
                f"{self.name} has {num} frames but {name} of {0 if array is None else len(array)}; it is damaged.",
            )
            if array is not None:
                self._check(name, array)

    def _check(self, name: str, array: Tensor) -> None:
        wrong = ~array.isfinite().all(dim=1)
        if name == "actions":
            wrong |= ((array[:, 0] % 1 != 0) | (array[:, 0] < 0) | (array[:, 0] >= self.num_choices)) & (
                self.num_choices > 0
            )
            wrong[self.offsets + self.lengths - 1] = False
        row = int(wrong.int().argmax())
        if bool(wrong[row]):
            episode = int(torch.searchsorted(self.offsets, row, right=True)) - 1
            what = "are no choice" if bool(array[row].isfinite().all()) else "are not finite"
            raise UserError(
                f"{self.name}: {name} of episode {episode} at step {row - int(self.offsets[episode])} {what} "
                f"({array[row].tolist()}); mend or remove the episode."
            )

    @cached_property
    def offsets(self) -> Int[Tensor, " e"]:
        """Return the row of each episode's first frame."""
        return self.lengths.cumsum(0) - self.lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def clips(self, first: Int[Tensor, " b"], num_frames: int, frame_skip: int = 1) -> ClipBatch:
        """Return clips that begin at these rows, with every action in between; the row is the clip's id.

        Args:
            first: Rows of the first frames, as `starts` gives them.
            num_frames: Frames of a clip.
            frame_skip: Actions between two of its frames.
        """
        steps = first[:, None] + torch.arange((num_frames - 1) * frame_skip + 1)
        seen = steps[:, ::frame_skip]
        proprio = None if self.proprio is None else self.proprio[seen]
        return ClipBatch(self.frames(seen), self.action[steps[:, :-1]], first, proprio)

    def starts(
        self, num_frames: int, frame_skip: int = 1, episodes: Int[Tensor, " k"] | None = None
    ) -> Int[Tensor, " m"]:
        """Return every row at which a clip can begin, in these episodes or in all."""
        chosen = torch.arange(len(self)) if episodes is None else episodes
        counts = (self.lengths[chosen] - (num_frames - 1) * frame_skip).clamp_min(0)
        before = counts.cumsum(0) - counts
        return torch.arange(int(counts.sum())) + (self.offsets[chosen] - before).repeat_interleave(counts)

    def episode(self, index: int) -> Episode:
        """Return a whole episode.

        Raises:
            UserError: There is no such episode.
        """
        require(0 <= index < len(self), f"{self.name} has episodes 0 to {len(self) - 1}, not {index}.")
        clip = self.clips(self.offsets[index : index + 1], int(self.lengths[index]))
        return Episode(clip.frames[0], clip.action[0], None if clip.proprio is None else clip.proprio[0])

    def split(self, test_fraction: float, seed: int) -> tuple[Int[Tensor, " k"], Int[Tensor, " m"]]:
        """Return which episodes are for training and which are held out: a function of the seed and their number.

        Raises:
            UserError: One of the parts would be empty.
        """
        return split(len(self), test_fraction, seed)


def in_memory(name: str, episodes: Sequence[Episode], num_choices: int = 0) -> Recording:
    """Return episodes that are in memory as a recording.

    Raises:
        UserError: There are none, or they differ in shape.
    """
    require(bool(episodes), f"{name} holds no episodes.")
    felt = [episode.proprio for episode in episodes if episode.proprio is not None]
    shapes = {
        (e.frames.shape[1:], e.action.shape[1:], None if e.proprio is None else e.proprio.shape[1:]) for e in episodes
    }
    require(len(shapes) == 1, f"{name}: episodes differ in shape: {sorted(map(str, shapes))}.")
    ended = [torch.cat((episode.action, torch.zeros_like(episode.action[:1]))) for episode in episodes]
    return Recording(
        name,
        FramesInMemory(torch.cat([episode.frames for episode in episodes])),
        torch.tensor([len(episode.frames) for episode in episodes]),
        torch.cat(ended),
        torch.cat(felt) if felt else None,
        num_choices,
    )
