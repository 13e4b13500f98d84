"""Plan among a few actions: the cross-entropy method with a categorical distribution for each step.

A discrete action travels as a one-hot vector of length n, which is how models take it and how plans hold it;
`plan.actions.argmax(-1)` is its number, to which an environment adds the start of its space.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from jepakit.planning.bounds import Bounds
from jepakit.planning.plan import Plan
from jepakit.planning.search import Problem, Search
from jepakit.random import Stream
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class CategoricalCEM(Search):
    """Search among discrete actions by sampling and counting. The other settings are those of every `Search`.

    A plan to begin with has half of the first shares; where it is all zeros, as at its end after `Plan.after`, every
    action is as likely. The plan is the best candidate that was seen.

    Args:
        num_samples: Candidates of an episode.
        num_elites: Best candidates, whose actions are counted.
        num_iterations: Rounds.
        num_kept: Elites that compete in the next round as they are.
        smoothing: Share of the uniform distribution in every later one, so that no action dies out.

    Source: Rubinstein 1999. Deviations: smoothing towards the uniform distribution; candidates without a finite cost
    are not counted.
    """

    num_samples: int = 150
    num_elites: int = 15
    num_iterations: int = 6
    num_kept: int = 3
    smoothing: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs(1 <= self.num_elites <= self.num_samples, "1 <= num_elites <= num_samples")
        self.needs(1 <= self.num_kept <= self.num_elites, "1 <= num_kept <= num_elites")
        self.needs(self.num_iterations >= 1 and 0 < self.smoothing <= 1, "an iteration and 0 < smoothing <= 1")

    @property
    def num_candidates(self) -> int:
        """Return how many plans of an episode are asked about at once."""
        return self.num_samples

    def bounds(self, space: gymnasium.spaces.Space[Any]) -> Bounds:
        """Return the bounds of a one-hot vector.

        Raises:
            UserError: The space is not discrete.
        """
        if not isinstance(space, gymnasium.spaces.Discrete):
            raise UserError(f"CategoricalCEM needs a Discrete action space, got {space}.")
        return Bounds(torch.zeros(int(space.n)), torch.ones(int(space.n)))

    def search(self, problem: Problem) -> Plan:
        """Find plans for episodes that fit into memory together."""
        begin = problem.begin
        uniform = torch.full_like(begin[:, 0], 1.0 / begin.shape[-1])
        is_told = begin.sum(dim=-1, keepdim=True) > 0
        share = torch.where(is_told[:, 0], (begin[:, 0] + uniform) / 2, uniform)
        kept = _one_hot(torch.where(is_told, begin, uniform[:, None]).argmax(dim=-1), begin)
        costs = []
        for iteration in range(self.num_iterations):
            actions = self._draw(problem, iteration, share)
            kept = kept[:, : self.num_samples]
            actions = torch.cat((kept, actions[:, kept.shape[1] :]), dim=1)
            best, index = problem.price(actions).topk(self.num_elites, largest=False)
            elites = actions.gather(1, index[:, :, None, None].expand(-1, -1, *actions.shape[2:]))
            counted = (best < torch.inf).to(actions)[:, :, None, None]
            count = counted.sum(dim=1)
            new = (counted * elites).sum(dim=1) / count.clamp_min(1.0)
            share = torch.where(count > 0, new.lerp(uniform, self.smoothing), share)
            kept = elites[:, : self.num_kept]
            costs.append(best.mean(dim=1))
        return Plan(kept[:, 0], best[:, 0], {"elite_cost": torch.stack(costs, dim=1)}, kept)

    def _draw(self, problem: Problem, iteration: int, share: Float[Tensor, "b t a"]) -> Float[Tensor, "b s t a"]:
        """Draw candidates by the inverse of their distribution, pure in seed, decision, iteration and episode."""
        step = problem.decision * self.num_iterations + iteration
        drawn = Stream(self.seed, "planning/choices").uniform(step, problem.ids, self.num_samples * self.horizon)
        drawn = drawn.view(len(share), self.num_samples, self.horizon, 1).to(share)
        edges = share.cumsum(dim=-1)[:, None, :, :-1]  # the last edge is 1, which no draw reaches
        return _one_hot((drawn >= edges).sum(dim=-1), share)


def _one_hot(choice: Tensor, like: Tensor) -> Tensor:
    """Return numbers of actions as vectors."""
    return F.one_hot(choice, like.shape[-1]).to(like)
