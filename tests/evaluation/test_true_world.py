"""The true world steps as the world does, tells what it is asked to tell, and plans like any model."""

import pytest
import torch
from plane_world import SPACE, Plane, PlaneModel, PlaneState

from jepakit.evaluation.telling import Embedded, Remaining, Sight, TrueCost
from jepakit.evaluation.true_world import TrueWorld
from jepakit.planning import CEM, WorldModel
from jepakit.types import UserError
from jepakit.worlds import Distracted, TwoRooms

WORLD = Plane()
ROOMS = TwoRooms()


def true_rooms(frame_skip: int = 1, at_once: int = 1024) -> TrueWorld:
    goals = ROOMS.task(torch.arange(3))[1]
    return TrueWorld(ROOMS, goals, Remaining(ROOMS.way), ROOMS.action_space, frame_skip, at_once)


def test_candidates_go_where_the_world_takes_them() -> None:
    start, goal = ROOMS.task(torch.arange(3))
    actions = 4 * torch.randn(3, 5, 6, 2)
    told = true_rooms().rollout(true_rooms().observe(start).expand(5), actions)
    assert told.shape == (3, 5, 6, 1, 1)
    for sample in range(5):
        state = start
        for step in range(6):
            state = ROOMS.step(state, actions[:, sample, step])
            assert torch.equal(told[:, sample, step, 0, 0], ROOMS.way(state, goal))


def test_chunks_change_nothing_and_episodes_can_be_chosen() -> None:
    start = ROOMS.task(torch.arange(3))[0]
    actions = torch.randn(3, 5, 6, 2)
    whole = true_rooms().rollout(true_rooms().observe(start).expand(5), actions)
    small = true_rooms(at_once=2)
    assert torch.equal(small.rollout(small.observe(start).expand(5), actions), whole)
    index = torch.tensor([2, 0])
    assert torch.equal(small.rollout(small.observe(start).select(index).expand(5), actions[index]), whole[index])


def test_only_what_is_looked_at_is_told() -> None:
    start = ROOMS.task(torch.arange(3))[0]
    actions = torch.randn(3, 5, 6, 2)
    every = true_rooms().rollout(true_rooms().observe(start).expand(5), actions)
    skipping = true_rooms(frame_skip=3)
    assert torch.equal(skipping.rollout(skipping.observe(start).expand(5), actions), every[:, :, 2::3])
    with pytest.raises(UserError, match="5 actions do not fill blocks of 3"):
        skipping.rollout(skipping.observe(start).expand(5), actions[:, :, :5])
    with pytest.raises(UserError, match="3 goals"):
        skipping.observe(ROOMS.task(torch.arange(2))[0])
    with pytest.raises(UserError, match="every 1 or more"):
        true_rooms(frame_skip=0)


def test_states_within_states_and_embeddings_of_pictures() -> None:
    world = Distracted(ROOMS, "noise")
    start, goal = world.task(torch.arange(2))
    seen: list[int] = []

    class Eye(PlaneModel):
        def encode_goal(self, goal: torch.Tensor) -> torch.Tensor:
            seen.append(len(goal))
            return goal.float().mean(dim=(2, 3))[:, None]

    model = TrueWorld(world, goal, Embedded(Sight(Eye(), world.render, 4)), world.action_space)
    told = model.rollout(model.observe(start).expand(3), torch.zeros(2, 3, 2, 2))
    after = world.step(start, torch.zeros(2, 2))
    assert torch.equal(told[:, 1, 0, 0], world.render(after).float().mean(dim=(2, 3)))
    assert max(seen) == 4
    assert torch.equal(model.encode_goal(goal)[:, 0], world.render(goal).float().mean(dim=(2, 3)))


def test_the_true_cost_is_the_mean_or_the_last() -> None:
    told = torch.tensor([[[4.0, 2.0, 0.0], [1.0, 1.0, 4.0]]])[..., None, None]
    nothing, actions = torch.zeros(1, 1, 1), torch.zeros(1, 2, 3, 2)
    assert TrueCost()(told, nothing, actions).tolist() == [[2.0, 2.0]]
    assert TrueCost("last")(told, nothing, actions).tolist() == [[0.0, 4.0]]
    assert TrueCost.uses_labels
    with pytest.raises(UserError, match="'last' or 'mean'"):
        TrueCost("sum")


def test_a_search_plans_in_it_as_in_any_model() -> None:
    start = PlaneState(torch.tensor([[0.0, 0.0], [5.0, 5.0]]))
    goal = PlaneState(torch.tensor([[3.0, 0.0], [5.0, 2.0]]))
    model = TrueWorld(WORLD, goal, Remaining(WORLD.distance), SPACE)
    assert isinstance(model, WorldModel)
    plan = CEM(horizon=3, num_samples=64, cost=TrueCost("last"))(model, start, goal)
    assert float(plan.cost.max()) < 0.3
    assert torch.allclose(plan.actions.sum(dim=1), goal.position - start.position, atol=0.3)
