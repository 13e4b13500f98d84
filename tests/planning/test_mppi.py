"""MPPI's weights have their limits, and its candidates are weighed as they were clipped."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toy_worlds import Walk

from jepakit.planning import MPPI, LatentDistance

START, GOAL = torch.zeros(3, 2), torch.tensor([[3.0, 1.0], [-2.0, 2.0], [50.0, 0.0]])
ROUND = MPPI(horizon=4, num_samples=40, num_iterations=1, cost=LatentDistance(over="last"))


def seen_by(planner: MPPI) -> tuple[Tensor, Tensor, Tensor]:
    """Return the candidates of the first round, their costs and the plan."""
    seen: list[tuple[Tensor, Tensor]] = []

    def cost(z_hat: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        seen.append((actions, LatentDistance(over="last")(z_hat, goal, actions)))
        return seen[-1][1]

    plan = replace(planner, cost=cost)(Walk(), START, GOAL)
    return *seen[0], plan.actions


@pytest.mark.parametrize("is_relative", [True, False])
def test_at_temperature_zero_the_best_candidate_is_the_plan(is_relative: bool) -> None:
    actions, cost, plan = seen_by(replace(ROUND, temperature=1e-9, is_relative=is_relative))
    assert torch.equal(plan, actions[torch.arange(3), cost.argmin(dim=1)])


@pytest.mark.parametrize("is_relative", [True, False])
def test_at_a_high_temperature_the_mean_of_all_candidates_is(is_relative: bool) -> None:
    actions, _, plan = seen_by(replace(ROUND, temperature=1e9, is_relative=is_relative))
    torch.testing.assert_close(plan, actions.mean(dim=1))


def test_in_between_weights_are_those_of_the_formula() -> None:
    cost = torch.tensor([[1.0, 3.0, 2.0, torch.inf]])
    weights = replace(ROUND, temperature=0.5, is_relative=False).weights(cost)
    torch.testing.assert_close(weights, torch.softmax(-cost / 0.5, dim=1))
    relative = replace(ROUND, temperature=0.5).weights(cost)
    torch.testing.assert_close(relative, torch.softmax(-cost / (0.5 * cost[0, :3].std(correction=0)), dim=1))


def test_the_unit_of_the_cost_does_not_matter_where_the_temperature_is_relative() -> None:
    cost = torch.rand(2, 20)
    torch.testing.assert_close(ROUND.weights(cost), ROUND.weights(1e-4 * cost - 7.0), rtol=0.05, atol=1e-3)
    assert not torch.allclose(
        replace(ROUND, is_relative=False).weights(cost), replace(ROUND, is_relative=False).weights(1e-4 * cost)
    )


def test_equal_costs_weigh_the_same_and_infinite_ones_nothing() -> None:
    torch.testing.assert_close(ROUND.weights(torch.full((1, 4), 3.0)), torch.full((1, 4), 0.25))
    assert ROUND.weights(torch.full((1, 4), torch.inf)).tolist() == [[0.0] * 4]


def test_candidates_are_clipped_before_they_are_weighed() -> None:
    actions, _, plan = seen_by(replace(ROUND, std=5.0, temperature=1e9, max_norm=0.5))
    assert float(actions.norm(dim=-1).max()) <= 0.5 + 1e-6
    torch.testing.assert_close(plan, actions.mean(dim=1))


def test_the_spread_shrinks_if_it_is_refitted_and_else_stays() -> None:
    spread = {}
    for refits_std in (True, False):
        seen: list[Tensor] = []

        def cost(z_hat: Tensor, goal: Tensor, actions: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(actions)
            return LatentDistance(over="last")(z_hat, goal, actions)

        replace(ROUND, num_iterations=6, std=0.2, refits_std=refits_std, cost=cost)(Walk(), START[:2], GOAL[:2] / 3)
        spread[refits_std] = float(seen[-2].std(dim=1).mean() / seen[0].std(dim=1).mean())
    assert spread[True] < 0.7
    assert spread[False] > 0.8
