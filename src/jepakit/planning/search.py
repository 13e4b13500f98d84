"""Share what every search does around its search: look once, check, cut episodes to a memory budget, join the plans.

A search is a frozen record of settings with one method of its own, `search`, which is handed a `Problem`: episodes that
fit into memory together, all on one device. It asks what actions cost through `Problem.price` and for nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import gymnasium
import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.planning.bounds import Bounds, bounds_of, chosen_space
from jepakit.planning.costs import LatentDistance
from jepakit.planning.plan import Cost, Plan, WorldModel, join, narrowed
from jepakit.types import UserError


@dataclass(frozen=True)
class Problem:
    """Hold episodes to plan for, encoded once.

    Args:
        model: What predicts.
        cost: What a candidate costs.
        bounds: What actions may be.
        decision: Which decision of the episodes this is.
        state: Where they are, opaque.
        goal: Tokens of where they are to be.
        ids: The episodes.
        begin: Plans to begin with; the first is the one to go on from, others compete with it.
        now: Tokens of where they are, for those who ask (`Search.sees_now`).
        precision: What the model computes in.
    """

    model: WorldModel
    cost: Cost
    bounds: Bounds
    decision: int
    state: Any
    goal: Float[Tensor, "b n d"]
    ids: Int[Tensor, " b"]
    begin: Float[Tensor, "b k t a"]
    now: Float[Tensor, "b n d"] | None
    precision: str = "fp32"

    def price(self, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s"]:
        """Return what the model and the cost say of candidates; what is not a number is infinite, and never wins."""
        return self.judge(self.predict(actions), actions)

    def predict(self, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s _ n d"]:
        """Return the tokens that the model predicts after each action, as wide as the goal's."""
        with narrowed(self.precision, actions.device):
            ahead = self.model.rollout(self.state.expand(actions.shape[1]), actions)
        return ahead.to(torch.promote_types(ahead.dtype, self.goal.dtype))

    def judge(self, z_hat: Float[Tensor, "b s t n d"], actions: Float[Tensor, "b s _ a"]) -> Float[Tensor, "b s"]:
        """Return the cost of predictions, infinite where it is not a number."""
        cost = self.cost(z_hat, self.goal, actions)
        return cost.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)

    def part(self, index: Int[Tensor, " k"]) -> "Problem":
        """Return the problem of these episodes alone."""
        now = None if self.now is None else self.now[index]
        state, goal, ids, begin = self.state.select(index), self.goal[index], self.ids[index], self.begin[index]
        return replace(self, state=state, goal=goal, ids=ids, begin=begin, now=now)


@dataclass(frozen=True, kw_only=True)
class Search(ABC):
    """Plan for many episodes at once, each as if it were alone.

    Args:
        horizon: Actions of a plan.
        cost: What a candidate costs: any function of predicted tokens, goal tokens and actions.
        seed: Seed of the candidates.
        max_norm: Greatest length of an action; none by default.
        action_space: Actions to search, where they are fewer than the model takes.
        max_numbers: Most predicted numbers held at once; more episodes are planned for in turn.
        precision: `bf16` lets the model imagine under bf16 autocast: faster where the machine computes in it. Costs,
            candidates and what is fitted to them stay in float32.

    Raises:
        UserError: A setting has no meaning.
    """

    horizon: int
    cost: Cost = field(default_factory=LatentDistance)
    seed: int = 0
    max_norm: float | None = None
    action_space: gymnasium.spaces.Space[Any] | None = None
    max_numbers: int = 2**26
    precision: str = "fp32"

    sees_now: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.needs(min(self.horizon, self.max_numbers) >= 1, "a horizon and max_numbers of at least 1")
        self.needs(self.precision in ("fp32", "bf16"), "a precision of fp32 or bf16")

    def needs(self, ok: bool, what: str) -> None:
        """Refuse settings in one sentence unless `ok`."""
        if not ok:
            raise UserError(f"{type(self).__name__} needs {what}, got {self}.")

    @property
    @abstractmethod
    def num_candidates(self) -> int:
        """Return how many plans of an episode are asked about at once."""

    @abstractmethod
    def search(self, problem: Problem) -> Plan:
        """Find plans for episodes that fit into memory together; autograd is off."""

    def bounds(self, space: gymnasium.spaces.Space[Any]) -> Bounds:
        """Return what actions may be."""
        return bounds_of(space, self.max_norm)

    @torch.inference_mode(False)  # in which a caller's inference mode would forbid gradients to those who take them
    @torch.no_grad()
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
        """Return a plan for each pair of observation and goal.

        Args:
            model: What predicts.
            observation: As the model takes it.
            goal: As the model takes it; none for a cost that asks for no goal.
            ids: Episodes, for their noise; by default numbered.
            decision: Which decision of the episode this is.
            begin: Where to begin, such as the rest of the last plan, and others to compete with it; by default nothing
                is done.

        Raises:
            UserError: There are no episodes, an observation or a goal is not a number, the model does not look so far
                ahead, or the action space cannot be searched.
        """
        _require_episodes(observation, goal, ids)
        _require_sight(model, self.horizon)
        bounds = self.bounds(chosen_space(model.action_space, self.action_space))
        _require_numbers("The observation", observation)
        state, wanted = model.observe(observation), model.encode_goal(observation if goal is None else goal)
        _require_numbers("The embedding of the goal", wanted)
        now = model.encode_goal(observation) if self.sees_now else None
        ids = torch.arange(len(wanted), device=wanted.device) if ids is None else ids.to(wanted.device)
        beginning = self._beginning(begin, wanted, bounds)
        if not len(wanted) == len(ids) == len(beginning):
            raise UserError(f"Got {len(wanted)} goals, {len(ids)} ids and {len(beginning)} plans to begin with.")
        bounds = bounds.like(beginning)
        problem = Problem(model, self.cost, bounds, decision, state, wanted, ids, beginning, now, self.precision)
        at_once = max(1, self.max_numbers // (self.num_candidates * self.horizon * wanted[0].numel()))
        parts = torch.arange(len(wanted), device=wanted.device).split(at_once)
        with narrowed("fp32", wanted.device):  # around the whole search, so that weights are narrowed once for it
            return join([self.search(problem.part(part)) for part in parts])

    def _beginning(
        self, begin: Float[Tensor, "b *k t a"] | None, wanted: Float[Tensor, "b n d"], bounds: Bounds
    ) -> Float[Tensor, "b k t a"]:
        """Return plans to begin with inside the bounds, in at least float32."""
        dtype = torch.promote_types(wanted.dtype, torch.float32)
        if begin is None:
            begin = wanted.new_zeros(len(wanted), 1, self.horizon, bounds.action_dim)
        if begin.shape[-2:] != (self.horizon, bounds.action_dim):
            raise UserError(
                f"A search of {self.horizon} actions of length {bounds.action_dim} cannot begin with "
                f"{begin.shape[-2]} of length {begin.shape[-1]}."
            )
        begin = begin[:, None] if begin.ndim == 3 else begin
        return bounds.clamp(begin.to(wanted.device, dtype))


def _require_episodes(*given: Any) -> None:
    """Refuse a batch of nothing before a model stumbles over it."""
    if any(isinstance(part, Tensor) and len(part) == 0 for part in given):
        raise UserError("There are no episodes to plan for: the observations, goals or ids are empty.")


def _require_sight(model: WorldModel, horizon: int) -> None:
    """Refuse to plan further than the model says that it looks."""
    longest = getattr(model, "max_horizon", None)
    if longest is not None and horizon > longest:
        raise UserError(
            f"The model looks {longest} actions ahead, so a plan cannot have {horizon}; shorten the horizon."
        )


def _require_numbers(what: str, values: Any) -> None:
    """Refuse values that are not numbers; waits for the device, once a decision."""
    for part in values.values() if isinstance(values, Mapping) else (values,):
        if isinstance(part, Tensor) and part.is_floating_point() and bool(part.isnan().any()):
            raise UserError(f"{what} holds values that are not numbers (NaN), so nothing can be planned from it.")
