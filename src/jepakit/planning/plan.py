"""Say what planners see of a world model, what a cost is, and what a plan holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.types import UserError

Cost = Callable[[Float[Tensor, "b s t n d"], Float[Tensor, "b n d"], Float[Tensor, "b s _ a"]], Float[Tensor, "b s"]]
"""Say what reaching (predicted tokens, goal tokens, actions) costs: low is good."""


@runtime_checkable
class LatentState(Protocol):
    """What a world model remembers of what it saw; opaque."""

    def expand(self, num_samples: int) -> "LatentState":
        """Return the state once for each candidate, memory shared."""
        ...

    def select(self, index: Int[Tensor, " k"]) -> "LatentState":
        """Return the states at these places of the batch."""
        ...


@runtime_checkable
class WorldModel(Protocol):
    """All that planning knows of a world model."""

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """Return the actions that may be chosen."""
        ...

    def observe(self, observation: Any) -> LatentState:
        """Return the state in which observations leave the model."""
        ...

    def rollout(self, state: Any, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s _ n d"]:
        """Return the predicted tokens after each action of each candidate, or after each block that is looked at."""
        ...

    def encode_goal(self, goal: Any) -> Float[Tensor, "b n d"]:
        """Return the tokens of goals."""
        ...


@dataclass(frozen=True)
class Plan:
    """Hold what a planner found.

    Args:
        actions: What to do.
        cost: What the model says that it costs.
        info: What happened on the way, by name: mean costs of the elites and their spread per iteration.
    """

    actions: Float[Tensor, "b t a"]
    cost: Float[Tensor, " b"]
    info: Mapping[str, Tensor] = field(default_factory=dict)

    def after(self, num_steps: int) -> Float[Tensor, "b t a"]:
        """Return what is left once so many actions are done, filled up with rest: where the next search begins."""
        done = self.actions[:, :num_steps]
        return torch.cat((self.actions[:, num_steps:], torch.zeros_like(done)), dim=1)


@dataclass(frozen=True)
class Bounds:
    """Hold the lowest and the highest action."""

    low: Float[Tensor, " a"]
    high: Float[Tensor, " a"]

    def clamp(self, actions: Float[Tensor, "*n a"]) -> Float[Tensor, "*n a"]:
        """Return actions moved into the bounds."""
        return actions.clamp(self.low.to(actions), self.high.to(actions))


def bounds_of(space: gymnasium.spaces.Space[Any]) -> Bounds:
    """Return the bounds of an action space.

    Raises:
        UserError: It is no bounded box of one axis.
    """
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise UserError(f"Planning needs actions in a one-axis Box, got {space}.")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UserError(f"Planning needs a bounded action space, got {space}; wrap it with bounds.")
    return Bounds(torch.from_numpy(space.low).float(), torch.from_numpy(space.high).float())
