"""Act in closed loop: plan, do some of it, look again, and go on from what is left of the plan."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from jepakit.planning.holding import Held
from jepakit.planning.plan import Plan, WorldModel
from jepakit.types import UserError


@runtime_checkable
class Planner(Protocol):
    """Find plans for a batch of observations and goals."""

    @property
    def horizon(self) -> int:
        """Return the number of actions of a plan."""
        ...

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
        """Return a plan for each."""
        ...


class Control:
    """Follow plans, and plan anew every few steps.

    Args:
        planner: What searches.
        model: What predicts.
        goal: Where each episode is to end, as the model takes it.
        ids: The episodes.
        every: Actions of a plan that are done before the next search.
        hold: Steps of the world for which each of them is held.

    Raises:
        UserError: A plan is shorter than what is to be done of it.
    """

    def __init__(
        self, planner: Planner, model: WorldModel, goal: Any, ids: Int[Tensor, " b"], *, every: int = 1, hold: int = 1
    ):
        if not 1 <= every <= planner.horizon:
            raise UserError(f"Control replans every 1 to {planner.horizon} steps (the horizon), not every {every}.")
        self.planner = planner
        self.model = Held(model, hold)
        self.goal = goal
        self.ids = ids
        self.every = every
        self.hold = hold
        self.plan: Plan | None = None
        self.step = 0

    def __call__(self, observation: Any) -> Float[Tensor, "b a"]:
        """Return the next action of every episode."""
        decision, since = divmod(self.step, self.every * self.hold)
        if since == 0:
            begin = None if self.plan is None else self.plan.after(self.every)
            self.plan = self.planner(self.model, observation, self.goal, ids=self.ids, decision=decision, begin=begin)
        assert self.plan is not None
        self.step += 1
        return self.plan.actions[:, since // self.hold]
