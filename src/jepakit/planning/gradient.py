"""Plan by gradient: differentiate the cost through the model, several starts at a time, and keep the best plan seen."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.planning.bounds import Bounds
from jepakit.planning.plan import Plan
from jepakit.planning.sampling import Sampling
from jepakit.planning.search import Problem
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class GradientPlanner(Sampling):
    """Search by Adam on actions. The other settings are those of every `Sampling`.

    `num_samples` are starts: the plan to begin with, and others drawn around it. Gradients are taken of actions alone,
    so the model's weights get none. Predictions of every step are held for the way back: with large models take
    `max_numbers` smaller.

    Args:
        learning_rate: First step, in shares of half the action's range; it falls to zero in a line.
        box: How bounds are kept: `project` moves actions back into them, `tanh` searches before a squashing function.

    Source: gradient-based model predictive control; compared by JEPA-WMs (arXiv 2512.24497) and made competitive by
    straightened embeddings (arXiv 2603.12231). Deviations: the best plan seen is kept, not the last.
    """

    num_samples: int = 8
    num_iterations: int = 50
    learning_rate: float = 0.1
    box: str = "project"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs(
            self.learning_rate > 0 and self.box in ("project", "tanh"), "a learning rate above 0 and a known box"
        )

    def search(self, problem: Problem) -> Plan:
        """Find plans for episodes that fit into memory together."""
        box = Box(problem.bounds, is_squashed=self.box == "tanh")
        starts = self.candidates(problem, 0, problem.begin[:, 0], self.first_std(problem), problem.begin)
        free, adam, best, costs = box.free(starts), Adam(self.learning_rate, self.num_iterations), Best(starts), []
        for _ in range(self.num_iterations):
            with torch.enable_grad():
                free = free.detach().requires_grad_()
                actions = box.actions(free)
                cost = problem.price(actions)
                gradient = differentiated(cost, free, type(self).__name__)
            best.see(actions.detach(), cost.detach())
            free = box.kept(adam.step(free.detach(), gradient))
            costs.append(best.cost)
        actions = box.actions(free)
        best.see(actions, problem.price(actions))
        return Plan(best.actions, best.cost, {"least_cost": torch.stack([*costs, best.cost], dim=1)})


@dataclass(frozen=True)
class Box:
    """Change between actions and numbers around 0 of size about 1, which are free to move."""

    bounds: Bounds
    is_squashed: bool = False

    def free(self, actions: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t a"]:
        """Return the free numbers of actions."""
        middle, half = self._middle_and_half()
        free = (actions - middle) / half.clamp_min(torch.finfo(half.dtype).tiny)
        return free.clamp(-0.99, 0.99).atanh() if self.is_squashed else free  # at the very edge nothing moves

    def actions(self, free: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t a"]:
        """Return the actions of free numbers, inside the bounds."""
        middle, half = self._middle_and_half()
        return self.bounds.clamp(middle + half * free.tanh()) if self.is_squashed else middle + half * free

    def kept(self, free: Float[Tensor, "b s t a"]) -> Float[Tensor, "b s t a"]:
        """Return free numbers moved back to where their actions are inside the bounds."""
        return free if self.is_squashed else self.free(self.bounds.clamp(self.actions(free)))

    def _middle_and_half(self) -> tuple[Float[Tensor, " a"], Float[Tensor, " a"]]:
        return (self.bounds.high + self.bounds.low) / 2, (self.bounds.high - self.bounds.low) / 2


class Adam:
    """Step free numbers against their gradient by Adam (Kingma and Ba 2015), at a rate that falls to 0 in a line.

    Every number has its own moments, so that episodes and starts do not touch each other.
    """

    def __init__(self, learning_rate: float, num_steps: int):
        self.learning_rate = learning_rate
        self.num_steps = num_steps
        self.num_done = 0
        self.first: Tensor | None = None
        self.second: Tensor | None = None

    def step(self, free: Tensor, gradient: Tensor) -> Tensor:
        """Return the numbers after one step."""
        first = torch.zeros_like(free) if self.first is None else self.first
        second = torch.zeros_like(free) if self.second is None else self.second
        self.first, self.second = first.lerp(gradient, 0.1), second.lerp(gradient.square(), 0.001)
        rate = self.learning_rate * (1.0 - self.num_done / self.num_steps)
        self.num_done += 1
        size = (self.second / (1.0 - 0.999**self.num_done)).sqrt() + 1e-8
        return free - rate * self.first / (1.0 - 0.9**self.num_done) / size


class Best:
    """Remember the best plan of each episode that was seen."""

    def __init__(self, starts: Float[Tensor, "b s t a"]):
        self.actions = starts[:, 0]
        self.cost = torch.full((len(starts),), torch.inf, device=starts.device)

    def see(self, actions: Float[Tensor, "b s t a"], cost: Float[Tensor, "b s"]) -> None:
        """Take what is better than everything before."""
        least, index = cost.min(dim=1)
        chosen = actions.gather(1, index[:, None, None, None].expand(-1, 1, *actions.shape[2:]))[:, 0]
        self.actions = torch.where((least < self.cost)[:, None, None], chosen, self.actions)
        self.cost = torch.minimum(least, self.cost.to(least))


def differentiated(cost: Tensor, free: Tensor, name: str) -> Tensor:
    """Return the gradient of costs with respect to free numbers alone; what is not finite becomes 0.

    Raises:
        UserError: Costs do not depend on the numbers in a way that autograd sees.
    """
    if not cost.requires_grad:
        raise UserError(f"{name} needs a model and a cost through which gradients flow, and none reach the actions.")
    return torch.autograd.grad(cost.sum(), free)[0].nan_to_num(0.0, 0.0, 0.0)
