"""Hold what was done and what came of it, for many trajectories at once; step worlds through given actions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.types import UserError
from jepakit.worlds.world import World


@dataclass(frozen=True)
class Trajectories:
    """Hold b trajectories of t actions and the t + 1 states that they lead through.

    Args:
        states: Every state, trajectory by trajectory: a batch of b (t + 1).
        action: Actions asked for; what the world leaves of one is in the states.
    """

    states: Any
    action: Float[Tensor, "b t a"]

    @property
    def num_states(self) -> int:
        """Return t + 1."""
        return self.action.shape[1] + 1

    def at(self, step: int) -> Any:
        """Return the states of every trajectory after so many actions."""
        return select(self.states, torch.arange(len(self.action)) * self.num_states + step)

    def between(self, first: int, last: int) -> "Trajectories":
        """Return the trajectories from number `first` to before number `last`."""
        states = select(self.states, slice(first * self.num_states, last * self.num_states))
        return Trajectories(states, self.action[first:last])

    def every(self, num: int) -> "Trajectories":
        """Return every `num`-th state, the first among them, and for each the sum of the actions that led to the next.

        Raises:
            UserError: The actions do not fill whole blocks.
        """
        if self.action.shape[1] % num:
            raise UserError(f"{self.action.shape[1]} actions do not fill blocks of {num}.")
        seen = torch.arange(len(self.action) * self.num_states).unflatten(0, (-1, self.num_states))[:, ::num]
        return Trajectories(select(self.states, seen.flatten()), self.action.unflatten(1, (-1, num)).sum(dim=2))

    def of(self, values: Float[Tensor, "..."]) -> Float[Tensor, "b t1 ..."]:
        """Return values of `states` with an axis for trajectories and one for time."""
        return values.unflatten(0, (-1, self.num_states))

    def render(self, world: World) -> UInt8[Tensor, "b t1 c h w"]:
        """Draw every state."""
        return world.render(self.states).unflatten(0, (-1, self.num_states))


Behaviour = Callable[[Any, Int[Tensor, " b"], int], Trajectories]
"""Make the trajectories of these ids in a world, so many actions long; pure in (world, ids)."""


def follow(world: World, start: Any, action: Float[Tensor, "b t a"]) -> Trajectories:
    """Step a world through actions."""
    states = [start]
    for step in range(action.shape[1]):
        states.append(world.step(states[-1], action[:, step]))
    return Trajectories(interleave(states), action)


def select(state: Any, index: Tensor | slice) -> Any:
    """Return the states at these places of a batch; what is no tensor belongs to all and stays."""
    return _mapped([state], lambda parts: parts[0][index])


def concatenate(states: Sequence[Any]) -> Any:
    """Join batches of states; what is no tensor is taken from the first."""
    return _mapped(states, lambda parts: torch.cat(list(parts)))


def interleave(states: Sequence[Any]) -> Any:
    """Join batches of the same episodes at successive times into one, episode by episode."""
    return _mapped(states, lambda parts: torch.stack(list(parts), dim=1).flatten(0, 1))


def _mapped(states: Sequence[Any], join: Callable[[Sequence[Tensor]], Tensor]) -> Any:
    """Join the tensors of states, field by field, and those of states within states."""
    joined: dict[str, Any] = {}
    for entry in fields(states[0]):
        parts = [getattr(state, entry.name) for state in states]
        if isinstance(parts[0], Tensor):
            joined[entry.name] = join(parts)
        elif is_dataclass(parts[0]):
            joined[entry.name] = _mapped(parts, join)
    return replace(states[0], **joined)
