"""Discrete actions are searched as one-hot vectors, for each episode as if it were alone."""

from dataclasses import replace

import gymnasium
import pytest
import torch
from torch import Tensor
from toy_worlds import Grid, Walk

from jepakit.planning import CEM, CategoricalCEM, LatentDistance
from jepakit.types import UserError

START, GOAL = torch.zeros(3, 2), torch.tensor([[3.0, 1.0], [-2.0, -2.0], [0.0, 0.0]])
SEARCH = CategoricalCEM(horizon=4, num_samples=100, cost=LatentDistance(over="last"))


def test_the_shortest_way_over_a_grid_is_found() -> None:
    plan = SEARCH(Grid(), START, GOAL)
    assert plan.cost.tolist() == [0.0, 0.0, 0.0]
    assert bool((plan.actions.sum(dim=-1) == 1).all()) and bool((plan.actions.amax(dim=-1) == 1).all())
    assert sorted(plan.actions[0].argmax(dim=-1).tolist()) == [1, 1, 1, 3]


def test_a_way_that_nobody_draws_by_chance_is_learned() -> None:
    far = torch.tensor([[8.0, 2.0], [-7.0, -3.0], [0.0, 9.0]])
    plan = replace(SEARCH, horizon=10, num_iterations=10)(Grid(), START, far)
    assert plan.cost.tolist() == [0.0, 0.0, 0.0]


def test_planned_together_is_planned_alone() -> None:
    ids = torch.tensor([4, 0, 9])
    whole = SEARCH(Grid(), START, GOAL, ids=ids, decision=1)
    for row in range(3):
        one = slice(row, row + 1)
        alone = SEARCH(Grid(), START[one], GOAL[one], ids=ids[one], decision=1)
        assert torch.equal(alone.actions[0], whole.actions[row])
    few = replace(SEARCH, max_numbers=1)(Grid(), START, GOAL, ids=ids, decision=1)
    assert torch.equal(few.actions, whole.actions)


def test_a_plan_to_begin_with_competes_and_gets_half_of_the_first_shares() -> None:
    best = SEARCH(Grid(), START, GOAL)
    again = replace(SEARCH, num_samples=15, num_iterations=1)(Grid(), START, GOAL, begin=best.actions)
    assert again.cost.tolist() == [0.0, 0.0, 0.0]
    seen: list[Tensor] = []

    def cost(z_hat: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        seen.append(actions)
        return actions.sum(dim=(-2, -1))

    planner = replace(SEARCH, num_samples=3000, num_iterations=1, cost=cost)
    begin = best.after(1)[:, 0]
    planner(Grid(), START, GOAL, begin=begin)
    share = seen[0].mean(dim=1)
    torch.testing.assert_close(share[:, :3], begin[:, :3] / 2 + 0.1, atol=0.03, rtol=0.0)
    torch.testing.assert_close(
        share[:, 3], torch.full((3, 5), 0.2), atol=0.03, rtol=0.0
    )  # at the end all are as likely


def test_candidates_without_a_finite_cost_are_not_counted() -> None:
    def cost(z_hat: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        far = LatentDistance(over="last")(z_hat, goal, actions)
        return torch.where(actions[:, :, 0, 1] > 0, torch.nan, far)  # nobody may begin with a step to the right

    plan = replace(SEARCH, cost=cost)(Grid(), START, GOAL)
    assert not bool(plan.actions[:, 0, 1].any())
    assert plan.cost.tolist() == [0.0, 0.0, 0.0]


def test_spaces_and_planners_have_to_fit() -> None:
    with pytest.raises(UserError, match="CategoricalCEM needs a Discrete action space, got Box"):
        SEARCH(Walk(), START, GOAL)
    with pytest.raises(UserError, match=r"got Discrete\(5\); search it with CategoricalCEM"):
        CEM(horizon=4)(Grid(), START, GOAL)
    with pytest.raises(UserError, match="planner's action_space is Discrete"):
        replace(SEARCH, action_space=gymnasium.spaces.Discrete(4))(Grid(), START, GOAL)
