"""Episodes along the expert's trajectories: the goal is what comes 25 steps later, and filters keep what they promise."""

import pytest
import torch

from jepakit.evaluation.manifest import SEEDS
from jepakit.evaluation.windows import BUDGET, FILTERS, GAP, LATEST_START, windows
from jepakit.types import UserError
from jepakit.worlds import SWMExpert, SWMTwoRoom
from jepakit.worlds.swm_two_room import NEAR


@pytest.mark.parametrize("clean", FILTERS)
def test_a_goal_is_what_the_trajectory_comes_to_and_is_as_far_as_the_filter_says(clean: str) -> None:
    found = windows(SWMTwoRoom(), 30, clean=clean, split="dev")
    assert found.world.seed == SEEDS["dev"] and len(found.start) == len(found.goal) == len(found.ids) == 30
    made = SWMExpert()(found.world, found.ids, LATEST_START + GAP)
    places = made.of(made.states.position)
    when = (places == found.start.position[:, None]).all(-1).int().argmax(1)
    assert torch.equal(places[torch.arange(30), when + GAP], found.goal.position)
    assert when.max() <= LATEST_START and when.unique().numel() > 10
    far = found.world.distance(found.start, found.goal)
    assert bool((far >= FILTERS[clean]).all())
    assert bool(found.world.reached(found.start, found.goal).any()) == (clean == "published"), "solved from the start"


def test_stricter_filters_keep_less_and_few_episodes_are_the_first_of_many() -> None:
    found = {clean: windows(SWMTwoRoom(seed=3), 40, clean=clean, split="test") for clean in FILTERS}
    assert 1.0 == found["published"].kept > found["moderate"].kept > found["strict"].kept > 0.2
    few = windows(SWMTwoRoom(), 10, clean="strict", split="test")
    assert torch.equal(few.ids, found["strict"].ids[:10])
    assert torch.equal(few.goal.position, found["strict"].goal.position[:10])
    other = windows(SWMTwoRoom(), 10, clean="strict", split="dev")
    assert not torch.equal(few.start.position, other.start.position)


def test_the_expert_s_own_actions_reach_the_goal_within_the_budget() -> None:
    assert GAP <= BUDGET and FILTERS["moderate"] == NEAR


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(UserError, match="clean is one of published, moderate, strict"):
        windows(SWMTwoRoom(), 5, clean="tidy", split="dev")
    with pytest.raises(UserError, match="Episodes are at least 1"):
        windows(SWMTwoRoom(), 0, clean="strict", split="dev")
