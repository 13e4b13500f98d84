"""Plan by the cross-entropy method: draw candidates, keep the best, fit a Gaussian to them, draw again.

`CEM` is the plain method with every refinement of iCEM at hand; `ICEM` is the same with all of them on.

Source: Rubinstein 1999; Pinneri et al. 2020 (iCEM, arXiv 2008.06389). Deviations: the mean competes in every
iteration, not in the last alone; elites that are shifted from one decision to the next end in rest, not in a fresh
draw; candidates without a finite cost are never elites.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from jepakit.planning.plan import Plan
from jepakit.planning.sampling import Sampling
from jepakit.planning.search import Problem


@dataclass(frozen=True, kw_only=True)
class CEM(Sampling):
    """Search by sampling and refitting. The other settings are those of every `Sampling`.

    Args:
        num_elites: Best candidates, to which the Gaussian is fitted.
        num_kept: Elites that compete as they are in the next round, and shifted in the next decision.
        momentum: Share of the old mean and standard deviation in the new ones.
        decay: Each round draws so many times fewer candidates than the one before, but at least two per elite.
        takes_best: Whether the plan is the best candidate, if that is better than the mean.
        tolerance: Stop an episode once the elites' mean cost falls by no more than this share in a round; never by
            default.
    """

    num_elites: int = 15
    num_kept: int = 0
    momentum: float = 0.0
    decay: float = 1.0
    takes_best: bool = False
    tolerance: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs(2 <= self.num_elites <= self.num_samples, "2 <= num_elites <= num_samples")
        self.needs(0 <= self.num_kept <= self.num_elites, "0 <= num_kept <= num_elites")
        self.needs(0.0 <= self.momentum < 1.0 and self.decay >= 1.0, "0 <= momentum < 1 and a decay of at least 1")

    def search(self, problem: Problem) -> Plan:
        """Find plans for episodes that fit into memory together."""
        mean, std = problem.begin[:, 0], self.first_std(problem)
        fit = _Fit(mean, std, problem.begin, mean[:, None], *mean.new_full((2, len(mean)), torch.inf))
        going, levels = torch.ones(len(mean), dtype=torch.bool, device=mean.device), []
        for iteration in range(self.num_iterations):
            num_samples = min(self.num_samples, max(int(self.num_samples / self.decay**iteration), 2 * self.num_elites))
            actions = self.candidates(problem, iteration, fit.mean, fit.std, fit.kept, num_samples)
            new = self._refit(fit, actions, problem.price(actions))
            if self.tolerance is not None and iteration > 0:
                going = going & ~(fit.level - new.level <= self.tolerance * new.level.abs())
                new = _Fit(*(_where(going, *pair) for pair in zip(new.parts, fit.parts, strict=True)))
            fit = new
            levels.append(fit.level)
            if self.tolerance is not None and going.device.type == "cpu" and not going.any():
                break  # only where asking costs nothing: on other devices the rounds that are left change nothing
        levels += [fit.level] * (self.num_iterations - len(levels))
        cost = problem.price(fit.mean[:, None])[:, 0]  # no candidate itself, so it is asked about once more
        is_best = fit.cost < cost if self.takes_best else torch.zeros_like(going)
        plan = Plan(_where(is_best, fit.elites[:, 0], fit.mean), _where(is_best, fit.cost, cost))
        info = {"elite_cost": torch.stack(levels, dim=1), "std": fit.std.mean(dim=(1, 2))[:, None]}
        return replace(plan, info=info, elites=fit.elites[:, : self.num_kept] if self.num_kept else None)

    def _refit(self, old: "_Fit", actions: Float[Tensor, "b s t a"], cost: Float[Tensor, "b s"]) -> "_Fit":
        """Return the Gaussian of the elites; an episode without a finite cost stays with the old one."""
        best, index = cost.topk(self.num_elites, largest=False)
        elites = actions.gather(1, index[:, :, None, None].expand(-1, -1, *actions.shape[2:]))
        counts = (best < torch.inf).to(actions)
        share = (counts / counts.sum(dim=1, keepdim=True).clamp_min(1.0))[:, :, None, None]
        mean = (share * elites).sum(dim=1)
        std = (share * (elites - mean[:, None]).square()).sum(dim=1).sqrt()
        mean, std = mean.lerp(old.mean, self.momentum), std.lerp(old.std, self.momentum)
        any_finite = counts[:, 0] > 0
        mean, std = _where(any_finite, mean, old.mean), _where(any_finite, std, old.std)
        level = torch.where(counts > 0, best, 0.0).sum(dim=1) / counts.sum(dim=1)
        level = torch.where(any_finite, level, torch.inf)
        kept = torch.cat((mean[:, None], elites[:, : self.num_kept]), dim=1)
        return _Fit(mean, std, kept, elites, best[:, 0].to(mean), level.to(mean))


@dataclass(frozen=True, kw_only=True)
class ICEM(CEM):
    """Search by iCEM: coloured noise, kept and shifted elites, momentum, fewer candidates each round, the best taken.

    Every setting is that of `CEM`; only what they are by default differs, after the paper. Shifted elites reach the
    next decision through `Plan.after`, as `Control` passes them on.
    """

    num_samples: int = 128
    num_iterations: int = 4
    num_elites: int = 10
    num_kept: int = 3
    momentum: float = 0.1
    decay: float = 1.25
    colour: float = 2.0
    takes_best: bool = True


@dataclass(frozen=True)
class _Fit:
    """Hold what one round leaves to the next: the Gaussian, plans that compete, the elites, best and mean cost."""

    mean: Float[Tensor, "b t a"]
    std: Float[Tensor, "b t a"]
    kept: Float[Tensor, "b k t a"]
    elites: Float[Tensor, "b e t a"]
    cost: Float[Tensor, " b"]
    level: Float[Tensor, " b"]

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """Return all of it."""
        return self.mean, self.std, self.kept, self.elites, self.cost, self.level


def _where(is_first: Bool[Tensor, " b"], first: Tensor, second: Tensor) -> Tensor:
    """Choose between two tensors episode by episode."""
    return torch.where(is_first.view(-1, *[1] * (first.ndim - 1)), first, second)
