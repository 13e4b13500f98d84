"""Say what planners see of a world model, what a cost is, and what a plan holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import gymnasium
import torch
from jaxtyping import Float, Int
from torch import Tensor

Cost = Callable[[Float[Tensor, "b s t n d"], Float[Tensor, "b n d"], Float[Tensor, "b s _ a"]], Float[Tensor, "b s"]]
"""Say what reaching (predicted tokens, goal tokens, actions) costs: low is good."""


@runtime_checkable
class LatentState(Protocol):
    """What a world model remembers of what it saw; opaque."""

    def expand(self, num_samples: int) -> "LatentState":
        """Return the state once for each candidate, memory shared."""
        ...

    def select(self, index: Int[Tensor, " k"]) -> "LatentState":
        """Return the states at these places of the batch."""
        ...


@runtime_checkable
class WorldModel(Protocol):
    """All that planning knows of a world model.

    A model that cannot look further ahead than so many actions says so by an attribute `max_horizon`.
    """

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        """Return the actions that may be chosen."""
        ...

    def observe(self, observation: Any) -> LatentState:
        """Return the state in which observations leave the model."""
        ...

    def rollout(self, state: Any, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s _ n d"]:
        """Return the predicted tokens after each action of each candidate, or after each block that is looked at."""
        ...

    def encode_goal(self, goal: Any) -> Float[Tensor, "b n d"]:
        """Return the tokens of goals."""
        ...


@runtime_checkable
class StepModel(Protocol):
    """What a planner that moves states and actions at once needs besides: one step from any embedding."""

    def advance(self, z: Float[Tensor, "*k n d"], action: Float[Tensor, "*k a"]) -> Float[Tensor, "*k n d"]:
        """Return the predicted tokens after one action in each state that these tokens stand for."""
        ...


@dataclass(frozen=True)
class Plan:
    """Hold what a planner found.

    Args:
        actions: What to do.
        cost: What the model says that it costs.
        info: What happened on the way, by name, episodes first.
        elites: Other good plans, which compete in the next search.
    """

    actions: Float[Tensor, "b t a"]
    cost: Float[Tensor, " b"]
    info: Mapping[str, Tensor] = field(default_factory=dict)
    elites: Float[Tensor, "b k t a"] | None = None

    def after(self, num_steps: int) -> Float[Tensor, "b *k t a"]:
        """Return what is left once so many actions are done, filled up with rest: where the next search begins.

        Where there are elites they follow the plan on an axis of their own.
        """
        plans = self.actions if self.elites is None else torch.cat((self.actions[:, None], self.elites), dim=1)
        return torch.cat((plans[..., num_steps:, :], torch.zeros_like(plans[..., :num_steps, :])), dim=-2)


def join(plans: Sequence[Plan]) -> Plan:
    """Return the plans of several batches of episodes as one."""
    kept = [plan.elites for plan in plans if plan.elites is not None]
    return Plan(
        torch.cat([plan.actions for plan in plans]),
        torch.cat([plan.cost for plan in plans]),
        {name: torch.cat([plan.info[name] for plan in plans]) for name in plans[0].info},
        torch.cat(kept) if kept else None,
    )


def narrowed(precision: str, device: torch.device) -> torch.autocast:
    """Return a `with` block that computes in bf16 where its kernels may, or in what is given, whatever is around it."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
