"""A held action is done as often as asked, in what is predicted and in the world, and searches follow that rhythm."""

from typing import Any

import pytest
import torch
from toy_worlds import Walk

from jepakit.planning import CEM, WorldModel
from jepakit.planning.control import Control
from jepakit.planning.holding import Held
from jepakit.types import UserError


def test_a_held_action_is_done_several_times() -> None:
    model = Held(Walk(), 3)
    assert isinstance(model, WorldModel)
    actions = torch.randn(2, 4, 5, 2)
    state = model.observe(torch.zeros(2, 2)).expand(4)
    predicted = model.rollout(state, actions)
    assert predicted.shape == (2, 4, 15, 1, 2)
    torch.testing.assert_close(predicted[:, :, 2::3, 0], 3 * actions.cumsum(dim=2))


def test_control_does_what_was_planned_and_searches_when_it_is_due() -> None:
    class Noting:
        horizon = 4
        decisions: list[tuple[int, bool]] = []  # noqa: RUF012 - of this test alone

        def __call__(self, model: Any, observation: Any, goal: Any, **told: Any) -> Any:
            self.decisions.append((told["decision"], told["begin"] is None))
            return CEM(horizon=4, num_samples=4, num_elites=2)(model, observation, goal, **told)

    control = Control(Noting(), Walk(), torch.ones(1, 2), torch.arange(1), every=2, hold=3)
    done = []
    for _ in range(13):
        done.append(control(torch.zeros(1, 2)))
    assert Noting.decisions == [(0, True), (1, False), (2, False)]
    assert torch.equal(done[0], done[2])  # held
    assert not torch.equal(done[2], done[3])  # the plan's second action
    assert not torch.equal(done[5], done[6])  # a new plan


def test_an_action_that_is_not_held_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="at least 1 step"):
        Held(Walk(), 0)
