"""A policy acts alone, proposes to a search, and its settings are held against the model."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toy_worlds import Walk, straight

from jepakit.planning import CEM, Amortised, Control, LatentDistance, Planner, Proposed
from jepakit.types import UserError

START, GOAL = torch.tensor([[1.0, 1.0], [0.0, 0.0]]), torch.tensor([[3.0, 0.0], [-2.0, 2.0]])
ASK = Amortised(horizon=4, policy=straight, cost=LatentDistance(over="last"))


def test_a_policy_is_asked_again_from_where_the_model_imagines_it() -> None:
    plan = ASK(Walk(), START, GOAL)
    expected = ((GOAL - START) / 4)[:, None].expand(-1, 4, -1)
    torch.testing.assert_close(plan.actions, expected)  # with 4, 3, 2 and 1 steps to go
    torch.testing.assert_close(plan.cost, torch.zeros(2))


def test_it_is_told_how_many_steps_there_are_and_keeps_to_the_bounds() -> None:
    plan = replace(ASK, within=8)(Walk(), START, GOAL)
    torch.testing.assert_close(plan.actions[:, 0], (GOAL - START) / 8)
    fast = replace(ASK, horizon=1)(Walk(), START, GOAL)
    assert fast.actions[:, 0].tolist() == [[1.0, -1.0], [-1.0, 1.0]]


def test_several_actions_at_once_are_cut_at_the_horizon() -> None:
    def thrice(z: Tensor, goal: Tensor, steps: Tensor) -> Tensor:
        return straight(z, goal, steps).expand(-1, 3, -1)

    plan = replace(ASK, policy=thrice)(Walk(), START, GOAL)
    torch.testing.assert_close(plan.actions, ((GOAL - START) / 4)[:, None].expand(-1, 4, -1))


def test_it_acts_in_closed_loop() -> None:
    act, place = Control(replace(ASK, horizon=1), Walk(), GOAL, torch.arange(2)), START
    for _ in range(4):
        place = place + act(place)
    torch.testing.assert_close(place, GOAL)


def test_a_search_goes_on_from_a_proposal_and_the_rest_of_the_last_plan_competes() -> None:
    told: list[Tensor] = []

    class Telling(CEM):
        def __call__(self, *args, begin=None, **kwargs):
            told.append(begin)
            return super().__call__(*args, begin=begin, **kwargs)

    search: Planner = Telling(horizon=4, std=1e-6, cost=LatentDistance(over="last"))
    last = torch.full((2, 4, 2), 0.1)
    plan = Proposed(planner=search, proposal=ASK)(Walk(), START, GOAL, begin=last)
    torch.testing.assert_close(plan.cost, torch.zeros(2), atol=1e-6, rtol=0.0)
    assert told[0].shape == (2, 2, 4, 2)
    torch.testing.assert_close(told[0][:, 1], last)
    Proposed(planner=search, proposal=ASK)(Walk(), START, GOAL)
    assert told[1].shape == (2, 1, 4, 2)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match="A planner of 4 actions cannot begin with a proposal of 3"):
        Proposed(planner=CEM(horizon=4), proposal=replace(ASK, horizon=3))
    with pytest.raises(UserError, match="tells actions of length 3, the model takes 2"):
        replace(ASK, policy=lambda z, goal, steps: torch.zeros(2, 1, 3))(Walk(), START, GOAL)
