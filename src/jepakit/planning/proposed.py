"""Begin a search with what another planner proposes."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.planning.control import Planner
from jepakit.planning.plan import Plan, WorldModel
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """Warm-start a planner: the proposal is gone on from, and the rest of the last plan competes with it.

    Args:
        planner: What searches.
        proposal: What proposes, for instance `Amortised`, or a cheap search before a fine one.

    Raises:
        UserError: They plan so many actions ahead, and not the same.
    """

    planner: Planner
    proposal: Planner

    def __post_init__(self) -> None:
        if self.planner.horizon != self.proposal.horizon:
            raise UserError(
                f"A planner of {self.planner.horizon} actions cannot begin with a proposal of {self.proposal.horizon}."
            )

    @property
    def horizon(self) -> int:
        """Return the number of actions of a plan."""
        return self.planner.horizon

    def __call__(
        self,
        model: WorldModel,
        observation: Any,
        goal: Any,
        *,
        ids: Int[Tensor, " b"] | None = None,
        decision: int = 0,
        begin: Float[Tensor, "b *k t a"] | None = None,
    ) -> Plan:
        """Return the planner's plan for each pair of observation and goal."""
        proposed = self.proposal(model, observation, goal, ids=ids, decision=decision, begin=begin)
        beginning = proposed.actions[:, None]
        if begin is not None:
            begin = begin[:, None] if begin.ndim == 3 else begin
            beginning = torch.cat((beginning, begin.to(beginning)), dim=1)
        return self.planner(model, observation, goal, ids=ids, decision=decision, begin=beginning)
