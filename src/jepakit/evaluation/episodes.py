"""Play episodes in a world and say how often the goal is reached: at the end, and ever on the way."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from jepakit.evaluation.intervals import Interval, wilson

Act = Callable[[Any], Float[Tensor, "b a"]]
"""Choose the next action of every episode from what is seen."""


@runtime_checkable
class World(Protocol):
    """What playing needs of a world."""

    def step(self, state: Any, action: Float[Tensor, "b a"]) -> Any:
        """Return the states after an action."""
        ...

    def render(self, state: Any) -> Tensor:
        """Return what is seen."""
        ...


@dataclass(frozen=True)
class Played:
    """Hold how far each episode was from its goal, before the first step and after each.

    Args:
        distance: In the world's units.
        seconds: Seconds that deciding took, of all episodes together.
    """

    distance: Float[Tensor, "b t1"]
    seconds: float

    def ends_near(self, near: float) -> Bool[Tensor, " b"]:
        """Return which episodes end within `near` of the goal."""
        return self.distance[:, -1] < near

    def comes_near(self, near: float) -> Bool[Tensor, " b"]:
        """Return which episodes are ever within `near` of the goal."""
        return (self.distance < near).any(dim=1)


def play(world: World, start: Any, act: Act, num_steps: int, distance: Callable[[Any], Float[Tensor, " b"]]) -> Played:
    """Play a batch of episodes for so many steps.

    Args:
        world: Where.
        start: The first states.
        act: Chooses actions by what is seen.
        num_steps: Steps of every episode.
        distance: How far states are from their goals.
    """
    state, seconds, far = start, 0.0, [distance(start)]
    for _ in range(num_steps):
        seen = world.render(state)
        begin = time.perf_counter()
        action = act(seen)
        seconds += time.perf_counter() - begin
        state = world.step(state, action)
        far.append(distance(state))
    return Played(torch.stack(far, dim=1), seconds)


def success(reached: Bool[Tensor, " b"]) -> Interval:
    """Return the share of episodes that reached their goal, with Wilson's interval over episodes."""
    return wilson(int(reached.sum()), len(reached))
