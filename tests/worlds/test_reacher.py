"""Reacher2D: angles without ends, closed forms of both controls, the arm drawn where its joints are."""

import math

import pytest
import torch

from jepakit.worlds import Reacher2D, ReacherState
from jepakit.worlds.angles import turned, wrapped
from jepakit.worlds.reacher import LOWER, UPPER, joints

WORLD = Reacher2D()


def posture(shoulder: float, elbow: float) -> ReacherState:
    return ReacherState(torch.tensor([[shoulder, elbow]]), torch.zeros(1, 2))


@pytest.mark.parametrize("turns", [-3, 0, 2])
def test_wrapping_takes_off_whole_turns(turns: int) -> None:
    angle = torch.linspace(-3.1, 3.1, 50, dtype=torch.float64)
    assert torch.allclose(wrapped(angle + 2 * math.pi * turns), angle)
    assert float(wrapped(torch.tensor([math.pi], dtype=torch.float64))) == -math.pi


def test_turning_goes_from_x_towards_y() -> None:
    ahead = turned(torch.tensor([math.pi / 2]), torch.tensor([1.0, 0.0]))
    assert torch.allclose(ahead, torch.tensor([[0.0, 1.0]]), atol=1e-6)


def test_a_posture_is_compared_modulo_a_turn() -> None:
    state, goal = posture(math.pi - 0.03, -math.pi + 0.02), posture(-math.pi + 0.01, math.pi - 0.01)
    assert float(WORLD.distance(state, goal)) == pytest.approx(math.hypot(0.04, 0.03), abs=1e-5)
    assert bool(WORLD.reached(state, goal))
    assert not bool(Reacher2D(near=0.04).reached(state, goal))
    assert float(WORLD.distance(posture(0.0, 0.0), posture(math.pi, math.pi))) == pytest.approx(math.pi * 2**0.5)


def test_velocities_turn_joints_across_the_end_of_the_circle() -> None:
    state = WORLD.step(posture(math.pi - 0.1, -math.pi + 0.1), torch.tensor([[1.0, -0.75]]))
    assert state.angle[0].tolist() == pytest.approx([-math.pi + 0.1, math.pi - 0.05], abs=1e-5)
    state = WORLD.start(torch.arange(100))
    for _ in range(100):
        state = WORLD.step(state, torch.ones(100, 2))
        assert float(state.angle.abs().max()) <= math.pi + 1e-6


def test_torques_lead_to_the_closed_form_of_damped_motion() -> None:
    world, state, torque = Reacher2D("torque"), posture(0.5, -0.5), torch.tensor([[0.4, -1.0]])
    for step in range(1, 40):
        state = world.step(state, torque)
        speed = 0.03 * torque / 0.1 * (1 - 0.9**step)
        assert torch.allclose(state.velocity, speed, atol=1e-6)
    way = 0.03 * torque / 0.1 * (39 - 0.9 * (1 - 0.9**39) / 0.1)
    assert torch.allclose(wrapped(state.angle - torch.tensor([[0.5, -0.5]]) - way), torch.zeros(1, 2), atol=1e-4)


def test_each_joint_of_a_task_has_to_turn_half_a_radian_or_more_either_way() -> None:
    start, goal = WORLD.task(torch.arange(4000))
    turn = wrapped(goal.angle - start.angle)
    assert 0.5 <= float(turn.abs().min()) < 0.51
    assert float(turn.abs().max()) > 3.12
    assert torch.allclose((turn > 0).float().mean(0), torch.tensor(0.5), atol=0.03)
    assert float(start.velocity.abs().max()) == 0.0


def test_the_links_keep_their_lengths() -> None:
    shoulder, elbow, tip = joints(WORLD.start(torch.arange(50)))
    assert torch.allclose((elbow - shoulder).norm(dim=1), torch.tensor(UPPER))
    assert torch.allclose((tip - elbow).norm(dim=1), torch.tensor(LOWER))
    straight = joints(posture(math.pi / 2, 0.0))
    assert straight[2][0].tolist() == pytest.approx([32.0, 32.0 + UPPER + LOWER], abs=1e-4)
    folded = joints(posture(0.0, math.pi / 2))
    assert folded[2][0].tolist() == pytest.approx([32.0 + UPPER, 32.0 + LOWER], abs=1e-4)


@pytest.mark.parametrize("size", [64, 128])
def test_the_picture_shows_the_links_between_the_joints(size: int) -> None:
    world = Reacher2D(image_size=size)
    state = world.start(torch.arange(30))
    pictures, scale = world.render(state), size / 64
    shoulder, elbow, tip = joints(state)
    axis = (torch.arange(size) + 0.5) / scale
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    for index in range(30):
        away = []
        for begin, end in ((shoulder[index], elbow[index]), (elbow[index], tip[index])):
            share = (
                ((x - begin[0]) * (end - begin)[0] + (y - begin[1]) * (end - begin)[1]) / ((end - begin) ** 2).sum()
            ).clamp(0, 1)
            away.append(torch.hypot(x - begin[0] - share * (end - begin)[0], y - begin[1] - share * (end - begin)[1]))
        upper, lower = away
        picture, edge = pictures[index].long(), 0.6 / scale
        assert bool((picture[:, (upper > 2 + edge) & (lower > 2 + edge)] == 0).all())
        assert bool((picture[0][lower < 2 - edge - 1.9 * (upper < 4)] >= 250).all())
        only_upper = (upper < 2 - edge) & (lower > 2 + edge) & (torch.hypot(x - 32, y - 32) > 1.2 + edge)
        assert bool((picture[:, only_upper] == torch.tensor([60, 110, 230])[:, None]).all())
        assert picture[:, int(32 * scale), int(32 * scale)].min() > 250
