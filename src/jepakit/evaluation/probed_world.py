"""Price a learned model's predictions by the truth: read places from them, and ask the world how far the goal is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import gymnasium
import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.evaluation.telling import Far, Model
from jepakit.evaluation.true_world import Known, known
from jepakit.types import UserError
from jepakit.worlds.trajectories import select

Read = Callable[[Tensor], Mapping[str, Tensor]]
"""Read factors from tokens (r, n, d), such as a `FactorProbe`."""


@dataclass(frozen=True)
class Learned:
    """Show planners a learned model that observes states by looking at them; nothing else is changed.

    Args:
        model: What predicts.
        look: What it is given of states.
    """

    model: Model
    look: Callable[[Any], Any]

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """Return the model's own actions."""
        return self.model.action_space

    @property
    def max_horizon(self) -> int | None:
        """Return how many actions the model looks ahead, where that is limited."""
        return getattr(self.model, "max_horizon", None)

    def observe(self, observation: Any) -> Any:
        """Return the state in which the sight of states leaves the model."""
        return self.model.observe(self.look(observation))

    def rollout(self, state: Any, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s _ n d"]:
        """Return what the model predicts."""
        return self.model.rollout(state, actions)

    def encode_goal(self, goal: Any) -> Float[Tensor, "b n d"]:
        """Return the model's tokens of goal states."""
        return self.model.encode_goal(self.look(goal))


@dataclass(frozen=True)
class Imagining:
    """Hold what a learned model remembers, and the true states beside it."""

    inner: Any
    truth: Known

    def expand(self, num_samples: int) -> "Imagining":
        """Return both once for each candidate."""
        return Imagining(self.inner.expand(num_samples), self.truth.expand(num_samples))

    def select(self, index: Int[Tensor, " k"]) -> "Imagining":
        """Return both at these places of the batch."""
        return Imagining(self.inner.select(index), self.truth.select(index))


@dataclass(frozen=True)
class ProbedWorld:
    """Show planners a learned model that tells of its predictions how far the goal is, for `TrueCost`.

    What a probe reads from a prediction takes its place in the true state from which the prediction began; all else of
    that state, such as the walls of a layout, stays true. It uses labels, at planning time too.

    Args:
        learned: What predicts, and sees states.
        read: Reads factors from its tokens.
        goals: Where each episode of the batch is to end.
        far: Says how far that is from states.
    """

    learned: Learned
    read: Read
    goals: Any
    far: Far

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """Return the model's own actions."""
        return self.learned.action_space

    @property
    def max_horizon(self) -> int | None:
        """Return how many actions the model looks ahead, where that is limited."""
        return self.learned.max_horizon

    def observe(self, observation: Any) -> Imagining:
        """Return what the model makes of states, and the states."""
        return Imagining(self.learned.observe(observation), known(observation, self.goals))

    def rollout(self, state: Imagining, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s _ 1 1"]:
        """Return how far the goal is from where the model predicts to be."""
        z_hat = self.learned.rollout(state.inner, actions)
        row = state.truth.row[..., None].expand(z_hat.shape[:3]).flatten()
        there = placed(select(state.truth.states, row), self.read(z_hat.flatten(0, 2)))
        far = self.far(there, select(state.truth.goals, row))
        return far.float().view(*z_hat.shape[:3], 1, 1)

    def encode_goal(self, goal: Any) -> Float[Tensor, "b n d"]:
        """Return the model's own tokens of goals: `TrueCost` reads none, but a search tells from them their size."""
        return self.learned.encode_goal(goal)


def placed(states: Any, factors: Mapping[str, Float[Tensor, "b _"]]) -> Any:
    """Return states with factors in the place of the fields of the same name, also of states within states.

    A field with half as many numbers as its factor is an angle, and the factor its cosines followed by its sines.

    Raises:
        UserError: A factor is no field of the states, or has another number of numbers.
    """
    left = dict(factors)
    changed = _placed(states, left)
    if left:
        raise UserError(
            f"States of {type(states).__name__} have no field {', nor a field '.join(left)}; only a factor with the "
            "name of a field can take its place."
        )
    return changed


def _placed(states: Any, left: dict[str, Tensor]) -> Any:
    """Return changed states, and take out of `left` what has found its place."""
    changed: dict[str, Any] = {}
    for entry in fields(states):
        value = getattr(states, entry.name)
        if isinstance(value, Tensor) and entry.name in left:
            changed[entry.name] = _as_field(entry.name, left.pop(entry.name), value)
        elif is_dataclass(value) and not isinstance(value, type):
            changed[entry.name] = _placed(value, left)
    return replace(states, **changed)


def _as_field(name: str, factor: Float[Tensor, "b _"], field: Tensor) -> Tensor:
    """Return a factor in a field's shape."""
    numbers = field[0].numel()
    if factor.shape[1] == 2 * numbers:
        cosine, sine = factor.chunk(2, dim=1)
        factor = torch.atan2(sine, cosine)
    if factor.shape[1] != numbers:
        raise UserError(f"The factor {name} has {factor.shape[1]} numbers, the field of that name {numbers}.")
    return factor.reshape(field.shape).to(field.dtype)
