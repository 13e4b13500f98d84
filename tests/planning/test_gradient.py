"""Planning by gradient finds exact optima, keeps to the box, and leaves the model as it was."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from toy_worlds import Place, Step, Turning, Walk

from jepakit.planning import GRASP, ActionPenalty, GradientPlanner, LatentDistance, WeightedSum
from jepakit.types import UserError

START, GOAL = torch.zeros(3, 2), torch.tensor([[3.0, 1.0], [-2.0, 2.0], [0.5, 0.0]])
LAST = LatentDistance(over="last")
ADAM = GradientPlanner(horizon=4, num_samples=3, num_iterations=150, cost=LAST)


@pytest.mark.parametrize("box", ["project", "tanh"])
def test_the_exact_optimum_of_a_quadratic_is_reached(box: str) -> None:
    cost = WeightedSum(((1.0, LAST), (2.0, ActionPenalty())))
    plan = replace(ADAM, cost=cost, box=box)(Walk(), START, GOAL)
    best = (GOAL / (4 + 2.0 / 4))[:, None].expand(-1, 4, -1)  # of |goal - sum of a|^2 / 2 + 2 |a|^2 / 8
    torch.testing.assert_close(plan.actions, best, atol=2e-3, rtol=0.0)


def test_a_linear_system_is_driven_to_its_least_squares_plan() -> None:
    world = Turning(dtype=torch.float64, reach=5.0)
    start, goal = torch.tensor([[1.0, -2.0]]).double(), torch.tensor([[0.5, 0.4]]).double()
    powers = [torch.linalg.matrix_power(world.turn, k) for k in range(5)]
    effect = torch.cat([powers[3 - t] @ world.push for t in range(4)], dim=1)  # of all actions on the last place
    short = goal[0] - powers[4] @ start[0]
    weight = 0.5
    normal = effect.T @ effect / 2 + weight * torch.eye(8).double() / 8
    best = torch.linalg.solve(normal, effect.T @ short / 2).view(1, 4, 2)
    cost = WeightedSum(((1.0, LAST), (weight, ActionPenalty())))
    plan = replace(ADAM, num_iterations=200, learning_rate=0.1, cost=cost)(world, start, goal)
    torch.testing.assert_close(plan.actions, best, atol=2e-3, rtol=0.0)


@pytest.mark.parametrize("box", ["project", "tanh"])
def test_actions_end_at_the_edge_of_the_box_where_the_goal_is_beyond(box: str) -> None:
    plan = replace(ADAM, box=box)(Walk(), START, torch.full((3, 2), 50.0))
    assert float(plan.actions.max()) <= 1.0
    assert float(plan.actions.min()) > (0.999 if box == "project" else 0.98)


def test_the_plan_is_never_worse_than_what_it_begins_with() -> None:
    begin = (1.01 * GOAL / 4)[:, None].expand(-1, 4, -1)  # nearly the best, but with a gradient to follow
    wild = replace(ADAM, learning_rate=5.0, num_iterations=3)
    plan = wild(Walk(), START, GOAL, begin=begin)
    torch.testing.assert_close(plan.cost, (0.01 * GOAL).square().mean(dim=1), rtol=1e-3, atol=1e-7)
    torch.testing.assert_close(plan.actions, begin)
    assert bool((wild(Walk(), START, GOAL).info["least_cost"].diff(dim=1) <= 0).all())


class Learned(nn.Module):
    """A world model with weights, some of which are frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(4, 2)
        self.step.bias.requires_grad_(False)
        self.action_space = Walk().action_space

    def observe(self, observation: Tensor) -> Place:
        return Place(observation)

    def advance(self, z: Tensor, action: Tensor) -> Tensor:
        return z + self.step(torch.cat((z[..., 0, :], action), dim=-1))[..., None, :]

    def rollout(self, state: Place, actions: Tensor) -> Tensor:
        z, ahead = state.z[..., None, :], []
        for action in actions.unbind(2):
            z = self.advance(z, action)
            ahead.append(z)
        return torch.stack(ahead, dim=2)

    def encode_goal(self, goal: Tensor) -> Tensor:
        return goal[:, None]


@pytest.mark.parametrize(
    "planner", [replace(ADAM, num_iterations=4), GRASP(horizon=4, num_samples=2, num_iterations=4)]
)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_weights_get_no_gradient_and_stay_as_they_are(planner: GradientPlanner, mode: type) -> None:
    model = Learned()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with mode():
        plan = planner(model, START, GOAL)
    assert all(weight.grad is None for weight in model.parameters())
    assert model.step.weight.requires_grad and not model.step.bias.requires_grad
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert not plan.actions.requires_grad


def test_a_model_that_lets_no_gradient_through_is_refused() -> None:
    class Deaf(Walk):
        @torch.no_grad()
        def rollout(self, state: Place, actions: Tensor) -> Tensor:
            return super().rollout(state, actions)

    with pytest.raises(UserError, match="GradientPlanner needs a model and a cost through which gradients flow"):
        ADAM(Deaf(), START, GOAL)


def test_grasp_meets_the_goal_without_rolling_out_while_it_moves() -> None:
    asked: list[tuple[int, ...]] = []
    planner = GRASP(horizon=4, num_samples=4, num_iterations=80, sync_every=40, cost=LAST)
    plan = planner(Step(asked=asked), START, GOAL)
    torch.testing.assert_close(plan.actions.sum(dim=1), GOAL, atol=0.25, rtol=0.0)
    assert sum(shape[2] > 1 for shape in asked) == 1 + 80 // 40


def test_grasp_cuts_the_gradient_into_states() -> None:
    steep: list[Tensor] = []

    class Watched(Step):
        def advance(self, z: Tensor, action: Tensor) -> Tensor:
            steep.append(z)
            return super().advance(z, action)

    GRASP(horizon=4, num_samples=2, num_iterations=3, cost=LAST)(Watched(), START, GOAL)
    assert steep and not any(z.requires_grad for z in steep)


def test_grasp_needs_a_model_that_steps_from_any_embedding() -> None:
    with pytest.raises(UserError, match=r"steps from any embedding by advance\(z, action\), and Walk has none"):
        GRASP(horizon=4)(Walk(), START, GOAL)
