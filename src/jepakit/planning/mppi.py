"""Plan by model predictive path integrals: draw candidates, and move the mean to their average, weighed by cost."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.planning.plan import Plan
from jepakit.planning.sampling import Sampling
from jepakit.planning.search import Problem


@dataclass(frozen=True, kw_only=True)
class MPPI(Sampling):
    """Search by weighing every candidate. The other settings are those of every `Sampling`.

    A candidate weighs exp(-(cost - least cost) / temperature): near temperature 0 the best candidate is all, at a high
    one all weigh the same.

    Args:
        temperature: What makes a difference in cost, in standard deviations of the candidates' costs or absolutely.
        is_relative: Whether the temperature is counted in standard deviations.
        refits_std: Whether the standard deviation is fitted to the weighed candidates as well, or stays.

    Source: Williams et al. 2017 (information theoretic MPC), without its control cost, which a cost may add.
    Deviations: weights are taken of candidates as they were moved into the bounds; the mean competes; rounds follow
    each other within a decision, and the spread may be refitted, as later users of the method do.
    """

    temperature: float = 0.1
    is_relative: bool = True
    refits_std: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs(self.temperature > 0, "a temperature above 0")

    def search(self, problem: Problem) -> Plan:
        """Find plans for episodes that fit into memory together."""
        mean, std, kept, costs = problem.begin[:, 0], self.first_std(problem), problem.begin, []
        for iteration in range(self.num_iterations):
            actions = self.candidates(problem, iteration, mean, std, kept)
            cost = problem.price(actions)
            weight = self.weights(cost).to(actions)
            share, any_finite = weight[:, :, None, None], (weight.sum(dim=1) > 0)[:, None, None]
            mean = torch.where(any_finite, (share * actions).sum(dim=1), mean)
            if self.refits_std:
                spread = (share * (actions - mean[:, None]).square()).sum(dim=1).sqrt()
                std = torch.where(any_finite, spread, std)
            kept = mean[:, None]
            costs.append(cost.amin(dim=1))
        return Plan(mean, problem.price(kept)[:, 0], {"least_cost": torch.stack(costs, dim=1)})

    def weights(self, cost: Float[Tensor, "b s"]) -> Float[Tensor, "b s"]:
        """Return the share of each candidate in the mean; infinite costs have none, even where all are infinite."""
        is_finite = cost < torch.inf
        excess = torch.where(is_finite, cost - cost.amin(dim=1, keepdim=True), 0.0)
        count = is_finite.sum(dim=1, keepdim=True).clamp_min(1)
        scale = torch.full_like(count, self.temperature, dtype=cost.dtype)
        if self.is_relative:
            mean = excess.sum(dim=1, keepdim=True) / count
            variance = torch.where(is_finite, excess - mean, 0.0).square().sum(dim=1, keepdim=True) / count
            scale = self.temperature * variance.sqrt()
        weight = torch.exp(-excess / scale.clamp_min(torch.finfo(cost.dtype).tiny)) * is_finite
        return weight / weight.sum(dim=1, keepdim=True).clamp_min(torch.finfo(cost.dtype).tiny)
