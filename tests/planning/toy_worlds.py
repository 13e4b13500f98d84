"""World models that are exactly known: the embedding is a place, an action moves it."""

from dataclasses import dataclass, field
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
    max_horizon: int | None = None

    @property
    def action_space(self) -> gymnasium.spaces.Space:
        return gymnasium.spaces.Box(-self.reach, self.reach, (2,), np.float32)

    def observe(self, observation: Tensor) -> Place:
        return Place(observation.to(self.dtype))

    def moved(self, place: Tensor, action: Tensor) -> Tensor:
        return place + action.to(self.dtype)

    def rollout(self, state: Any, actions: Tensor) -> Tensor:
        if self.asked is not None:
            self.asked.append(tuple(actions.shape))
        place, ahead = state.z, []
        for action in actions.unbind(2):
            place = self.moved(place, action)
            ahead.append(place)
        return torch.stack(ahead, dim=2)[..., None, :]

    def encode_goal(self, goal: Tensor) -> Tensor:
        return goal.to(self.dtype)[:, None]


@dataclass(frozen=True)
class Step(Walk):
    """A walk that also steps from any place."""

    def advance(self, z: Tensor, action: Tensor) -> Tensor:
        return self.moved(z[..., 0, :], action)[..., None, :]


@dataclass(frozen=True)
class Turning(Step):
    """Turn and shrink the place, then push it: linear, z' = A z + B a, so that the best plan is a least squares one."""

    turn: Tensor = field(default_factory=lambda: torch.tensor([[0.8, -0.4], [0.4, 0.8]], dtype=torch.float64))
    push: Tensor = field(default_factory=lambda: torch.tensor([[1.0, 0.5], [0.0, 0.7]], dtype=torch.float64))

    def moved(self, place: Tensor, action: Tensor) -> Tensor:
        return place @ self.turn.to(place).T + action.to(place) @ self.push.to(place).T


@dataclass(frozen=True)
class Walled(Step):
    """A walk on which the line x = 0 stops whoever crosses it elsewhere than at 1.5 < y < 3."""

    def moved(self, place: Tensor, action: Tensor) -> Tensor:
        ahead = place + action.to(place)
        crosses = (place[..., 0] < 0) != (ahead[..., 0] < 0)
        share = place[..., 0] / (place[..., 0] - ahead[..., 0]).where(crosses, torch.ones(()).to(place))
        height = place[..., 1] + share * action[..., 1].to(place)
        is_stopped = crosses & ~((height > 1.5) & (height < 3))
        return torch.where(is_stopped[..., None], place, ahead)


@dataclass(frozen=True)
class Grid(Walk):
    """Stay, or move one cell right, left, up or down: five actions, each a one-hot vector."""

    @property
    def action_space(self) -> gymnasium.spaces.Space:
        return gymnasium.spaces.Discrete(5)

    def moved(self, place: Tensor, action: Tensor) -> Tensor:
        moves = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        return place + action.to(place) @ moves.to(place)


@dataclass(frozen=True)
class Horseshoe(Walk):
    """Walk along a circle that is cut at angle 0: its two ends are near each other and far to walk."""

    reach: float = 0.3

    @property
    def action_space(self) -> gymnasium.spaces.Space:
        return gymnasium.spaces.Box(-self.reach, self.reach, (1,), np.float32)

    def moved(self, place: Tensor, action: Tensor) -> Tensor:
        angle = torch.atan2(place[..., 1], place[..., 0]) % (2 * torch.pi)
        return self.at((angle + action[..., 0].to(angle)).clamp(0.2, 2 * torch.pi - 0.2))

    def at(self, angle: Tensor) -> Tensor:
        return torch.stack((angle.cos(), angle.sin()), dim=-1)


def straight(z: Tensor, goal: Tensor, steps: Tensor) -> Tensor:
    """Go straight to the goal in so many steps: the best policy of a walk."""
    return ((goal - z) / steps[:, None])[:, None]
