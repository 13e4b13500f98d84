"""TwoRooms behind gymnasium's interface passes gymnasium's own checks and ends where it should."""

import warnings

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from jepakit.types import UserError
from jepakit.worlds import TwoRooms
from jepakit.worlds.face import TwoRoomsEnv


def test_gymnasiums_own_checks_pass() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises other action bounds
        check_env(TwoRoomsEnv(TwoRooms("random")), skip_render_check=True)


def test_an_episode_by_its_number_is_always_the_same() -> None:
    env = TwoRoomsEnv(TwoRooms("random", seed=4))
    first, info = env.reset(options={"episode": 12})
    again, other = env.reset(seed=1, options={"episode": 12})
    assert np.array_equal(first, again)
    assert np.array_equal(info["goal"], other["goal"])
    assert info["distance"] > 5


def test_an_episode_ends_at_the_goal_and_not_before() -> None:
    env = TwoRoomsEnv(TwoRooms("fixed"))
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
    assert picture.shape == (65, 65, 3)
    assert picture[..., 0].max() > 200  # the dot


def test_it_is_cut_off_in_time() -> None:
    env = TwoRoomsEnv(num_steps=2)
    env.reset(seed=0)
    assert not env.step(np.zeros(2, np.float32))[3]
    assert env.step(np.zeros(2, np.float32))[3]


@pytest.mark.parametrize("action", [np.zeros(3), np.array([np.nan, 0.0])])
def test_an_action_of_another_form_is_refused(action: np.ndarray) -> None:
    env = TwoRoomsEnv()
    env.reset(seed=0)
    with pytest.raises(UserError, match="two finite numbers"):
        env.step(action)


def test_a_step_before_the_first_reset_is_refused() -> None:
    with pytest.raises(UserError, match="call reset"):
        TwoRoomsEnv().step(np.zeros(2, np.float32))
