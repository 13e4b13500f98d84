"""Plan by collocation (GRASP): move states and actions in parallel until each action leads from one state to the next.

Nothing is rolled out while states and actions move, so that every step of the horizon is predicted at once:

    v_1 ... v_T            virtual states; v_T is the goal, v_1 ... v_{T-1} begin on the line to it
    f_t = model(v_{t-1}, a_{t-1})          no gradient into v_{t-1}: the model is differentiated in actions alone
    actions descend        sum_t |f_t - v_t|^2 + goal_weight * |f_t - goal|^2
    states follow          v_t += state_rate * (f_t - v_t) + noise, which dies away

Every `sync_every` rounds actions are rolled out, priced, and states put where they lead.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.planning.gradient import Adam, Best, Box, differentiated
from jepakit.planning.plan import Plan, StepModel, narrowed
from jepakit.planning.sampling import Sampling
from jepakit.planning.search import Problem
from jepakit.random import Stream
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class GRASP(Sampling):
    """Search by moving states and actions at once. The other settings are those of every `Sampling`.

    `num_samples` are starts, as in `GradientPlanner`; `cost` chooses between what they end in.

    Args:
        learning_rate: First step of an action, in shares of half its range; it falls to zero in a line.
        state_rate: Share of the way to its prediction that a state goes in a round.
        state_noise: First noise of states, in shares of the distance to the goal; it falls to zero in a line.
        goal_weight: Weight of every prediction's distance to the goal.
        sync_every: Rounds between two rollouts.

    Source: GRASP, arXiv 2602.00475. Deviations: states descend by their exact quadratic alone, at a rate without
    scale; gradient descent through whole rollouts in between is left out, and is had by
    `Proposed(planner=GradientPlanner(...), proposal=GRASP(...))`.
    """

    num_samples: int = 8
    num_iterations: int = 100
    learning_rate: float = 0.2
    state_rate: float = 0.5
    state_noise: float = 0.1
    goal_weight: float = 0.1
    sync_every: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs(self.learning_rate > 0 and 0 < self.state_rate <= 1, "a learning rate above 0, 0 < state_rate <= 1")
        self.needs(min(self.state_noise, self.goal_weight) >= 0, "noise and goal_weight of at least 0")
        self.needs(self.sync_every >= 1, "a rollout every 1 or more rounds")

    def search(self, problem: Problem) -> Plan:
        """Find plans for episodes that fit into memory together.

        Raises:
            UserError: The model cannot step from any embedding.
        """
        if not isinstance(problem.model, StepModel):
            raise UserError(
                "GRASP moves states, so it needs a model that steps from any embedding by advance(z, action), and "
                f"{type(problem.model).__name__} has none."
            )
        box, adam = Box(problem.bounds), Adam(self.learning_rate, self.num_iterations)
        actions = self.candidates(problem, 0, problem.begin[:, 0], self.first_std(problem), problem.begin)
        free, best, ahead = box.free(actions), Best(actions), problem.predict(actions)
        best.see(actions, problem.judge(ahead, actions))
        goal = problem.goal[:, None, None].to(actions)
        virtual = self._line(ahead[:, :, :1].to(actions), goal)
        far = (goal - virtual[:, :, :1]).square().mean(dim=(-2, -1), keepdim=True).sqrt()
        for turn in range(1, self.num_iterations + 1):
            with torch.enable_grad():
                free = free.detach().requires_grad_()
                ahead = _stepped(problem, virtual, box.actions(free))
                missed = (ahead - virtual).square() + self.goal_weight * (ahead - goal).square()
                gradient = differentiated(missed.mean(dim=(-2, -1)), free, "GRASP")
            free = box.kept(adam.step(free.detach(), gradient))
            if turn % self.sync_every == 0 or turn == self.num_iterations:
                actions = box.actions(free)
                moved = problem.predict(actions)
                best.see(actions, problem.judge(moved, actions))
            else:
                fading = self.state_noise * (1.0 - turn / self.num_iterations)
                moved = virtual.lerp(ahead.detach().to(virtual), self.state_rate)
                moved = moved + fading * far * self._noise(problem, turn, moved)
            virtual = torch.cat((moved[:, :, :-1].to(virtual), virtual[:, :, -1:]), dim=2)
        return Plan(best.actions, best.cost)

    def _line(self, first: Float[Tensor, "b s 1 n d"], goal: Float[Tensor, "b 1 1 n d"]) -> Float[Tensor, "b s t n d"]:
        """Return states on the line from a first one to the goal, which is the last."""
        share = torch.linspace(0.0, 1.0, self.horizon, dtype=first.dtype, device=first.device)
        share = share if self.horizon > 1 else torch.ones_like(share)
        return first + share.view(-1, 1, 1) * (goal - first)

    def _noise(self, problem: Problem, turn: int, states: Float[Tensor, "b s t n d"]) -> Float[Tensor, "b s t n d"]:
        """Return unit noise, pure in decision, round and episode; half of the starts get the other half's opposite."""
        num_drawn = (self.num_samples + 1) // 2
        step = problem.decision * self.num_iterations + turn
        drawn = Stream(self.seed, "planning/states").normal(step, problem.ids, num_drawn * states[0, 0].numel())
        noise = drawn.view(len(states), num_drawn, *states.shape[2:]).to(states)
        return torch.cat((noise, -noise), dim=1)[:, : self.num_samples]


def _stepped(
    problem: Problem, virtual: Float[Tensor, "b s t n d"], actions: Float[Tensor, "b s t a"]
) -> Float[Tensor, "b s t n d"]:
    """Return what one action leads to from where episodes are, and from every virtual state but the last."""
    assert isinstance(problem.model, StepModel)
    first = problem.predict(actions[:, :, :1])
    with narrowed(problem.precision, actions.device):
        later = problem.model.advance(virtual[:, :, :-1].to(first), actions[:, :, 1:])
    return torch.cat((first, later.to(first)), dim=2)
