"""Give a search the true simulator in the place of a model.

`TrueWorld` has the four names by which planning knows a world model. What it observes are true states, what it rolls
out are true states too, and what it tells of them is what the model's own encoder makes of their pictures (`Embedded`:
the model's cost stays as it is), or how far the goal still is (`Remaining`, for `TrueCost`).
"""

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import gymnasium
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.evaluation.telling import AT_ONCE, Telling
from jepakit.types import require
from jepakit.worlds.trajectories import select


@runtime_checkable
class Steps(Protocol):
    """What a rollout needs of a world."""

    def step(self, state: Any, action: Float[Tensor, "b a"]) -> Any:
        """Return the states after an action."""
        ...


@dataclass(frozen=True)
class Known:
    """Hold true states and their goals, and which of them each episode, or each candidate, is in.

    Args:
        states: Of a batch of episodes.
        goals: Of the same.
        row: Which of these; (b,), or (b, s) once expanded over s candidates.
    """

    states: Any
    goals: Any
    row: Int[Tensor, "b ..."]

    def expand(self, num_samples: int) -> "Known":
        """Return the states once for each candidate; nothing is copied before it is stepped."""
        return Known(self.states, self.goals, self.row[:, None].expand(-1, num_samples))

    def select(self, index: Int[Tensor, " k"]) -> "Known":
        """Return the states at these places of the batch."""
        return Known(self.states, self.goals, self.row[index])


@dataclass(frozen=True)
class TrueWorld:
    """Show planners the simulator itself as a world model. It observes states, not pictures.

    Chance is the world's own: where a draw is a function of episode and step, this model knows it beforehand. No
    gradient reaches the actions, so it is for searches that need none.

    Args:
        world: What is stepped.
        goals: Where each episode of the batch is to end.
        telling: What is told of states.
        action_space: Actions that may be chosen: those of the model whose place it takes.
        frame_skip: Actions between two states of which something is told.
        at_once: Candidates stepped at once; bounds memory, changes nothing else.

    Raises:
        UserError: A count is below 1.
    """

    world: Steps
    goals: Any
    telling: Telling
    action_space: gymnasium.spaces.Space[Any] = field(repr=False)
    frame_skip: int = 1
    at_once: int = AT_ONCE

    def __post_init__(self) -> None:
        require(
            min(self.frame_skip, self.at_once) >= 1,
            f"A true world looks every 1 or more actions at 1 or more candidates, got {self.frame_skip} and "
            f"{self.at_once}.",
        )

    def observe(self, observation: Any) -> Known:
        """Return states as they are, the whole batch's."""
        return known(observation, self.goals)

    def rollout(self, state: Known, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s _ n d"]:
        """Return what is told after each block of actions of each candidate.

        Raises:
            UserError: The actions do not fill whole blocks.
        """
        b, _, t, _ = actions.shape
        require(t % self.frame_skip == 0, f"{t} actions do not fill blocks of {self.frame_skip} (frame_skip).")
        flat = rearrange(actions, "b s t a -> (b s) t a")
        parts = zip(state.row.flatten().split(self.at_once), flat.split(self.at_once), strict=True)
        told = torch.cat([self._told(state, row, part) for row, part in parts])
        return rearrange(told, "(b s) t n d -> b s t n d", b=b)

    def _told(self, state: Known, row: Int[Tensor, " r"], actions: Float[Tensor, "r t a"]) -> Float[Tensor, "r _ n d"]:
        """Step candidates that fit into memory together, and tell of them after each block."""
        now, goals, told = select(state.states, row), select(state.goals, row), []
        for step, action in enumerate(actions.unbind(1), start=1):
            now = self.world.step(now, action)
            if step % self.frame_skip == 0:
                told.append(self.telling.tokens(now, goals))
        return torch.stack(told, dim=1)

    def encode_goal(self, goal: Any) -> Float[Tensor, "b n d"]:
        """Return what is told of goals."""
        return self.telling.wanted(goal)


def known(states: Any, goals: Any) -> Known:
    """Return true states and their goals, one of each for an episode.

    Raises:
        UserError: There are more of one than of the other.
    """
    require(
        len(states) == len(goals), f"Got {len(states)} states and {len(goals)} goals; each episode has one of each."
    )
    return Known(states, goals, torch.arange(len(states), device=device_of(goals)))


def device_of(states: Any) -> torch.device:
    """Return where the tensors of states are."""
    for value in vars(states).values():
        if isinstance(value, Tensor):
            return value.device
        if hasattr(value, "__dataclass_fields__"):
            return device_of(value)
    return torch.device("cpu")
