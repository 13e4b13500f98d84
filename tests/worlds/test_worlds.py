"""What every embedded world keeps: the protocol, values that stay, episodes that do not know of each other."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from jepakit.types import UserError
from jepakit.worlds import (
    BouncingBalls,
    Distracted,
    PointMaze2D,
    PushDisc,
    Reacher2D,
    Roaming,
    SWMTwoRoom,
    TwoRooms,
    World,
)
from jepakit.worlds.trajectories import select

WORLDS: dict[str, World] = {
    "TwoRooms": TwoRooms("random", seed=3),
    "SWMTwoRoom": SWMTwoRoom(seed=3),
    "SWMTwoRoom, opposite": SWMTwoRoom("opposite", image_size=224, seed=3),
    "PointMaze2D": PointMaze2D(num_layouts=5, seed=3),
    "PointMaze2D, held out": PointMaze2D("held-out", size=4, num_layouts=5, path_lengths=(2, 9), seed=3),
    "PushDisc": PushDisc(seed=3),
    "Reacher2D": Reacher2D(seed=3),
    "Reacher2D, torque": Reacher2D("torque", image_size=100, seed=3),
    "BouncingBalls": BouncingBalls(seed=3),
    "BouncingBalls, screen": BouncingBalls(6, screen_width=16.0, seed=3),
    "TwoRooms, noise": Distracted(TwoRooms("random", seed=3), "noise", seed=3),
    "SWMTwoRoom, texture": Distracted(SWMTwoRoom(seed=3), "texture", seed=3),
}
each = pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS.keys())


def parts(state: Any) -> list[Tensor]:
    values = [getattr(state, entry.name) for entry in fields(state)]
    inner = [part for value in values if is_dataclass(value) for part in parts(value)]
    return [value for value in values if isinstance(value, Tensor)] + inner


def same(one: Any, other: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(parts(one), parts(other), strict=True))


def wandered(world: World, ids: Tensor, num_steps: int = 8) -> Any:
    return Roaming()(world, ids, num_steps)  # type: ignore[arg-type]


@each
def test_it_is_a_world_with_pictures_as_it_says(world: World) -> None:
    assert isinstance(world, World)
    start = world.start(torch.arange(7))
    picture = world.render(start)
    assert picture.shape[1:] == world.observation_space.shape
    assert picture.dtype == torch.uint8
    assert world.observation_space.contains(picture[0].numpy())
    for values in world.factors(start).values():
        assert values.shape[0] == 7
        assert values.dtype == torch.float32
        assert bool(values.isfinite().all())


@each
def test_an_episode_does_not_depend_on_who_else_is_in_the_batch(world: World) -> None:
    ids = torch.arange(60)
    whole, few = wandered(world, ids), wandered(world, ids[37:48])
    assert same(select(whole.states, slice(37 * 9, 48 * 9)), few.states)
    assert torch.equal(whole.action[37:48], few.action)
    assert torch.equal(world.render(whole.at(8))[37:48], world.render(few.at(8)))
    for one, other in zip(world.task(ids), world.task(ids[37:48]), strict=True):
        assert same(select(one, slice(37, 48)), other)


@each
def test_a_step_leaves_its_state_as_it_was_and_can_be_done_again(world: World) -> None:
    state = world.start(torch.arange(20))
    kept = [part.clone() for part in parts(state)]
    action = torch.as_tensor(world.action_space.high)[None].expand(20, -1)
    once, picture = world.step(state, action), world.render(state)
    assert all(torch.equal(part, before) for part, before in zip(parts(state), kept, strict=True))
    assert same(once, world.step(state, action))
    assert torch.equal(picture, world.render(state))


@each
def test_tasks_are_solved_at_their_goal_and_nowhere_at_their_start(world: World) -> None:
    start, goal = world.task(torch.arange(300))
    assert bool(world.reached(goal, goal).all())
    assert float(world.distance(goal, goal).abs().max()) < 1e-5
    solved = float(world.reached(start, goal).float().mean())
    inner = world.world if isinstance(world, Distracted) else world
    if isinstance(inner, SWMTwoRoom) and inner.rooms == "any":
        assert 0.0 < solved < 0.15  # as in the reference, where about one in eleven begins solved
    else:
        assert solved == 0.0


@each
def test_other_seeds_make_other_episodes(world: World) -> None:
    ids = torch.arange(20)
    other = replace(world, seed=4)  # type: ignore[type-var]
    assert not torch.equal(world.render(world.start(ids)), other.render(other.start(ids)))
    assert not torch.equal(wandered(world, ids).action, wandered(other, ids).action)


@pytest.mark.parametrize(
    "world", [world for world in WORLDS.values() if not isinstance(getattr(world, "world", world), TwoRooms)], ids=repr
)
def test_actions_beyond_the_space_are_those_at_its_edge(world: World) -> None:  # but TwoRooms', as published, takes any
    state = world.start(torch.arange(50))
    high = torch.as_tensor(world.action_space.high)[None].expand(50, -1)
    assert same(world.step(state, 9.0 * high), world.step(state, high))


def test_roaming_actions_are_as_persistent_and_as_wide_as_asked() -> None:
    world, ids = BouncingBalls(), torch.arange(2000)
    for persistence in (0.0, 0.9):
        action = Roaming(persistence, spread=0.2).actions(world, ids, 12)
        assert float(action.std()) == pytest.approx(0.2, rel=0.03)
        pairs = torch.stack((action[:, 7].flatten(), action[:, 8].flatten()))
        assert float(torch.corrcoef(pairs)[0, 1]) == pytest.approx(persistence, abs=0.05)
    action = Roaming(spread=3.0).actions(world, ids, 12)
    assert float(action.abs().max()) == 1.0
    box = Roaming(0.0, 5.0).actions(TwoRooms(), ids, 3)
    assert float(box.max()) == pytest.approx(float(TwoRooms().action_space.high[0]))


def test_settings_that_make_no_sense_are_refused() -> None:
    for make, says in (
        (lambda: SWMTwoRoom("both"), "any or opposite, not 'both'"),
        (lambda: PointMaze2D("test"), "train or held-out, not 'test'"),
        (lambda: PointMaze2D(size=12), "needs at least 74 pixels, got 64"),
        (lambda: PointMaze2D(path_lengths=(5, 4)), "got \\(5, 4\\)"),
        (lambda: PointMaze2D(damping=0.0), "got 0.0"),
        (lambda: PushDisc(beside=1.5), "between 0 and 1, got 1.5"),
        (lambda: Reacher2D("position"), "velocity or torque, not 'position'"),
        (lambda: Reacher2D(near=1.0), "got 1.0"),
        (lambda: BouncingBalls(7), "1 to 6 balls, got 7"),
        (lambda: Distracted(TwoRooms(), "film"), "noise or texture, not 'film'"),
        (lambda: Distracted(TwoRooms(), strength=0.0), "got 0.0"),
        (lambda: Roaming(persistence=1.0), "below 1, got 1.0"),
    ):
        with pytest.raises(UserError, match=says):
            make()


def test_unbounded_actions_are_not_roamed_through() -> None:
    import gymnasium

    class Unbounded(BouncingBalls):
        action_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))  # type: ignore[assignment]

    with pytest.raises(UserError, match="needs bounded actions"):
        Roaming()(Unbounded(), torch.arange(2), 3)
