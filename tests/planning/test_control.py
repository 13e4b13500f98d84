"""A plan is followed for as long as asked, then searched anew from what is left of it."""

from dataclasses import dataclass, field

import pytest
import torch
from toy_worlds import Walk

from jepakit.planning import CEM, LatentDistance, Plan
from jepakit.planning.control import Control
from jepakit.types import UserError

IDS = torch.arange(3)


@dataclass
class Counting:
    """A planner whose plans count up and which remembers what it was told."""

    horizon: int = 4
    told: list[tuple[int, torch.Tensor | None]] = field(default_factory=list)

    def __call__(self, model, observation, goal, *, ids=None, decision=0, begin=None):
        self.told.append((decision, begin))
        steps = torch.arange(4.0) + 10 * decision
        return Plan(steps.view(1, 4, 1).expand(3, 4, 2), torch.zeros(3))


def test_plans_are_followed_and_then_made_anew() -> None:
    planner = Counting()
    control = Control(planner, Walk(), None, IDS, every=2)
    done = [float(control(None)[0, 0]) for _ in range(5)]
    assert done == [0, 1, 10, 11, 20]
    assert [decision for decision, _ in planner.told] == [0, 1, 2]
    assert planner.told[0][1] is None
    begin = planner.told[1][1]
    assert begin is not None
    assert begin[0, :, 0].tolist() == [2, 3, 0, 0]


def test_a_walk_ends_at_its_goal() -> None:
    goal = torch.tensor([[6.0, 2.0], [-3.0, 0.0], [0.0, 7.0]])
    planner = CEM(horizon=4, num_samples=60, num_elites=8, num_iterations=4, cost=LatentDistance(over="mean"))
    control, place = Control(planner, Walk(), goal, IDS, every=2), torch.zeros(3, 2)
    for _ in range(10):
        place = place + control(place)
    assert float((place - goal).norm(dim=1).max()) < 0.3


def test_more_than_a_plan_cannot_be_followed() -> None:
    with pytest.raises(UserError, match=r"every 1 to 4 steps \(the horizon\), not every 5"):
        Control(Counting(), Walk(), None, IDS, every=5)
