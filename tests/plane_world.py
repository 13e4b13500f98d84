"""A dot on an open plane and a model of it whose parts can be spoilt one by one: worlds whose diagnosis is known."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import numpy as np
import torch

from jepakit.random import Stream

SPACE = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)


@dataclass(frozen=True)
class PlaneState:
    position: torch.Tensor

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class Plane:
    """Move a dot by its action; a picture is its place as two pixels."""

    seed: int = 0
    near: float = 1.0
    action_space = SPACE
    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2, 1, 1), np.float32)

    def start(self, ids: torch.Tensor) -> PlaneState:
        return PlaneState(8.0 * Stream(self.seed, "plane").uniform(0, ids, 2) - 4.0)

    def task(self, ids: torch.Tensor) -> tuple[PlaneState, PlaneState]:
        start = self.start(ids)
        angle = 2 * torch.pi * Stream(self.seed, "plane/goal").uniform(0, ids, 1)
        return start, PlaneState(start.position + 5.0 * torch.cat((angle.cos(), angle.sin()), dim=1))

    def step(self, state: PlaneState, action: torch.Tensor) -> PlaneState:
        return replace(state, position=state.position + action.clamp(-1.0, 1.0))

    def render(self, state: PlaneState) -> torch.Tensor:
        return state.position[:, :, None, None]

    def distance(self, state: PlaneState, goal: PlaneState) -> torch.Tensor:
        return (state.position - goal.position).norm(dim=1)

    def reached(self, state: PlaneState, goal: PlaneState) -> torch.Tensor:
        return self.distance(state, goal) < self.near

    def factors(self, state: PlaneState) -> dict[str, torch.Tensor]:
        return {"position": state.position, "nothing": torch.zeros(len(state), 1)}


@dataclass(frozen=True)
class Remembered:
    place: torch.Tensor

    def expand(self, num_samples: int) -> "Remembered":
        return Remembered(self.place[:, None].expand(-1, num_samples, -1))

    def select(self, index: torch.Tensor) -> "Remembered":
        return Remembered(self.place[index])


@dataclass(frozen=True)
class PlaneModel:
    """Predict places by `gain` times the actions, every `frame_skip`-th of them, and embed them."""

    embed: Callable[[torch.Tensor], torch.Tensor] = lambda place: place
    gain: float = 1.0
    frame_skip: int = 1
    action_space = SPACE

    def observe(self, observation: torch.Tensor) -> Remembered:
        return Remembered(observation[:, :, 0, 0])

    def rollout(self, state: Remembered, actions: torch.Tensor) -> torch.Tensor:
        moved = self.gain * actions.clamp(-1.0, 1.0).cumsum(dim=2)[:, :, self.frame_skip - 1 :: self.frame_skip]
        return self.embed(state.place[:, :, None] + moved)[..., None, :]

    def encode_goal(self, goal: Any) -> torch.Tensor:
        return self.embed(goal[:, :, 0, 0])[..., None, :]


def rugged(place: torch.Tensor) -> torch.Tensor:
    """Embed places so that all is told of them, but what is near to what is all but lost."""
    return torch.cat((torch.sin(9.0 * place), 0.01 * place), dim=-1)
