"""Plan by the cross-entropy method: draw candidates, keep the best, fit a Gaussian to them, draw again.

Episodes are planned for together, and batched plans equal single ones: the noise of an episode is its own. Observation
and goal are encoded once; candidates share the state's memory; nothing inside the loop waits for the device.

Source: Rubinstein 1999; with coloured noise, kept elites and a shifted start it is iCEM (Pinneri et al. 2020, arXiv
2008.06389). Deviations: every iteration draws as many candidates, and the mean
competes in each.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.planning.costs import LatentDistance
from jepakit.planning.noise import candidate_noise
from jepakit.planning.plan import Bounds, Cost, Plan, WorldModel, bounds_of
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class CEM:
    """Search by sampling and refitting.

    Args:
        horizon: Actions of a plan.
        num_samples: Candidates of an iteration.
        num_elites: Best candidates, to which the Gaussian is fitted.
        num_iterations: Rounds.
        std: First standard deviation, in shares of the largest action.
        colour: Of the noise over time, see `candidate_noise`.
        num_kept: Elites of one round that compete in the next as they are.
        cost: What a candidate costs.
        seed: Seed of the candidates.
        max_numbers: Most predicted numbers held at once; more episodes are planned for in turn.
    """

    horizon: int
    num_samples: int = 150
    num_elites: int = 15
    num_iterations: int = 6
    std: float = 0.5
    colour: float = 0.0
    num_kept: int = 0
    cost: Cost = field(default_factory=LatentDistance)
    seed: int = 0
    max_numbers: int = 2**26

    def __post_init__(self) -> None:
        if min(self.horizon, self.num_iterations) < 1 or self.std <= 0:
            raise UserError(f"CEM needs a horizon and iterations of at least 1 and a std above 0, got {self}.")
        if not 2 <= self.num_elites <= self.num_samples or not 0 <= self.num_kept <= self.num_elites:
            raise UserError(
                f"CEM needs 2 <= num_elites <= num_samples and num_kept <= num_elites, got {self.num_elites} of "
                f"{self.num_samples}, {self.num_kept} kept."
            )

    @torch.no_grad()
    def __call__(
        self,
        model: WorldModel,
        observation: Any,
        goal: Any,
        *,
        ids: Int[Tensor, " b"] | None = None,
        decision: int = 0,
        begin: Float[Tensor, "b t a"] | None = None,
    ) -> Plan:
        """Return a plan for each pair of observation and goal.

        Args:
            model: What predicts.
            observation: As the model takes it.
            goal: As the model takes it.
            ids: Episodes, for their noise; by default numbered.
            decision: Which decision of the episode this is.
            begin: The first mean, such as the rest of the last plan; by default nothing is done.
        """
        state, wanted = model.observe(observation), model.encode_goal(goal)
        ids = torch.arange(len(wanted), device=wanted.device) if ids is None else ids
        bounds = bounds_of(model.action_space)
        if begin is None:
            begin = wanted.new_zeros(len(wanted), self.horizon, len(bounds.low), dtype=torch.float32)
        per_episode = self.num_samples * self.horizon * wanted[0].numel()
        parts = [
            self._search(model, state.select(part), wanted[part], bounds, ids[part], decision, begin[part])
            for part in torch.arange(len(wanted), device=wanted.device).split(max(1, self.max_numbers // per_episode))
        ]
        names = parts[0].info
        return Plan(
            torch.cat([part.actions for part in parts]),
            torch.cat([part.cost for part in parts]),
            {name: torch.cat([part.info[name] for part in parts]) for name in names},
        )

    def _search(
        self,
        model: WorldModel,
        state: Any,
        goal: Float[Tensor, "b n d"],
        bounds: Bounds,
        ids: Int[Tensor, " b"],
        decision: int,
        mean: Float[Tensor, "b t a"],
    ) -> Plan:
        """Search for the episodes that fit into memory together."""
        widest = torch.maximum(bounds.low.abs(), bounds.high.abs()).to(mean)
        std = (self.std * widest).expand_as(mean)
        candidates = state.expand(self.num_samples)
        kept, costs = mean[:, None], []
        for iteration in range(self.num_iterations):
            step = decision * self.num_iterations + iteration
            noise = candidate_noise(self.seed, step, ids, self.num_samples, self.horizon, mean.shape[-1], self.colour)
            actions = bounds.clamp(mean[:, None] + std[:, None] * noise.to(mean))
            actions = torch.cat((kept, actions[:, kept.shape[1] :]), dim=1)
            cost = self.cost(model.rollout(candidates, actions), goal, actions)
            best, index = cost.topk(self.num_elites, largest=False)
            elites = actions.gather(1, index[:, :, None, None].expand(-1, -1, *mean.shape[1:]))
            mean, std = elites.mean(dim=1), elites.std(dim=1, correction=0)
            kept = torch.cat((mean[:, None], elites[:, : self.num_kept]), dim=1)
            costs.append(best.mean(dim=1))
        found = mean[:, None]  # no candidate itself, so it is asked about once more
        cost = self.cost(model.rollout(state.expand(1), found), goal, found)[:, 0]
        return Plan(mean, cost, {"elite_cost": torch.stack(costs, dim=1), "std": std.mean(dim=(1, 2))[:, None]})
