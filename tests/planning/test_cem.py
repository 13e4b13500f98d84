"""CEM and iCEM find what is to be found, go on from what they are given, and stop where nothing improves."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toy_worlds import Turning, Walk

from jepakit.planning import CEM, ICEM, LatentDistance, Plan

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

    shifted = Plan(torch.zeros(1, 3, 1), torch.zeros(1), elites=torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 3, 1)).after(1)
    assert shifted[0, :, :, 0].tolist() == [[0, 0, 0], [2, 3, 0]]


def test_icem_draws_fewer_each_round_but_two_for_each_elite() -> None:
    asked: list[tuple[int, ...]] = []
    plan = ICEM(horizon=5, num_samples=100, num_elites=30, num_iterations=5)(Walk(asked=asked), START, GOAL)
    assert [shape[1] for shape in asked] == [100, 80, 64, 60, 60, 1]
    assert plan.elites is not None and plan.elites.shape == (5, 3, 5, 2)


def test_icem_takes_the_best_candidate_where_it_beats_the_mean() -> None:
    def bumpy(z_hat: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        """A mean of good candidates is not good."""
        return (actions.square().sum(dim=-1) - 1.0).abs().mean(dim=-1)

    planner = ICEM(horizon=2, num_samples=100, cost=bumpy, num_iterations=2)
    best, mean = (replace(planner, takes_best=taken)(Walk(), START, GOAL).cost for taken in (True, False))
    assert bool((best < mean).all())


def test_elites_are_gone_on_with_in_the_next_decision() -> None:
    planner = ICEM(horizon=4, num_samples=24, num_iterations=1, num_elites=4, cost=LatentDistance(over="last"))
    first = planner(Walk(), START, GOAL, decision=0)
    begin = first.after(1)
    assert begin.shape == (5, 4, 4, 2)
    second = planner(Walk(), START, GOAL, decision=1, begin=begin)
    offered = (begin.sum(dim=2) - GOAL[:, None]).square().mean(dim=-1).amin(dim=1)
    assert bool((second.cost <= offered + 1e-6).all())


def test_momentum_keeps_a_share_of_the_old_mean() -> None:
    begin = torch.full((5, 5, 2), 0.5)
    fresh, slow = (
        replace(CEM_5, num_iterations=1, momentum=share)(Walk(), START, GOAL, begin=begin).actions
        for share in (0, 0.25)
    )
    torch.testing.assert_close(slow, 0.75 * fresh + 0.25 * begin)


def test_an_episode_that_no_longer_improves_is_left_as_it_is() -> None:
    planner = replace(CEM_5, num_iterations=30, tolerance=0.3)
    plan, without = planner(Walk(), START, GOAL), replace(planner, tolerance=None)(Walk(), START, GOAL)
    levels = plan.info["elite_cost"]
    for row in range(5):
        level = levels[row]
        (held,) = torch.nonzero(level.diff() == 0, as_tuple=True)
        stop = int(held[0])
        assert bool((level[stop:] == level[stop]).all())  # once stopped, stopped for good
        assert bool((level[1 : stop + 1] < 0.7 * level[:stop]).all())  # and not before
        short = replace(CEM_5, num_iterations=stop + 1)(Walk(), START, GOAL)
        torch.testing.assert_close(plan.actions[row], short.actions[row], atol=0, rtol=0)
    assert not torch.equal(plan.actions, without.actions)


def test_where_every_episode_has_stopped_nothing_more_is_asked_on_a_cpu() -> None:
    asked: list[tuple[int, ...]] = []
    plan = replace(CEM_5, num_iterations=50, tolerance=0.5)(Walk(asked=asked), START, GOAL)
    assert len(asked) < 20
    assert plan.info["elite_cost"].shape == (5, 50)


def test_a_linear_system_is_driven_to_its_least_squares_plan() -> None:
    world = Turning(dtype=torch.float64)
    start = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
    goal = torch.tensor([[0.5, 0.4]], dtype=torch.float64)
    plan = CEM(horizon=3, num_samples=300, num_iterations=12, cost=LatentDistance(over="last"))(world, start, goal)
    ahead = world.rollout(world.observe(start).expand(1), plan.actions[:, None])
    torch.testing.assert_close(ahead[0, 0, -1], goal, atol=0.02, rtol=0.0)


@pytest.mark.parametrize("mirrored", [True, False])
def test_candidates_come_in_pairs_if_asked(mirrored: bool) -> None:
    seen: list[Tensor] = []

    def cost(z_hat: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        seen.append(actions)
        return actions.square().sum(dim=(-2, -1))

    replace(CEM_5, mirrored=mirrored, std=0.1, num_iterations=1, cost=cost)(Walk(), START, GOAL)
    first, second = seen[0][:, 1:100], seen[0][:, 101:]
    assert torch.equal(first, -second) == mirrored
