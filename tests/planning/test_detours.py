"""Where the way leads away from the goal first, subgoals find it, and so do steps to go learned from time."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toy_worlds import Horseshoe, Step, Walled

from jepakit.nn import ReachabilityConfig, ReachabilityHead
from jepakit.planning import (
    CEM,
    Control,
    Hierarchical,
    LatentDistance,
    Planner,
    Reachability,
    learn_reachability,
)
from jepakit.planning.hierarchical import Towards
from jepakit.random import Stream
from jepakit.types import UserError

WORLD, HORSESHOE, IDS = Walled(reach=0.5), Horseshoe(), torch.arange(4)
START = torch.tensor([[-1.0, 0.0], [-1.0, 1.0], [-0.5, 0.0], [-1.0, -1.0]])
GOAL = torch.tensor([[1.0, 0.0], [1.0, 0.5], [0.5, 0.0], [1.0, -0.5]])
SHORT = CEM(horizon=4, num_samples=60, num_elites=8, num_iterations=4, cost=LatentDistance(over="last"))


def distance_after(planner: Planner, num_steps: int) -> Tensor:
    act, place = Control(planner, WORLD, GOAL, IDS, every=2), START
    for _ in range(num_steps):
        place = WORLD.moved(place, act(place))
    return (place - GOAL).norm(dim=-1)


def test_planned_greedily_nobody_gets_through_the_door() -> None:
    assert float(distance_after(SHORT, 24).min()) > 0.4


def test_a_coarse_plan_leads_through_the_door() -> None:
    coarse = CEM(horizon=2, num_samples=800, num_elites=10, num_iterations=8, std=1.0, cost=LatentDistance(over="last"))
    planner = Hierarchical(coarse_model=Walled(reach=3.0), coarse=coarse, fine=SHORT)
    assert float(distance_after(planner, 24).max()) < 0.5
    plan = planner(WORLD, START, GOAL)
    route = coarse(Walled(reach=3.0), START, GOAL)
    subgoal = Walled(reach=3.0).moved(START, route.actions[:, 0])
    torch.testing.assert_close(plan.info["subgoal"][:, 0], subgoal)
    end = WORLD.rollout(WORLD.observe(START).expand(1), plan.actions[:, None])[:, 0, -1, 0]
    torch.testing.assert_close(plan.cost, (end - subgoal).square().mean(dim=-1))  # the fine plan's, to its subgoal


def test_a_later_macro_action_may_be_the_subgoal() -> None:
    planner = Hierarchical(coarse_model=Step(reach=2.0), coarse=replace(SHORT, horizon=2), fine=SHORT, ahead=2)
    subgoal = planner(Step(), START, GOAL).info["subgoal"][:, 0]
    torch.testing.assert_close(subgoal, GOAL, atol=0.3, rtol=0.0)
    with pytest.raises(UserError, match="2 macro-actions has no subgoal number 3"):
        replace(planner, ahead=3)


def test_goals_given_as_tokens_show_a_model_as_it_is() -> None:
    shown = Towards(Step(max_horizon=7))
    tokens = torch.randn(2, 1, 2)
    assert shown.encode_goal(tokens) is tokens and shown.max_horizon == 7
    assert torch.equal(shown.advance(tokens, torch.ones(2, 2)), tokens + 1)
    with pytest.raises(UserError, match="Object does not step"):
        Towards(_without_steps()).advance(tokens, torch.ones(2, 2))


def _without_steps():
    class Object(Step):
        advance = None  # type: ignore[assignment]

    return Object()


@pytest.fixture(scope="module")
def head() -> ReachabilityHead:
    """Learn steps to go from walks along the horseshoe, each at a speed of its own."""
    drawn = Stream(0, "test/walks").uniform(0, torch.arange(300), 2)
    frames = [HORSESHOE.at(0.2 + 5.88 * drawn[:, 0])]
    for _ in range(60):
        frames.append(HORSESHOE.moved(frames[-1], 0.6 * drawn[:, 1:] - 0.3))
    config = ReachabilityConfig(embedding_dim=2, max_gap=32, hidden_dim=64)
    return learn_reachability(torch.stack(frames, dim=1), config, num_steps=500, batch_size=192, learning_rate=5e-3)


def test_steps_to_go_are_learned_from_time_and_know_that_the_ends_are_apart(head: ReachabilityHead) -> None:
    end = HORSESHOE.at(torch.tensor([0.5]))
    steps = head(end, HORSESHOE.at(torch.tensor([0.5, 0.8, 1.5, 3.0, 4.5, 5.7])))
    assert bool((steps[:5].diff() > 0).all())
    assert float(steps[5]) > 2 * float(steps[1])  # though the other end is as near as the next place


def test_planned_by_steps_to_go_everybody_walks_round_and_by_distance_nobody(head: ReachabilityHead) -> None:
    def apart(planner: Planner) -> Tensor:
        goal = HORSESHOE.at(torch.tensor([5.2, 5.0]))
        place = HORSESHOE.at(torch.tensor([0.8, 1.0]))
        act = Control(planner, HORSESHOE, goal, torch.arange(2), every=2)
        for _ in range(30):
            place = HORSESHOE.moved(place, act(place))
        return (place - goal).norm(dim=-1)

    planner = replace(SHORT, horizon=8, num_samples=100, colour=2.0, cost=LatentDistance())
    assert float(apart(planner).min()) > 0.7
    assert float(apart(replace(planner, cost=Reachability(head=head))).max()) < 0.3
