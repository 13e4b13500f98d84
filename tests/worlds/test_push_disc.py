"""PushDisc: the laws of slow pushing, no overlap after any step, poses compared with their angle, tasks never solved."""

import math

import pytest
import torch
from torch import Tensor

from jepakit.worlds import PushDisc, PushDiscState, Roaming
from jepakit.worlds.pushing import AGENT_RADIUS, ALLOWED, BARS, HALF_WIDTH, LEVER, REACH, Contact

WORLD = PushDisc()
TOUCH = AGENT_RADIUS + HALF_WIDTH


def posed(agent: tuple[float, float], place: tuple[float, float] = (32, 32), angle: float = 0.0) -> PushDiscState:
    return PushDiscState(*(torch.tensor([v], dtype=torch.float32) for v in (agent, place)), torch.tensor([angle]))


def gap(state: PushDiscState) -> Tensor:
    return Contact.between(state.agent, state.object, state.angle).gap


def shape() -> Tensor:
    """Return a grid of points that are in the T, from its middle."""
    axis = torch.linspace(-14, 14, 561)
    points = torch.cartesian_prod(axis, axis)
    far = Contact.between(points, torch.zeros_like(points), torch.zeros(len(points))).gap + AGENT_RADIUS
    return points[far < 0]


def test_the_constants_are_those_of_the_shape() -> None:
    points = shape()
    assert float(points.mean(0).abs().max()) < 0.05
    assert float(points.norm(dim=1).mean()) == pytest.approx(LEVER, rel=0.01)
    assert float(points.norm(dim=1).max()) == pytest.approx(REACH, abs=0.05)


@pytest.mark.parametrize(
    ("agent", "normal", "expected"),
    [
        ((32, 32 + 8.9 + HALF_WIDTH + 5), (0, 1), 5 - AGENT_RADIUS),  # below the stem
        ((32 + 3, 32 - 3.1 - HALF_WIDTH - 4), (0, -1), 4 - AGENT_RADIUS),  # above the crossbar
        ((32 + 7.5 + 6, 32 - 3.1 - 8), (0.6, -0.8), 10 - TOUCH),  # beyond its end
        ((32 - 6, 32 + 4), (-1, 0), 6 - TOUCH),  # beside the stem
    ],
)
def test_the_nearest_point_of_the_t(agent: tuple[float, float], normal: tuple[float, float], expected: float) -> None:
    contact = Contact.between(torch.tensor([agent], dtype=torch.float32), torch.tensor([[32.0, 32.0]]), torch.zeros(1))
    assert float(contact.gap) == pytest.approx(expected, abs=1e-4)
    assert contact.normal[0].tolist() == pytest.approx(normal, abs=1e-5)


def test_what_is_not_touched_does_not_move() -> None:
    state = WORLD.step(posed((10, 10)), torch.tensor([[1.0, 0.5]]))
    assert state.agent[0].tolist() == pytest.approx([13.0, 11.5])
    assert torch.equal(state.object, torch.tensor([[32.0, 32.0]]))
    assert float(state.angle) == 0.0


def test_a_push_through_the_middle_shifts_without_turning() -> None:
    state = posed((32, 32 - 3.1 - TOUCH))
    for _ in range(3):
        state = WORLD.step(state, torch.tensor([[0.0, 1.0]]))
    assert state.object[0].tolist() == pytest.approx([32.0, 41.0], abs=1e-3)
    assert float(state.angle) == pytest.approx(0.0, abs=1e-4)


def test_a_push_beside_the_middle_turns_as_much_as_the_lever_says() -> None:
    arm, size = 5.0, 0.01  # a small push down on the right half of the crossbar
    state = WORLD.step(posed((32 + arm, 32 - 3.1 - TOUCH)), torch.tensor([[0.0, size / 3.0]]))
    share = 1.0 / (1.0 + (arm / LEVER) ** 2)
    assert float(state.object[0, 1] - 32) == pytest.approx(share * size, rel=0.02)
    assert float(state.angle) == pytest.approx(share * size * arm / LEVER**2, rel=0.02)


def test_a_mirrored_push_does_the_mirrored() -> None:
    right, left = posed((40, 20)), posed((24, 20))
    for _ in range(8):
        right = WORLD.step(right, torch.tensor([[-0.2, 1.0]]))
        left = WORLD.step(left, torch.tensor([[0.2, 1.0]]))
    assert float(right.angle) > 0.2
    assert float(left.angle) == pytest.approx(-float(right.angle), abs=1e-4)
    assert float(left.object[0, 0]) == pytest.approx(64 - float(right.object[0, 0]), abs=1e-3)


def test_a_turned_world_goes_on_turned() -> None:
    quarter, state = math.pi / 2, posed((40, 20))
    turned = posed((64 - 20, 40), angle=quarter)  # (x, y) -> (64 - y, x)
    for _ in range(8):
        state = WORLD.step(state, torch.tensor([[-0.3, 1.0]]))
        turned = WORLD.step(turned, torch.tensor([[-1.0, -0.3]]))
    x, y = state.object[0].tolist()
    assert turned.object[0].tolist() == pytest.approx([64 - y, x], abs=1e-2)
    assert float(turned.angle) == pytest.approx(float(state.angle) + quarter, abs=1e-3)


def test_nothing_overlaps_or_leaves_after_any_step() -> None:
    state, generator = WORLD.start(torch.arange(1000)), torch.Generator().manual_seed(0)
    moved, ends = torch.zeros(1000), BARS.flatten(0, 1)
    for _ in range(35):
        before = state
        to_object = 0.1 * (state.object - state.agent)  # push hard, into the borders too
        state = WORLD.step(state, to_object + torch.randn(1000, 2, generator=generator))
        assert float(gap(state).min()) >= -ALLOWED - 1e-4
        assert bool(((state.agent >= AGENT_RADIUS) & (state.agent <= 64 - AGENT_RADIUS)).all())
        cos, sin = state.angle.cos()[:, None], state.angle.sin()[:, None]
        x = state.object[:, :1] + cos * ends[:, 0] - sin * ends[:, 1]
        y = state.object[:, 1:] + sin * ends[:, 0] + cos * ends[:, 1]
        for value in (x, y):
            assert float(value.min()) >= HALF_WIDTH - 1e-3
            assert float(value.max()) <= 64 - HALF_WIDTH + 1e-3
        assert float((state.agent - before.agent).norm(dim=1).max()) < 3.0 * 2**0.5 + 2.0
        moved += (state.object - before.object).norm(dim=1)
    assert float((moved > 10.0).float().mean()) > 0.7


def test_a_disc_never_passes_through_the_t() -> None:
    start = posed((32, 20))
    state = start
    for _ in range(20):
        state = WORLD.step(state, torch.tensor([[0.0, 1.0]]))
    assert float(state.agent[0, 1]) < float(state.object[0, 1])
    assert float(state.object[0, 1]) == pytest.approx(64 - HALF_WIDTH - 8.9, abs=0.05)  # the stem at the border


def test_starts_are_free_and_often_close() -> None:
    state = WORLD.start(torch.arange(3000))
    far = gap(state)
    assert float(far.min()) >= -1e-3
    assert float((far < 4.0).float().mean()) == pytest.approx(0.5 + 0.5 * 0.2, abs=0.08)
    assert float((gap(PushDisc(beside=0.0).start(torch.arange(3000))) < 1.0).float().mean()) == 0.0
    made = Roaming()(WORLD, torch.arange(300), 40)
    shifted = made.of(made.states.object).diff(dim=1).norm(dim=-1).sum(1)
    assert float((shifted > 1.0).float().mean()) > 0.35


def test_tasks_are_8_to_20_pixels_from_their_goal_in_any_direction() -> None:
    start, goal = WORLD.task(torch.arange(4000))
    offset = goal.object - start.object
    far = offset.norm(dim=1)
    assert 8.0 - 1e-3 <= float(far.min()) < 8.2
    assert 19.8 < float(far.max()) <= 20.0 + 1e-3
    assert float(offset.mean(0).abs().max()) < 0.6
    for state in (start, goal):
        assert float(gap(state).min()) >= 1.0 - 1e-3
        assert bool(((state.object - 32).abs() <= 32 - REACH - 0.4).all())
        assert float(state.angle.std()) == pytest.approx(2 * math.pi / 12**0.5, rel=0.05)


@pytest.mark.parametrize(
    ("place", "angle", "reached"),
    [
        ((32, 32), 0.0, True),
        ((34.4, 32), 0.34, True),
        ((34.6, 32), 0.0, False),
        ((32, 32), 0.36, False),
        ((32, 32), 2 * math.pi - 0.3, True),  # a turn is none
        ((32, 32), math.pi, False),
    ],
)
def test_success_asks_for_place_and_angle(place: tuple[float, float], angle: float, reached: bool) -> None:
    state, goal = posed((5, 5), place, angle), posed((60, 60))
    assert bool(WORLD.reached(state, goal)) == reached
    turn = abs(math.remainder(angle, 2 * math.pi))
    assert float(WORLD.distance(state, goal)) == pytest.approx(
        math.hypot(place[0] - 32, turn * 2.5 / (math.pi / 9)), abs=1e-3
    )


def test_the_picture_is_the_shape_and_the_disc_where_they_are() -> None:
    state = posed((12, 50), (36.3, 30.8), 0.7)
    picture = WORLD.render(state)[0].float()
    axis = torch.arange(64) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack((x, y), dim=-1).view(-1, 2)
    whole = Contact.between(points, state.object.expand(4096, 2), state.angle.expand(4096)).gap + AGENT_RADIUS
    red, disc = picture[0].view(-1) == 230, picture[2].view(-1) == 255
    assert bool(red[whole < -0.6].all())
    assert not bool(red[whole > 0.6].any())
    far = (points - state.agent).norm(dim=1)
    assert bool(disc[far < 2.4].all())
    assert not bool(disc[far > 3.6].any())
    assert not bool(picture.sum(0).view(-1)[(whole > 0.8) & (far > 3.8)].any())
