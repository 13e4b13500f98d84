"""Say what the body of a world model can do and feel, and how its predictor is told: choices, blocks, bounds."""

import math
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from jepakit.types import ClipBatch, UserError


@dataclass(frozen=True, kw_only=True)
class ActingConfig:
    """Describe actions and proprioception; the methods that take them inherit these settings.

    Args:
        action_low: Lowest value of each part of an action.
        action_high: Highest value.
        num_actions: Choices, where an action is the number of one instead: then there are no bounds.
        frame_skip: Actions between two frames that are looked at; the predictor is told all of them at once.
        proprio_dim: Numbers that the body feels at each frame; 0 for none.

    Raises:
        UserError: There are neither bounds in order nor choices, or both, or a count is negative.
    """

    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    num_actions: int = 0
    frame_skip: int = 1
    proprio_dim: int = 0

    def __post_init__(self) -> None:
        for name in ("action_low", "action_high"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        low, high = self.action_low, self.action_high
        is_ordered = len(low) == len(high) > 0 and all(a < b for a, b in zip(low, high, strict=True))
        is_ordered = is_ordered and all(map(math.isfinite, low + high))
        has_choices = self.num_actions > 1 and not low + high
        if not has_choices and (self.num_actions or not is_ordered):
            raise UserError(
                f"An action needs finite bounds, the lower below the upper, or else at least 2 choices (num_actions); "
                f"got {low}, {high} and num_actions={self.num_actions}."
            )
        if self.frame_skip < 1 or self.proprio_dim < 0:
            raise UserError(
                f"frame_skip is at least 1 and proprio_dim at least 0, got {self.frame_skip} and {self.proprio_dim}."
            )

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """Return the actions that a planner may choose at each step of the world."""
        if self.num_actions:
            return gymnasium.spaces.Discrete(self.num_actions)
        low, high = (np.array(edge, np.float32) for edge in (self.action_low, self.action_high))
        return gymnasium.spaces.Box(low, high, dtype=np.float32)

    @property
    def told_dim(self) -> int:
        """Return how many numbers the predictor is told between two frames."""
        return self.frame_skip * (self.num_actions or len(self.action_low))

    def told(self, action: Float[Tensor, "*b t a"]) -> Float[Tensor, "*b t2 a2"]:
        """Return what the predictor is told: choices as one-hot vectors, the actions of each block side by side.

        Raises:
            UserError: Actions have another length, or do not fill whole blocks.
        """
        length = 1 if self.num_actions else len(self.action_low)
        if action.shape[-1] != length or action.shape[-2] % self.frame_skip:
            raise UserError(
                f"This model takes actions of {length} numbers in blocks of {self.frame_skip} (frame_skip), got "
                f"{action.shape[-2]} of {action.shape[-1]}."
            )
        if self.num_actions:
            action = F.one_hot(action[..., 0].long(), self.num_actions).to(action.dtype)
        return action.unflatten(-2, (-1, self.frame_skip)).flatten(-2)

    def thinned(self, clip: ClipBatch) -> ClipBatch:
        """Return the clip with those frames alone that are looked at; one that holds no others stays as it is.

        Raises:
            UserError: Frames and actions do not fit, or there is no proprioception where there should be, or the other
                way round.
        """
        felt = 0 if clip.proprio is None else clip.proprio.shape[-1]
        if felt != self.proprio_dim:
            raise UserError(f"This model takes {self.proprio_dim} numbers of proprioception a frame, got {felt}.")
        num_frames, num_actions = clip.frames.shape[1], clip.action.shape[1]
        if num_actions == (num_frames - 1) * self.frame_skip:
            return clip
        if num_actions != num_frames - 1 or num_actions % self.frame_skip:
            raise UserError(
                f"{num_frames} frames and {num_actions} actions are no clip with {self.frame_skip} actions between two "
                "frames that are looked at; give those frames alone, or all of whole blocks."
            )
        proprio = None if clip.proprio is None else clip.proprio[:, :: self.frame_skip]
        return replace(clip, frames=clip.frames[:, :: self.frame_skip], proprio=proprio)


def as_clip(seen: Tensor | ClipBatch, action_dim: int) -> ClipBatch:
    """Return what was seen as clips: pictures (b, c, h, w) are clips of one frame, after which nothing was done."""
    if isinstance(seen, ClipBatch):
        return seen
    nothing = torch.zeros(len(seen), 0, action_dim, device=seen.device)
    return ClipBatch(seen[:, None], nothing, torch.zeros(len(seen), dtype=torch.long, device=seen.device))
