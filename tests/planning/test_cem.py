"""CEM finds what is to be found, keeps to the bounds, and plans for each episode as if it were alone."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from toy_worlds import Walk

from jepakit.planning import CEM, LatentDistance
from jepakit.planning.bounds import bounds_of
from jepakit.planning.plan import Plan
from jepakit.types import UserError

START = torch.zeros(5, 2)
GOAL = torch.tensor([[3.0, 1.0], [-2.0, 2.0], [0.0, 0.0], [4.0, -4.0], [50.0, 0.0]])
CEM_5 = CEM(horizon=5, num_samples=200, num_elites=20, num_iterations=8, cost=LatentDistance(over="last"))


def test_a_plan_ends_at_the_goal_or_as_near_as_the_bounds_allow() -> None:
    plan = CEM_5(Walk(), START, GOAL)
    end = plan.actions.sum(dim=1)
    torch.testing.assert_close(end[:4], GOAL[:4], atol=0.15, rtol=0.0)
    assert float(end[4, 0]) > 4.5  # five steps of at most 1
    assert float(plan.actions.abs().max()) <= 1.0
    torch.testing.assert_close(plan.cost[:4], torch.zeros(4), atol=0.02, rtol=0.0)
    torch.testing.assert_close(plan.cost, (end - GOAL).square().mean(dim=1))  # of the plan, not of a better candidate
    elite = plan.info["elite_cost"]
    assert bool((elite[:4, -1] < 0.1 * elite[:4, 0] + 1e-3).all())


def test_planned_together_is_planned_alone_bit_for_bit_in_float64() -> None:
    ids = torch.tensor([3, 9, 4, 1, 7])
    together = CEM_5(Walk(dtype=torch.float64), START, GOAL, ids=ids, decision=2)
    for row in range(5):
        one = slice(row, row + 1)
        alone = CEM_5(Walk(dtype=torch.float64), START[one], GOAL[one], ids=ids[one], decision=2)
        assert torch.equal(alone.actions[0], together.actions[row])


def test_a_bound_on_memory_changes_nothing_but_the_number_of_episodes_at_once() -> None:
    asked: list[tuple[int, ...]] = []
    few = replace(CEM_5, max_numbers=2 * 200 * 5 * 2)
    plan = few(Walk(asked=asked), START, GOAL)
    assert {shape[0] for shape in asked} == {2, 1}
    torch.testing.assert_close(plan.actions, CEM_5(Walk(), START, GOAL).actions)


def test_other_seeds_episodes_and_decisions_draw_other_candidates() -> None:
    def first(seed: int = 0, episode: int = 0, decision: int = 0) -> torch.Tensor:
        planner = replace(CEM_5, seed=seed, num_iterations=1)
        return planner(Walk(), START[:1], GOAL[:1], ids=torch.tensor([episode]), decision=decision).actions

    base = first()
    assert torch.equal(base, first())
    for other in (first(seed=1), first(episode=1), first(decision=1)):
        assert not torch.equal(base, other)


def test_a_search_begins_where_it_is_told() -> None:
    begin = torch.full((1, 5, 2), 0.3)
    plan = replace(CEM_5, std=1e-6)(Walk(), START[:1], GOAL[:1], begin=begin)
    torch.testing.assert_close(plan.actions, begin, atol=1e-4, rtol=0.0)
    rest = Plan(torch.arange(10.0).view(1, 5, 2), torch.zeros(1)).after(2)
    assert rest[0, :, 0].tolist() == [4, 6, 8, 0, 0]


def test_kept_elites_never_let_the_best_cost_rise() -> None:
    planner = replace(CEM_5, num_kept=20, num_samples=40, std=2.0)
    elite = planner(Walk(), START, GOAL).info["elite_cost"]
    assert bool((elite.diff(dim=1) <= 1e-6).all())


def test_costs_by_hand() -> None:
    z_hat = torch.tensor([0.0, 1.0, 3.0]).view(1, 1, 3, 1, 1)
    goal, actions = torch.full((1, 1, 1), 1.0), torch.zeros(1, 1, 3, 2)
    assert float(LatentDistance(over="last")(z_hat, goal, actions)) == 4.0
    assert float(LatentDistance(over="mean")(z_hat, goal, actions)) == pytest.approx(5 / 3)
    discounted = LatentDistance(over="mean", discount=0.5)(z_hat, goal, actions)
    assert float(discounted) == pytest.approx((1 + 0.5 * 0 + 0.25 * 4) / 1.75)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (gymnasium.spaces.Box(-np.inf, np.inf, (2,)), "bounded action space"),
        (gymnasium.spaces.Discrete(3), "one-axis Box, got Discrete"),
        (gymnasium.spaces.Box(-1, 1, (2, 2)), "one-axis Box"),
    ],
)
def test_an_action_space_that_cannot_be_searched_is_refused(space: gymnasium.spaces.Space, words: str) -> None:
    with pytest.raises(UserError, match=words):
        bounds_of(space)


@pytest.mark.parametrize("settings", [{"horizon": 0}, {"num_elites": 1}, {"num_kept": 99}, {"std": 0.0}])
def test_settings_without_a_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match="CEM needs"):
        replace(CEM_5, **settings)


def test_an_unknown_cost_is_refused() -> None:
    with pytest.raises(UserError, match="'last' or 'mean'"):
        LatentDistance(over="sum")
