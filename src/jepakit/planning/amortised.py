"""Plan without a search: a policy tells what to do first, the model imagines where that leads, and so on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from jepakit.planning.plan import Plan
from jepakit.planning.search import Problem, Search
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class Amortised(Search):
    """Ask a goal-conditioned policy. The other settings are those of every `Search`.

    Used as it is, it is an actor; with a search after it (`Proposed`), a proposal. The observation is encoded as a goal
    is, so the model has to take the same things for both.

    Args:
        policy: Maps the tokens of a place and of a goal, laid end to end, (b, d) each, and the steps to go (b,), to the
            first actions (b, t, a), such as `jepakit.nn.GoalPolicy` trained by `learn_policy`.
        within: Steps in which the goal is to be reached; by default the horizon.

    Source: GC-IDM, arXiv 2605.08732. Deviations: longer plans than the policy tells at once are imagined by the model.
    """

    policy: Callable[[Tensor, Tensor, Tensor], Tensor]
    within: int | None = None

    sees_now: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs(self.within is None or self.within >= 1, "at least 1 step to be within")

    @property
    def num_candidates(self) -> int:
        """Return how many plans of an episode are asked about at once."""
        return 1

    def search(self, problem: Problem) -> Plan:
        """Find plans for episodes that fit into memory together.

        Raises:
            UserError: The policy tells actions of another length than the model takes.
        """
        z, goal, action_dim = problem.now, problem.goal.flatten(1), problem.bounds.action_dim
        assert z is not None
        actions = problem.begin[:, 0, :0]
        while actions.shape[1] < self.horizon:
            if actions.shape[1] > 0:
                z = problem.predict(actions[:, None])[:, 0, -1]
            left = max((self.within or self.horizon) - actions.shape[1], 1)
            told = self.policy(z.flatten(1), goal, torch.full((len(goal),), float(left), device=goal.device))
            if told.shape[-1] != action_dim:
                raise UserError(f"The policy tells actions of length {told.shape[-1]}, the model takes {action_dim}.")
            actions = torch.cat((actions, problem.bounds.clamp(told.to(actions))), dim=1)[:, : self.horizon]
        return Plan(actions, problem.price(actions[:, None])[:, 0])
