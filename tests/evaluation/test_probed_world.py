"""What a probe reads takes its place in true states; all else of them stays, and nothing is placed where none fits."""

import pytest
import torch
from plane_world import Plane, PlaneModel, PlaneState

from jepakit.evaluation.probed_world import Learned, ProbedWorld, placed
from jepakit.types import UserError
from jepakit.worlds import BouncingBalls, Distracted, PushDisc, Reacher2D, TwoRooms

WORLD = Plane()


def test_predictions_are_priced_where_the_probe_says_they_are() -> None:
    start, goal = WORLD.task(torch.arange(4))
    model = Learned(PlaneModel(gain=-2.0), WORLD.render)
    probed = ProbedWorld(model, lambda z: {"position": 10.0 * z[:, 0]}, goal, WORLD.distance)
    actions = torch.rand(4, 3, 2, 2)
    state = probed.observe(start)
    told = probed.rollout(state.expand(3), actions)
    there = 10.0 * (start.position[:, None, None] - 2.0 * actions.cumsum(dim=2))
    assert torch.allclose(told[..., 0, 0], (there - goal.position[:, None, None]).norm(dim=-1))
    index = torch.tensor([3, 1])
    assert torch.equal(probed.rollout(state.select(index).expand(3), actions[index]), told[index])
    assert torch.equal(probed.encode_goal(goal), model.encode_goal(goal))


def test_a_model_that_looks_so_far_says_so() -> None:
    class Short(PlaneModel):
        max_horizon = 5

    goal = PlaneState(torch.zeros(1, 2))
    for model, longest in ((PlaneModel(), None), (Short(), 5)):
        learned = Learned(model, WORLD.render)
        assert learned.max_horizon == longest
        assert ProbedWorld(learned, dict, goal, WORLD.distance).max_horizon == longest


@pytest.mark.parametrize(
    ("world", "names"),
    [
        (TwoRooms("random"), ("position",)),
        (PushDisc(), ("agent", "object", "angle")),
        (Reacher2D(), ("angle", "velocity")),
        (BouncingBalls(), ("position", "velocity")),
        (Distracted(TwoRooms("random"), "texture"), ("position",)),
    ],
)
def test_true_factors_in_the_place_of_true_fields_change_nothing(world: object, names: tuple[str, ...]) -> None:
    state, other = world.start(torch.arange(6)), world.start(torch.arange(6, 12))
    there = placed(other, {name: world.factors(state)[name] for name in names})
    for name in names:
        assert torch.allclose(world.factors(there)[name], world.factors(state)[name], atol=1e-5)
    assert torch.equal(placed(state, {}).__class__ and world.render(placed(state, {})), world.render(state))


def test_the_rest_of_a_state_stays_as_it_is() -> None:
    world = TwoRooms("random")
    state = world.start(torch.arange(6))
    there = placed(state, {"position": torch.zeros(6, 2)})
    assert torch.equal(there.wall_x, state.wall_x) and torch.equal(there.id, state.id)
    assert float(there.position.abs().max()) == 0.0


def test_what_is_no_field_is_refused() -> None:
    state = TwoRooms().start(torch.arange(2))
    with pytest.raises(UserError, match="have no field walls"):
        placed(state, {"walls": torch.zeros(2, 2)})
    with pytest.raises(UserError, match="position has 3 numbers, the field of that name 2"):
        placed(state, {"position": torch.zeros(2, 3)})
