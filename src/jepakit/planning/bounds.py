"""Hold what actions may be: a box, a largest length where one is given, and how actions are moved into both."""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.types import UserError


@dataclass(frozen=True)
class Bounds:
    """Hold the lowest and the highest action, and the greatest Euclidean length of one.

    Args:
        low: Lowest value of each part of an action.
        high: Highest value.
        max_norm: Greatest length; none by default.
    """

    low: Float[Tensor, " a"]
    high: Float[Tensor, " a"]
    max_norm: float | None = None

    @property
    def action_dim(self) -> int:
        """Return the length of an action."""
        return len(self.low)

    @property
    def widest(self) -> Float[Tensor, " a"]:
        """Return the largest size of each part of an action."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def like(self, tensor: Tensor) -> "Bounds":
        """Return the same bounds in the precision and on the device of a tensor."""
        return Bounds(self.low.to(tensor), self.high.to(tensor), self.max_norm)

    def clamp(self, actions: Float[Tensor, "*n t a"]) -> Float[Tensor, "*n t a"]:
        """Return actions moved into the box, then shortened to the greatest length."""
        edges = (edge.to(actions).expand(actions.shape[-2:]).contiguous() for edge in (self.low, self.high))
        inside = actions.clamp(*edges)  # in rows as long as a plan, which is several times faster than as an action
        if self.max_norm is None:
            return inside
        length = torch.linalg.vector_norm(inside, dim=-1, keepdim=True)
        return inside * (self.max_norm / length.clamp_min(self.max_norm))


def bounds_of(space: gymnasium.spaces.Space[Any], max_norm: float | None = None) -> Bounds:
    """Return the bounds of an action space.

    Args:
        space: A bounded box of one axis.
        max_norm: Greatest length of an action.

    Raises:
        UserError: It is no bounded box of one axis, or actions are to be shorter than a length that is not positive,
            or in a box without the action zero, where a shortened action could leave it.
    """
    if isinstance(space, gymnasium.spaces.Discrete):
        raise UserError(f"This planner needs actions in a one-axis Box, got {space}; search it with CategoricalCEM.")
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
        raise UserError(f"Planning needs actions in a one-axis Box, got {space}.")
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UserError(f"Planning needs a bounded action space, got {space}; give the planner an action_space.")
    if max_norm is not None and (max_norm <= 0 or (space.low > 0).any() or (space.high < 0).any()):
        raise UserError(
            f"max_norm needs a length above 0 and a box that holds the action zero, got {max_norm}, {space}."
        )
    return Bounds(torch.from_numpy(space.low).float(), torch.from_numpy(space.high).float(), max_norm)


def chosen_space(
    model: gymnasium.spaces.Space[Any], chosen: gymnasium.spaces.Space[Any] | None
) -> gymnasium.spaces.Space[Any]:
    """Return the space to search: the model's own, or one that the user chose instead.

    Raises:
        UserError: The chosen space has actions of another kind or size than the model's.
    """
    if chosen is None:
        return model
    sizes = [(type(space), getattr(space, "n", space.shape)) for space in (model, chosen)]
    if sizes[0] != sizes[1]:
        raise UserError(f"The model takes actions of {model}, but the planner's action_space is {chosen}.")
    return chosen
