"""A world model that is exactly known: the embedding is a place, an action moves it."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Place:
    z: Tensor

    def expand(self, num_samples: int) -> "Place":
        return Place(self.z[:, None].expand(-1, num_samples, -1))

    def select(self, index: Tensor) -> "Place":
        return Place(self.z[index])


@dataclass(frozen=True)
class Walk:
    """Move a point by bounded steps; counts what it is asked to do."""

    reach: float = 1.0
    dtype: torch.dtype = torch.float32
    asked: list[tuple[int, ...]] | None = None

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        return gymnasium.spaces.Box(-self.reach, self.reach, (2,), np.float32)

    def observe(self, observation: Tensor) -> Place:
        return Place(observation.to(self.dtype))

    def rollout(self, state: Any, actions: Tensor) -> Tensor:
        if self.asked is not None:
            self.asked.append(tuple(actions.shape))
        return (state.z[:, :, None] + actions.to(self.dtype).cumsum(dim=2))[..., None, :]

    def encode_goal(self, goal: Tensor) -> Tensor:
        return goal.to(self.dtype)[:, None]
