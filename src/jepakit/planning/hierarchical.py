"""Plan on two time scales: a coarse model finds a subgoal in embedding space, a fine one the actions to reach it."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from jepakit.planning.control import Planner
from jepakit.planning.plan import LatentState, Plan, StepModel, WorldModel
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class Hierarchical:
    """Search over macro-actions first, then over actions towards what the first of them should lead to.

    Both models live in one embedding space; the coarse one looks many steps ahead with each of its macro-actions. It
    is planned with anew in every decision; `begin` and the returned plan are the fine planner's, and the plan's cost is
    that of its subgoal.

    Args:
        coarse_model: Predicts under macro-actions.
        coarse: Plans with it.
        fine: Plans with the model that the call is given.
        ahead: Which macro-action of the coarse plan leads to the subgoal, counted from 1.

    Source: HWM, arXiv 2604.03208. Deviations: macro-actions are the coarse model's own affair.

    Raises:
        UserError: The coarse plan is shorter than `ahead`.
    """

    coarse_model: WorldModel
    coarse: Planner
    fine: Planner
    ahead: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.ahead <= self.coarse.horizon:
            raise UserError(f"A coarse plan of {self.coarse.horizon} macro-actions has no subgoal number {self.ahead}.")

    @property
    def horizon(self) -> int:
        """Return the number of actions of a plan."""
        return self.fine.horizon

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
        """Return the fine plan for each observation and goal; its info tells the subgoal and the coarse cost."""
        route = self.coarse(self.coarse_model, observation, goal, ids=ids, decision=decision)
        state = self.coarse_model.observe(observation).expand(1)
        subgoal = self.coarse_model.rollout(state, route.actions[:, None, : self.ahead])[:, 0, -1].detach()
        plan = self.fine(Towards(model), observation, subgoal, ids=ids, decision=decision, begin=begin)
        return Plan(plan.actions, plan.cost, {**plan.info, "subgoal": subgoal, "coarse_cost": route.cost}, plan.elites)


class Towards:
    """Show a world model whose goals are given as tokens."""

    def __init__(self, model: WorldModel):
        self.model = model
        self.action_space = model.action_space
        self.max_horizon = getattr(model, "max_horizon", None)

    def observe(self, observation: Any) -> LatentState:
        """Return the state in which observations leave the model."""
        return self.model.observe(observation)

    def rollout(self, state: Any, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t n d"]:
        """Return the predicted tokens after each action of each candidate."""
        return self.model.rollout(state, actions)

    def advance(self, z: Float[Tensor, "*k n d"], action: Float[Tensor, "*k a"]) -> Float[Tensor, "*k n d"]:
        """Return the predicted tokens after one action.

        Raises:
            UserError: The model cannot step from any embedding.
        """
        if not isinstance(self.model, StepModel):
            raise UserError(
                f"{type(self.model).__name__} does not step from any embedding: it has no advance(z, action)."
            )
        return self.model.advance(z, action)

    def encode_goal(self, goal: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Return the goal, which is tokens already."""
        return goal
