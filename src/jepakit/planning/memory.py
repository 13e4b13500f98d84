"""Remember the last frames of episodes and what was done between them, for models that one picture tells too little.

A picture shows where things are and not how they move: two do, and the actions in between. A model that predicts from a
window of frames is given such a clip to observe, wherever it is given a picture.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from jepakit.types import ClipBatch, UserError


class Memory:
    """Hold what a batch of episodes, played side by side, saw and did last.

    Args:
        num_frames: Frames that are shown at most, the present one included; early in an episode there are fewer.
        frame_skip: Actions between two of them, as the model's own.
        action_dim: Numbers of an action.

    Raises:
        UserError: A number is below 1.

    Example:
        >>> memory = Memory(num_frames=2, frame_skip=1, action_dim=2)
        >>> seen = memory.see(torch.zeros(3, 1, 4, 4, dtype=torch.uint8))
        >>> memory.did(torch.ones(3, 2))
        >>> clip = memory.see(torch.zeros(3, 1, 4, 4, dtype=torch.uint8))
        >>> seen.frames.shape[1], clip.frames.shape[1], clip.action.shape
        (1, 2, torch.Size([3, 1, 2]))
    """

    def __init__(self, num_frames: int, frame_skip: int, action_dim: int):
        if min(num_frames, frame_skip, action_dim) < 1:
            raise UserError(
                f"A memory holds at least 1 frame, 1 action apart or more, of actions of at least 1 number; got "
                f"{num_frames}, {frame_skip} and {action_dim}."
            )
        self.frame_skip = frame_skip
        self.action_dim = action_dim
        self._frames: deque[UInt8[Tensor, "b c h w"]] = deque(maxlen=(num_frames - 1) * frame_skip + 1)
        self._actions: deque[Float[Tensor, "b a"]] = deque(maxlen=(num_frames - 1) * frame_skip)
        self._awaits_action = False

    def see(self, frame: UInt8[Tensor, "b c h w"]) -> UInt8[Tensor, "b c h w"] | ClipBatch:
        """Remember the present frame of every episode, and return what is remembered in whole blocks up to it.

        A memory of one frame returns it as it is, so that it serves models which take pictures alone.

        Raises:
            UserError: It was not told what was done after the last frame.
        """
        if self._awaits_action:
            raise UserError("A memory is told what was done after a frame (did) before it sees the next one.")
        self._awaits_action = True
        self._frames.append(frame)
        if self._frames.maxlen == 1:
            return frame
        reach = (len(self._frames) - 1) // self.frame_skip * self.frame_skip
        seen = torch.stack(list(self._frames)[len(self._frames) - 1 - reach :: self.frame_skip], dim=1)
        done = list(self._actions)[len(self._actions) - reach :]
        action = torch.stack(done, dim=1) if done else torch.zeros(len(frame), 0, self.action_dim, device=frame.device)
        return ClipBatch(seen, action, torch.arange(len(frame), device=frame.device))

    def did(self, action: Float[Tensor, "b a"]) -> None:
        """Remember what was done after the last frame."""
        self._awaits_action = False
        self._actions.append(action)


@dataclass(frozen=True)
class Remembering:
    """Act by what is remembered instead of by the present picture alone.

    Args:
        act: Chooses actions by clips, such as `Control`.
        memory: Of these episodes, from their beginning.
    """

    act: Callable[[Any], Float[Tensor, "b a"]]
    memory: Memory

    def __call__(self, frame: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b a"]:
        """Return the next action of every episode."""
        action = self.act(self.memory.see(frame))
        self.memory.did(action)
        return action
