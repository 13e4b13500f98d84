"""Tell of states what a model's own encoder makes of them, or how far their goals are: what swapped-in truth shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import gymnasium
import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.types import require
from jepakit.worlds.trajectories import select

Far = Callable[[Any, Any], Tensor]
"""Say for each of a batch of states how far its goal is, such as the length of the way that is left."""

AT_ONCE = 1024
"""States that are rendered and encoded, or stepped, at once."""


@runtime_checkable
class Model(Protocol):
    """The four names by which planning knows a world model; `observe` returns what can `expand` and `select`."""

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """Return the actions that may be chosen."""
        ...

    def observe(self, observation: Any) -> Any:
        """Return the state in which observations leave the model."""
        ...

    def rollout(self, state: Any, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s _ n d"]:
        """Return the predicted tokens after each action, or each block of them."""
        ...

    def encode_goal(self, goal: Any) -> Float[Tensor, "b n d"]:
        """Return the tokens of goals."""
        ...


@runtime_checkable
class Telling(Protocol):
    """What is told of states, as tokens."""

    def tokens(self, states: Any, goals: Any) -> Float[Tensor, "r n d"]:
        """Return what is told of states whose goals are known."""
        ...

    def wanted(self, goals: Any) -> Float[Tensor, "b n d"]:
        """Return the tokens of the goals."""
        ...


@dataclass(frozen=True)
class Sight:
    """Encode states as a model does: look at them, and ask it for the tokens that a plan is to end in.

    Args:
        model: Whose encoder.
        look: What it is given of states, such as a world's `render`.
        at_once: States rendered and encoded at once; bounds memory, changes nothing else.
    """

    model: Model
    look: Callable[[Any], Any]
    at_once: int = AT_ONCE

    def __call__(self, states: Any) -> Float[Tensor, "r n d"]:
        """Return the tokens of each."""
        parts = range(0, len(states), self.at_once)
        return torch.cat([self.model.encode_goal(self.look(select(states, slice(i, i + self.at_once)))) for i in parts])


@dataclass(frozen=True)
class Embedded:
    """Tell of states what a model's encoder makes of them."""

    sight: Sight

    def tokens(self, states: Any, goals: Any) -> Float[Tensor, "r n d"]:
        """Return the embeddings of states."""
        return self.sight(states)

    def wanted(self, goals: Any) -> Float[Tensor, "b n d"]:
        """Return the embeddings of goals."""
        return self.sight(goals)


@dataclass(frozen=True)
class Remaining:
    """Tell of states how far their goals are, in a token of one number."""

    far: Far

    def tokens(self, states: Any, goals: Any) -> Float[Tensor, "r 1 1"]:
        """Return how far it is."""
        return self.far(states, goals).float()[:, None, None]

    def wanted(self, goals: Any) -> Float[Tensor, "b 1 1"]:
        """Return how far goals are from themselves, which `TrueCost` never reads."""
        return torch.zeros_like(self.far(goals, goals), dtype=torch.float32)[:, None, None]


@dataclass(frozen=True)
class TrueCost:
    """Read the cost of a plan from tokens that tell how far the goal is.

    Args:
        over: `mean` over the steps that are looked at, or the `last` alone; as the cost beside which it is put.

    Raises:
        UserError: It is over something else.
    """

    over: str = "mean"
    uses_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        require(self.over in ("last", "mean"), f"TrueCost is over 'last' or 'mean', got {self.over!r}.")

    def __call__(
        self, z_hat: Float[Tensor, "b s t 1 1"], goal: Float[Tensor, "b n d"], actions: Float[Tensor, "b s _ a"]
    ) -> Float[Tensor, "b s"]:
        """Return the cost of each candidate, in the world's units."""
        far = z_hat[..., 0, 0]
        return far[..., -1] if self.over == "last" else far.mean(dim=-1)
