"""Trajectories have the published distributions, pass the door as often as asked, and depend on seed and id alone."""

import math

import pytest
import torch
from scipy import stats

from jepakit.worlds import TwoRooms
from jepakit.worlds.draws import truncated_normal, von_mises
from jepakit.worlds.two_rooms import in_wall
from jepakit.worlds.wandering import Wandering

IDS = torch.arange(4000)
WORLD = TwoRooms("random", seed=0)
MADE = Wandering()(WORLD, IDS, 16)
PLACES = MADE.of(MADE.states.position)


def uniform(num: int) -> torch.Tensor:
    return torch.rand(num, generator=torch.Generator().manual_seed(0))


def test_truncated_normal_is_scipys() -> None:
    drawn = truncated_normal(uniform(20000), 1.0, 0.4, 0.2, 1.8)
    assert stats.kstest(drawn, stats.truncnorm(-2, 2, loc=1.0, scale=0.4).cdf).pvalue > 0.01


@pytest.mark.parametrize("concentration", [1e-6, 5.0])
def test_von_mises_is_scipys(concentration: float) -> None:
    drawn = von_mises(uniform(20000), concentration)
    assert stats.kstest(drawn, stats.vonmises(concentration).cdf).pvalue > 0.01


def test_steps_are_as_long_and_turn_as_published() -> None:
    length = MADE.action.norm(dim=-1)
    assert stats.kstest(length.flatten()[:20000], stats.truncnorm(-2, 2, loc=1.0, scale=0.4).cdf).pvalue > 0.01
    heading = torch.atan2(MADE.action[..., 1], MADE.action[..., 0])
    turn = torch.remainder(heading.diff(dim=1) + math.pi, 2 * math.pi) - math.pi
    assert stats.kstest(turn[:, 2], stats.vonmises(5.0).cdf).pvalue > 0.01


def test_without_doors_headings_are_uniform() -> None:
    action = Wandering(through_door=0.0)(WORLD, IDS, 1).action[:, 0]
    heading = torch.atan2(action[:, 1], action[:, 0])
    assert stats.kstest(heading, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > 0.01


def test_as_many_pass_the_door_as_asked() -> None:
    for share in (0.0, 0.35, 1.0):
        made = Wandering(through_door=share)(WORLD, IDS, 32)
        side = torch.sign(made.of(made.states.position)[..., 0] - made.at(0).wall_x[:, None])
        passed = (side.amin(1) < 0) & (side.amax(1) > 0)
        assert float(passed.float().mean()) == pytest.approx(0.9 * share, abs=0.09)
    to_the_left = (side[:, 0] > 0).float().mean()
    assert float(to_the_left) == pytest.approx(0.5, abs=0.05)


def test_places_follow_from_start_and_actions() -> None:
    assert not bool(in_wall(MADE.at(0)).any())
    state = MADE.at(0)
    for step in range(16):
        state = WORLD.step(state, MADE.action[:, step])
        assert torch.equal(state.position, PLACES[:, step + 1])
    free = (PLACES.diff(dim=1) - MADE.action).norm(dim=-1) < 1e-4
    assert 0.85 < float(free.float().mean()) < 0.95  # the others bump into a wall


def test_a_trajectory_depends_on_its_id_alone() -> None:
    few = Wandering()(WORLD, IDS[100:110], 16)
    assert torch.equal(few.of(few.states.position), PLACES[100:110])
    pictures = few.render(WORLD)
    assert pictures.shape == (10, 17, 2, 65, 65)
    assert torch.equal(pictures[3, 5], WORLD.render(few.at(5))[3])
