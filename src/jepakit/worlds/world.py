"""Say what training, evaluation and diagnosis know of a world, and nothing else."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import gymnasium
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor


@runtime_checkable
class World(Protocol):
    """Step and draw a batch of episodes; a state is a frozen dataclass of tensors whose first axis is the batch.

    A state is a value: stepping returns another, any can be gone back to, and its picture depends on it alone. Every
    draw is a function of the world's seed and the episode's id.
    """

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return the actions that a planner may choose."""
        ...

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Return the space of pictures."""
        ...

    def start(self, ids: Int[Tensor, " b"]) -> Any:
        """Begin episodes from which to learn."""
        ...

    def task(self, ids: Int[Tensor, " b"]) -> tuple[Any, Any]:
        """Return where evaluated episodes begin and where they are to end."""
        ...

    def step(self, state: Any, action: Float[Tensor, "b a"]) -> Any:
        """Return the states after an action."""
        ...

    def render(self, state: Any) -> UInt8[Tensor, "b c h w"]:
        """Draw the states."""
        ...

    def distance(self, state: Any, goal: Any) -> Float[Tensor, " b"]:
        """Return how far states are from goals, in the world's units."""
        ...

    def reached(self, state: Any, goal: Any) -> Bool[Tensor, " b"]:
        """Return whether a state counts as the goal."""
        ...

    def factors(self, state: Any) -> Mapping[str, Float[Tensor, "b _"]]:
        """Return what a probe may ask for, by name; only evaluation and diagnosis read it."""
        ...
