"""Set goals in gymnasium environments: where a behaviour leads, or where the environment can be reset to."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.types import require
from jepakit.worlds.acting import uniform
from jepakit.worlds.gymnasium_world import EnvState, GymnasiumWorld


@dataclass(frozen=True)
class Ahead:
    """Set goals where a behaviour leads in so many steps: a task that can be solved, in any environment.

    Args:
        num_steps: How far ahead.
        policy: Chooses actions by the state and the step; by default each is drawn anew, uniformly.
    """

    num_steps: int
    policy: Callable[[GymnasiumWorld, EnvState, int], Float[Tensor, "b a"]] | None = None

    def __call__(self, world: GymnasiumWorld, start: EnvState) -> EnvState:
        """Return where the behaviour leads."""
        require(self.num_steps > 0, f"A goal lies at least 1 step ahead, not {self.num_steps}.")
        state = start
        for step in range(self.num_steps):
            chosen = uniform(world, state.id, step) if self.policy is None else self.policy(world, state, step)
            state = world.step(state, chosen)
        return state


@dataclass(frozen=True)
class Shown:
    """Set goals that the environment can be reset to, by its own options.

    Args:
        options: Returns the options of `reset` that put one instance where its goal is, given its fresh state's place
            and the episode's number.
    """

    options: Callable[[Float[Tensor, " k"], int], dict[str, Any]]

    def __call__(self, world: GymnasiumWorld, start: EnvState) -> EnvState:
        """Return what the environment shows there."""
        chosen = [self.options(place, int(id)) for place, id in zip(start.place, start.id, strict=True)]
        goal = world.show(start.id, chosen)
        return replace(goal, success=torch.ones_like(goal.success))
