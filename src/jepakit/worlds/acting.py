"""Act by a function of the state, with noise or without: scripted and noisy behaviours, in any world.

A behaviour is called with (world, ids, num_steps), as `Wandering` and `Roaming` are, so all of them serve `ClipStream`
and `collect` alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError, require
from jepakit.worlds.trajectories import Trajectories, interleave

Policy = Callable[[Any], Float[Tensor, "b a"]]
"""Choose an action of every episode by the world's state."""


@dataclass(frozen=True)
class Uniform:
    """Draw every action anew, uniformly from a bounded box or from choices.

    Args:
        hold: Steps for which each is held.
    """

    hold: int = 1

    def __call__(self, world: Any, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
        """Return the trajectories of these ids, `num_steps` actions long."""
        require(self.hold > 0, f"An action is held for at least 1 step, not {self.hold}.")
        step = iter(range(num_steps))
        return played(world, ids, num_steps, lambda state: uniform(world, ids, next(step) // self.hold))


@dataclass(frozen=True)
class Scripted:
    """Do what a policy says.

    Args:
        policy: Chooses actions by the state: a controller, an expert, a planner.
        noise: Standard deviation of what is added to actions of a box, where 1 is half its width.
        random_share: Share of actions that are drawn uniformly instead; of choices and of boxes.

    Raises:
        UserError: A number is out of range.
    """

    policy: Policy
    noise: float = 0.0
    random_share: float = 0.0

    def __post_init__(self) -> None:
        require(self.noise >= 0.0, f"Noise is at least 0, got {self.noise}.")
        require(0.0 <= self.random_share <= 1.0, f"A share lies between 0 and 1, got {self.random_share}.")

    def __call__(self, world: Any, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
        """Return the trajectories of these ids, `num_steps` actions long.

        Raises:
            UserError: There is noise, and actions are choices.
        """
        space, steps = world.action_space, iter(range(num_steps))
        is_box = isinstance(space, gymnasium.spaces.Box)
        require(is_box or self.noise == 0.0, "Choices cannot have noise added; use random_share.")

        def act(state: Any) -> Tensor:
            step, chosen = next(steps), self.policy(state)
            if is_box and self.noise > 0.0:
                low, high = edges(space)
                drawn = Stream(world.seed, "acting/noise").normal(step, ids, len(low))
                chosen = (chosen + self.noise * (high - low) / 2 * drawn).clamp(low, high)
            if self.random_share > 0.0:
                replaced = Stream(world.seed, "acting/share").uniform(step, ids, 1) < self.random_share
                chosen = torch.where(replaced, uniform(world, ids, step), chosen)
            return chosen

        return played(world, ids, num_steps, act)


def played(world: Any, ids: Int[Tensor, " b"], num_steps: int, act: Policy) -> Trajectories:
    """Begin episodes and act in them."""
    states, actions = [world.start(ids)], []
    for _ in range(num_steps):
        actions.append(act(states[-1]))
        states.append(world.step(states[-1], actions[-1]))
    return Trajectories(interleave(states), torch.stack(actions, dim=1))


def uniform(world: Any, ids: Int[Tensor, " b"], step: int) -> Float[Tensor, "b a"]:
    """Draw an action of each episode: a function of the world's seed, the episode and the step.

    Raises:
        UserError: Actions are neither choices nor a bounded vector.
    """
    space, stream = world.action_space, Stream(world.seed, "acting/uniform")
    if isinstance(space, gymnasium.spaces.Discrete):
        return stream.integers(step, ids, 1, int(space.n)).float()
    low, high = edges(space)
    return low + (high - low) * stream.uniform(step, ids, len(low))


def edges(space: Any) -> tuple[Float[Tensor, " a"], Float[Tensor, " a"]]:
    """Return the lowest and the highest action.

    Raises:
        UserError: They are no bounded vector.
    """
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1 or not space.is_bounded():
        raise UserError(f"Random actions are drawn from bounded vectors or choices, got {space}.")
    return torch.from_numpy(space.low).float(), torch.from_numpy(space.high).float()
