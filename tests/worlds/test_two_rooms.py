"""TwoRooms: the published physics and pictures, walls that hold, and bumps that depend on seed, episode and step alone."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepakit.types import UserError
from jepakit.worlds import TwoRooms, TwoRoomsState
from jepakit.worlds.two_rooms import ARENA, CLEARANCE, DOOR_Y, WALL_X, in_wall

FIXED = TwoRooms("fixed")


def room(x: float, y: float, wall_x: int = 32, door_y: int = 18) -> TwoRoomsState:
    one = torch.ones(1, dtype=torch.long)
    return TwoRoomsState(torch.tensor([[x, y]], dtype=torch.float32), wall_x * one, door_y * one, 0 * one)


def moved(x: float, y: float, dx: float, dy: float) -> tuple[float, float]:
    position = FIXED.step(room(x, y), torch.tensor([[dx, dy]], dtype=torch.float32)).position[0]
    return float(position[0]), float(position[1])


def test_in_the_open_an_action_is_a_displacement() -> None:
    assert moved(10, 20, 2, -3) == (12, 17)
    assert moved(30, 18, 4, 0) == (34, 18)  # through the door


@pytest.mark.parametrize(
    ("start", "action", "axis", "wall", "inward"),
    [
        ((5, 30), (-3, 0), 0, 4, 1),
        ((59, 30), (3, 0), 0, 60, -1),
        ((10, 5), (0, -3), 1, 4, 1),
        ((10, 59), (0, 3), 1, 60, -1),
        ((30, 40), (2, 0), 0, 31, -1),  # the wall from the left
        ((34, 40), (-2, 0), 0, 33, 1),
        ((32, 15), (0, -2), 1, 14, 1),  # in the door, against its posts
        ((32, 21), (0, 2), 1, 22, -1),
    ],
)
def test_a_bump_leaves_the_dot_at_least_a_little_inside(
    start: tuple[float, float], action: tuple[float, float], axis: int, wall: float, inward: float
) -> None:
    away = inward * (moved(*start, *action)[axis] - wall)
    assert CLEARANCE - 1e-4 <= away < 4 * 0.5


def test_bumps_scatter_as_half_a_normal_distribution_of_half_a_pixel() -> None:
    num = 20000
    position = torch.tensor([[5.0, 40.0]]).expand(num, 2)
    rooms = torch.ones(num, dtype=torch.long)
    after = FIXED.step(
        TwoRoomsState(position, 32 * rooms, 18 * rooms, torch.arange(num)), torch.tensor([-3.0, 0.0]).expand(num, 2)
    )
    away, along = (after.position - torch.tensor([4.0, 40.0])).unbind(1)
    assert float(along.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(along.std()) == pytest.approx(0.5, rel=0.03)
    assert float((away > 0.5).float().mean()) == pytest.approx(math.erfc(1 / math.sqrt(2)), abs=0.01)


def test_a_way_that_only_begins_in_the_doors_rows_ends_at_the_wall() -> None:
    x, _ = moved(30, 21.5, 2, 2)  # crosses column 31 in row 22.5, half a pixel beside the door
    assert x <= 31 - CLEARANCE + 1e-4


def test_of_two_walls_the_first_on_the_way_is_met() -> None:
    x, y = moved(6, 4.5, -3, -1.5)  # row 4 after a third of the way, column 4 after two thirds
    assert abs(x - 5) < 4 * 0.5
    assert y >= 4 + CLEARANCE - 1e-4


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), size=st.floats(0.2, 8.0))
def test_walls_hold(seed: int, size: float) -> None:
    world, generator = TwoRooms("random", seed), torch.Generator().manual_seed(seed)
    state = world.start(torch.arange(300))
    assert not bool(in_wall(state).any())
    for _ in range(12):
        action = size * torch.randn(300, 2, generator=generator)
        before, state = state, world.step(state, action)
        assert not bool(in_wall(state).any())
        assert bool(((state.position >= ARENA[0]) & (state.position <= ARENA[1])).all())
        crossed = (before.position[:, 0] - state.wall_x) * (state.position[:, 0] - state.wall_x) < 0
        share = (state.wall_x - before.position[:, 0]) / (state.position - before.position)[:, 0]
        row = before.position[:, 1] + share * (state.position - before.position)[:, 1]
        assert bool(((row - state.door_y).abs() <= 4 + 4 * 0.5)[crossed].all())  # a bounce may turn within the door


def test_an_episode_does_not_depend_on_who_else_is_in_the_batch() -> None:
    world, ids = TwoRooms("random", 3), torch.arange(50)
    action = 4 * torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    whole, part = world.start(ids), world.start(ids[20:30])
    for _ in range(5):
        whole, part = world.step(whole, action), world.step(part, action[20:30])
    assert torch.equal(whole.position[20:30], part.position)
    assert torch.equal(world.render(whole)[20:30], world.render(part))


def test_a_state_set_again_goes_on_the_same() -> None:
    world, action = TwoRooms("random", 1), torch.tensor([[-3.0, 1.0]])
    state = world.start(torch.tensor([7])).at(torch.tensor([[5.0, 30.0]]))
    once = world.step(world.step(state, action), action)
    kept = TwoRoomsState(state.position.clone(), state.wall_x, state.door_y, state.id, state.time)
    assert torch.equal(world.step(world.step(kept, action), action).position, once.position)
    other = TwoRooms("random", 2).step(state, action)  # the seed is that of the bumps too
    assert not torch.equal(other.position, world.step(state, action).position)


def test_layouts_are_uniform_over_all_1125() -> None:
    wall_x, door_y = TwoRooms("random").layouts(torch.arange(40000))
    for values, (low, high) in ((wall_x, WALL_X), (door_y, DOOR_Y)):
        counts = torch.bincount(values - low, minlength=high - low + 1)
        assert len(counts) == high - low + 1
        expected = 40000 / len(counts)
        assert float(((counts - expected) ** 2 / expected).sum()) < 2 * len(counts)
    assert {float(value[0]) for value in FIXED.layouts(torch.arange(3))} == {32, 18}


def test_tasks_lie_in_opposite_rooms_away_from_walls() -> None:
    world = TwoRooms("random")
    start, goal = world.task(torch.arange(4000))
    sides = [torch.sign(state.position[:, 0] - state.wall_x) for state in (start, goal)]
    assert bool((sides[0] == -sides[1]).all())
    assert 0.46 < float((sides[0] > 0).float().mean()) < 0.54
    for state in (start, goal):
        assert bool(((state.position - 32).abs() <= 28 - 2.6 + 1e-4).all())
        assert bool(((state.position[:, 0] - state.wall_x).abs() >= 1 + 2.6 - 1e-4).all())
        assert float(state.position[:, 1].std()) > 14  # rows are drawn over the whole arena


def test_a_picture_is_the_published_formula() -> None:
    world = TwoRooms("random", 5)
    state = world.start(torch.arange(64))
    state.wall_x[0], state.door_y[0] = 12, 6  # set by hand, outside the layouts that are drawn
    picture = world.render(state)
    pixels = torch.arange(65.0)
    for index in range(64):
        x, y = state.position[index]
        squared = (pixels[None, :] - x) ** 2 + (pixels[:, None] - y) ** 2
        dot = 255 * torch.exp(-squared.double() / (2 * 1.3**2))
        assert float((picture[index, 0] - dot).abs().max()) <= 1.0
        walls = torch.zeros(65, 65, dtype=torch.bool)
        walls[[4, 60]] = walls[:, [4, 60]] = True
        column, row = int(state.wall_x[index]), int(state.door_y[index])
        walls[: row - 4, column - 1 : column + 2] = walls[row + 5 :, column - 1 : column + 2] = True
        assert torch.equal(picture[index, 1], walls.to(torch.uint8) * 255)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(UserError, match="fixed or random, not 'maze'"):
        TwoRooms("maze")


def way(*places: tuple[float, float]) -> float:
    start, goal = (room(*place) for place in places)
    return float(FIXED.way(start, goal))


def test_the_way_is_straight_in_a_room_and_bends_round_the_doors_corners() -> None:
    assert way((10, 10), (20, 10)) == 10
    assert way((10, 50), (30, 50)) == 20
    assert way((30, 18), (40, 18)) == pytest.approx(10)  # straight through the door
    assert way((25, 50), (39, 50)) == pytest.approx(2 * math.hypot(6, 28) + 2, abs=1e-4)  # under both lower corners
    assert way((31, 4), (36, 17)) == pytest.approx(10 + math.hypot(5, 3), abs=1e-4)  # along the wall, one corner
    assert way((31, 4), (33, 50)) == pytest.approx(10 + math.hypot(2, 8) + 28, abs=1e-4)  # from one to the other
    assert way((32, 18), (32, 20)) == 2  # within the door
    assert way((32, 21), (33, 40)) == pytest.approx(math.hypot(1, 1) + 18, abs=1e-4)  # out of it


def test_a_place_inside_the_wall_counts_as_its_nearer_side() -> None:
    assert way((31.4, 50), (10, 50)) == way((31, 50), (10, 50)) == 21
    assert way((32.6, 50), (40, 50)) == way((33, 50), (40, 50)) == 7


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_no_way_through_the_door_is_shorter(seed: int) -> None:
    world = TwoRooms("random", seed=seed)
    one, other = world.start(torch.arange(20)), world.start(torch.arange(20, 40))
    goal = one.at(other.position)
    goal = goal.at(torch.where(in_wall(goal)[:, None], goal.position + 3, goal.position))
    found, back = world.way(one, goal), world.way(goal, one)
    torch.testing.assert_close(found, back)
    assert bool((found >= world.distance(one, goal) - 1e-3).all())
    rows = torch.linspace(-4, 4, 81)
    left, right = one.wall_x - 1.0, one.wall_x + 1.0
    for index in range(20):
        places = torch.stack((one.position[index], goal.position[index]))
        near, far = places[places[:, 0].argsort()]
        if near[0] < left[index] and far[0] > right[index]:
            first = torch.stack((left[index].expand(81), one.door_y[index] + rows), dim=1)
            last = torch.stack((right[index].expand(81), one.door_y[index] + rows), dim=1)
            tried = (first - near).norm(dim=1)[:, None] + (last - far).norm(dim=1) + torch.cdist(first, last)
            assert float(found[index]) == pytest.approx(float(tried.min()), abs=0.02)
            assert float(found[index]) <= float(tried.min()) + 1e-3
