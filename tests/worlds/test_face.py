"""Every world behind gymnasium's interface passes gymnasium's own checks and ends where it should."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from jepakit.types import UserError
from jepakit.worlds import (
    BouncingBalls,
    Distracted,
    PointMaze2D,
    PushDisc,
    Reacher2D,
    SWMTwoRoom,
    TwoRooms,
    World,
)
from jepakit.worlds.face import WorldEnv

WORLDS = (
    TwoRooms("random"),
    SWMTwoRoom(),
    PointMaze2D(num_layouts=5),
    PushDisc(),
    Reacher2D(),
    BouncingBalls(screen_width=16.0),
    Distracted(TwoRooms(), "noise"),
    Distracted(SWMTwoRoom(), "texture"),
)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: type(world).__name__)
def test_gymnasiums_own_checks_pass(world: World) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises other action bounds
        check_env(WorldEnv(world), skip_render_check=True)
    env = WorldEnv(world)
    env.reset(seed=0)
    size = world.observation_space.shape[1]
    assert env.render().shape == (size, 2 * size, 3)


def test_an_episode_by_its_number_is_always_the_same() -> None:
    env = WorldEnv(TwoRooms("random", seed=4))
    first, info = env.reset(options={"episode": 12})
    again, other = env.reset(seed=1, options={"episode": 12})
    assert np.array_equal(first, again)
    assert np.array_equal(info["goal"], other["goal"])
    assert info["distance"] > 5


def test_an_episode_ends_at_the_goal_and_not_before() -> None:
    env = WorldEnv(TwoRooms("fixed"))
    _, info = env.reset(options={"episode": 0})
    door = np.array([32.0, 18.0], np.float32)
    targets, steps = [door, info["goal_position"]], 0
    done = False
    while not done:
        away = targets[0] - info["position"]
        if len(targets) > 1 and np.linalg.norm(away) < 1.0:
            targets.pop(0)
            continue
        _, reward, done, cut_off, info = env.step((away / max(1.0, np.linalg.norm(away) / 2)).astype(np.float32))
        steps += 1
        assert (reward == 0.0) == done == (info["distance"] < 4.5)
        assert not cut_off
    assert steps < 60
    picture = env.render()
    assert picture[:, :65, 0].max() > 200  # the dot, and its goal beside it
    assert picture[:, 65:, 0].max() > 200
    assert np.array_equal(picture[:, 65:, 0], info["goal"][0])


def test_it_is_cut_off_in_time_and_counts_anew_after_a_reset() -> None:
    env = WorldEnv(PushDisc(), num_steps=2)
    for _ in range(2):
        env.reset(seed=0)
        assert not env.step(np.zeros(2, np.float32))[3]
        assert env.step(np.zeros(2, np.float32))[3]


@pytest.mark.parametrize("action", [np.zeros(3), np.array([np.nan, 0.0]), 0.5, "left", None])
def test_an_action_of_another_form_is_refused(action: object) -> None:
    env = WorldEnv(Reacher2D())
    env.reset(seed=0)
    with pytest.raises(UserError, match="An action of Reacher2D is 2 finite numbers, got"):
        env.step(action)


def test_a_step_before_the_first_reset_is_refused() -> None:
    with pytest.raises(UserError, match="call reset"):
        WorldEnv(TwoRooms()).step(np.zeros(2, np.float32))
    with pytest.raises(UserError, match="call reset"):
        WorldEnv(TwoRooms()).render()
