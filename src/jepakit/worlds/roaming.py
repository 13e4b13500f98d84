"""Roam through any embedded world: random actions that change slowly, for data from which to learn.

Each trajectory is a pure function of the world's seed and the trajectory's id, made for all ids at once.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError, require
from jepakit.worlds.trajectories import Trajectories, follow
from jepakit.worlds.world import World


@runtime_checkable
class SeededWorld(World, Protocol):
    """A world that says on which seed its draws depend."""

    @property
    def seed(self) -> int:
        """Return the seed."""
        ...


@dataclass(frozen=True)
class Roaming:
    """Say how actions are drawn: normal, each correlated with the one before, cut to the action space.

    Args:
        persistence: Correlation of successive actions; 0 draws each anew.
        spread: Standard deviation, where 1 is half the width of the action space.

    Example:
        >>> from jepakit.worlds import PushDisc
        >>> Roaming()(PushDisc(), torch.arange(3), 5).action.shape
        torch.Size([3, 5, 2])
    """

    persistence: float = 0.8
    spread: float = 0.7

    def __post_init__(self) -> None:
        require(0.0 <= self.persistence < 1.0, f"A persistence is at least 0 and below 1, got {self.persistence}.")
        require(self.spread > 0.0, f"A spread is above 0, got {self.spread}.")

    def __call__(self, world: SeededWorld, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
        """Return the trajectories of these ids, `num_steps` actions long."""
        return follow(world, world.start(ids), self.actions(world, ids, num_steps))

    def actions(self, world: SeededWorld, ids: Int[Tensor, " b"], num_steps: int) -> Float[Tensor, "b t a"]:
        """Return what is done.

        Raises:
            UserError: The world's actions are unbounded or no vectors.
        """
        space = world.action_space
        if len(space.shape) != 1 or not space.is_bounded():
            raise UserError(f"Roaming needs bounded actions in a vector, got {space}.")
        low, high = (torch.as_tensor(edge, device=ids.device) for edge in (space.low, space.high))
        drawn = Stream(world.seed, "roaming").normal(0, ids, num_steps * len(low)).unflatten(1, (num_steps, -1))
        fresh = (1.0 - self.persistence**2) ** 0.5
        value, values = drawn[:, 0], [drawn[:, 0]]
        for step in range(1, num_steps):
            value = self.persistence * value + fresh * drawn[:, step]
            values.append(value)
        middle, half = (low + high) / 2, (high - low) / 2
        return (middle + half * self.spread * torch.stack(values, dim=1)).clamp(low, high)
