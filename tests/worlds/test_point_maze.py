"""PointMaze2D: mazes that are mazes and split by what they are, walls that hold at any speed, tasks as far as asked."""

import pytest
import torch

from jepakit.types import UserError
from jepakit.worlds import PointMaze2D, PointMazeState
from jepakit.worlds.mazes import Mazes, draw_mazes, is_held_out, measured_ways
from jepakit.worlds.point_maze import MARGIN

WORLD = PointMaze2D(num_layouts=20)
MAZES = WORLD.mazes(torch.device("cpu"))
RIGHT, LEFT, DOWN = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 0.0]]), torch.tensor([[0.0, 1.0]])


def contents(mazes: Mazes) -> list[bytes]:
    opened = torch.cat((~mazes.closed[:, 1, :, :-1].flatten(1), ~mazes.closed[:, 3, :-1].flatten(1)), dim=1)
    return [bytes(row.byte().tolist()) for row in opened]


def one(x: float, y: float, layout: int = 0) -> PointMazeState:
    place = torch.tensor([[x, y]])
    return PointMazeState(place, torch.zeros(1, 2), torch.tensor([layout]))


@pytest.mark.parametrize("loops", [0.0, 0.3])
def test_every_cell_can_be_reached_and_a_maze_without_loops_has_one_way(loops: float) -> None:
    mazes = draw_mazes(5, loops, 30, 0)
    assert bool((mazes.ways >= 0).all())
    assert int(mazes.ways.max()) < 25
    num_open = torch.tensor([sum(content) for content in contents(mazes)])
    if loops:
        assert float(num_open.float().mean()) == pytest.approx(24 + 0.3 * 16, abs=1.0)
    else:
        assert num_open.tolist() == [24] * 60
    assert bool(mazes.closed[:, 0, :, 0].all())
    assert torch.equal(mazes.closed[:, 0, :, 1:], mazes.closed[:, 1, :, :-1])
    assert torch.equal(mazes.closed[:, 2, 1:], mazes.closed[:, 3, :-1])


def test_ways_are_those_of_a_search_by_breadth() -> None:
    mazes = draw_mazes(4, 0.2, 3, 1)
    for maze in range(6):
        for begin in range(16):
            far, edge = {begin: 0}, [begin]
            while edge:
                cell = edge.pop(0)
                for side, step in enumerate((-1, 1, -4, 4)):
                    if not mazes.closed[maze, side, cell // 4, cell % 4] and cell + step not in far:
                        far[cell + step] = far[cell] + 1
                        edge.append(cell + step)
            assert mazes.ways[maze, begin].tolist() == [far[cell] for cell in range(16)]
    assert torch.equal(measured_ways(mazes.closed), mazes.ways)


def test_no_maze_is_in_both_splits_whatever_the_seed() -> None:
    train, held_out = set[bytes](), set[bytes]()
    for seed, loops in ((0, 0.0), (1, 0.0), (2, 0.5)):
        mazes = contents(draw_mazes(3, loops, 50, seed))
        assert len(set(mazes)) == 100
        train |= set(mazes[:50])
        held_out |= set(mazes[50:])
    assert len(train) < 150  # so small a grid has few mazes: seeds do share them, the splits never
    assert not train & held_out
    assert not any(is_held_out(maze) for maze in train)
    assert all(is_held_out(maze) for maze in held_out)


def test_more_layouts_begin_with_the_same_ones() -> None:
    few, many = draw_mazes(6, 0.1, 5, 0).closed, draw_mazes(6, 0.1, 30, 0).closed
    assert torch.equal(few[:5], many[:5])
    assert torch.equal(few[5:], many[30:35])


def test_too_many_layouts_of_a_small_grid_are_refused() -> None:
    with pytest.raises(UserError, match="2 x 2 cells have no 6 different mazes"):
        PointMaze2D(size=2, num_layouts=6).task(torch.arange(1))


def test_splits_draw_all_their_layouts_and_no_other() -> None:
    ids = torch.arange(2000)
    assert torch.equal(PointMaze2D(num_layouts=20).layouts(ids).unique(), torch.arange(20))
    assert torch.equal(PointMaze2D("held-out", num_layouts=20).layouts(ids).unique(), torch.arange(20, 40))


def test_in_the_open_a_force_is_worth_what_it_says() -> None:
    world = PointMaze2D(num_layouts=20, force=0.01)
    state = world.step(one(2.5, 3.5), torch.tensor([[0.5, -1.0]]))
    assert torch.allclose(state.velocity, torch.tensor([[0.005, -0.01]]))
    again = world.step(state, torch.zeros(1, 2))
    assert torch.allclose(again.velocity, 0.8 * state.velocity)
    assert torch.allclose(again.position, torch.tensor([[2.5, 3.5]]) + 1.8 * state.velocity)


def test_a_ball_stops_at_a_closed_side_and_passes_an_open_one() -> None:
    layout, row, column = torch.cartesian_prod(torch.arange(20), torch.arange(6), torch.arange(6)).unbind(1)
    place = torch.stack((column, row), dim=1) + 0.5
    state = PointMazeState(place, torch.zeros(720, 2), layout)
    for _ in range(6):
        state = WORLD.step(state, RIGHT.expand(720, 2))
    is_closed = MAZES.closed[layout, 1, row, column]
    x, y = state.position.unbind(1)
    assert torch.allclose(x[is_closed], column[is_closed] + 1 - MARGIN)
    assert float(state.velocity[is_closed].abs().max()) == 0.0
    assert bool((x > column + 1)[~is_closed].all())
    assert torch.equal(y, place[:, 1])


def test_a_ball_slides_along_a_wall_into_the_next_passage() -> None:
    closed = MAZES.closed
    layout, row, column = next(
        (layout, row, column)
        for layout, row, column in torch.nonzero(closed[:, 3, :, :-1] & ~closed[:, 1, :, :-1]).tolist()
    )
    state = one(column + 0.5, row + 0.5, layout)
    for _ in range(12):
        state = WORLD.step(state, DOWN + 0.5 * RIGHT)
    assert float(state.position[0, 0]) > column + 1


@pytest.mark.parametrize("speed", [0.3, 5.0, 300.0])
def test_walls_hold_at_any_speed(speed: float) -> None:
    generator = torch.Generator().manual_seed(0)
    state = WORLD.start(torch.arange(500))
    for _ in range(25):
        before = state
        thrown = state.at(state.position, speed * torch.randn(500, 2, generator=generator))
        state = WORLD.step(thrown, 2.0 * torch.rand(500, 2, generator=generator) - 1.0)
        inside = state.position - state.position.floor()
        is_between = (inside < MARGIN - 2e-4) | (inside > 1.0 - MARGIN + 2e-4)
        assert not bool(is_between.all(1).any())  # never in a post
        cell = state.position.floor().long()
        for axis, (low, high) in enumerate(((0, 1), (2, 3))):
            for side, is_near in (
                (low, inside[:, axis] < MARGIN - 2e-4),
                (high, inside[:, axis] > 1.0 - MARGIN + 2e-4),
            ):
                assert not bool((MAZES.closed[state.layout, side, cell[:, 1], cell[:, 0]] & is_near).any())
        if speed < 1.0:
            assert int(WORLD.way(before, state).max()) <= 2  # the cells between are walked through, not jumped over


def test_tasks_are_as_far_as_asked_and_end_in_free_space() -> None:
    world = PointMaze2D("held-out", num_layouts=20, path_lengths=(4, 7))
    start, goal = world.task(torch.arange(3000))
    ways = world.way(start, goal)
    assert torch.equal(ways.unique(), torch.arange(4, 8))
    assert float(start.velocity.abs().max()) == 0.0
    for state in (start, goal):
        inside = state.position - state.position.floor()
        assert bool(((inside >= MARGIN) & (inside <= 1 - MARGIN)).all())
    pair = start.position.floor() @ torch.tensor([1.0, 6.0]) + 36 * (goal.position.floor() @ torch.tensor([1.0, 6.0]))
    assert len(pair[start.layout == 25].unique()) > 100  # of 150 tasks: pairs are drawn from all there are


def test_path_lengths_that_a_layout_does_not_have_are_refused() -> None:
    with pytest.raises(UserError, match="no two cells 40 to 50 steps apart, its longest way is"):
        PointMaze2D(path_lengths=(40, 50)).task(torch.arange(2))


def test_a_goal_across_a_wall_is_not_reached() -> None:
    layout, row, column = torch.nonzero(MAZES.closed[:, 1, :, :-1])[0].tolist()
    left, right = one(column + 1 - MARGIN, row + 0.5, layout), one(column + 1 + MARGIN, row + 0.5, layout)
    assert not bool(WORLD.reached(left, right))
    assert bool(WORLD.reached(left, one(column + 1 - MARGIN, row + 0.7, layout)))


def test_who_follows_the_ways_arrives() -> None:
    state, goal = WORLD.task(torch.arange(200))
    arrived = torch.zeros(200, dtype=torch.bool)
    steps = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
    for _ in range(110):
        cell = state.position.floor().long()
        closed = MAZES.closed[state.layout, :, cell[:, 1], cell[:, 0]]
        beyond = torch.stack([WORLD.way(state.at(state.position.clamp(0.01, 5.99) + s), goal) for s in steps], dim=1)
        best = torch.where(closed, 1000, beyond).argmin(1)
        target = torch.where((WORLD.way(state, goal) == 0)[:, None], goal.position, cell + 0.5 + steps[best])
        state = WORLD.step(state, 2.0 * (target - state.position) - 4.0 * state.velocity)
        arrived |= WORLD.reached(state, goal)
    assert bool(arrived.all())


def test_the_picture_shows_the_ball_and_the_closed_walls() -> None:
    world = PointMaze2D(num_layouts=20, image_size=122)  # 20 pixels a cell
    state = world.task(torch.arange(30))[0]
    pictures = world.render(state).float()
    for index in range(30):
        red, closed = pictures[index], MAZES.closed[state.layout[index]]
        for row in range(6):
            for column in range(6):
                for side, (dx, dy) in enumerate(((0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1))):
                    x, y = round(0.5 + 20 * (column + dx)), round(0.5 + 20 * (row + dy))
                    assert (red[2, y, x] > 80) == bool(closed[side, row, column])
        ball = (red[0] - red[2]).clamp_min(0.0)
        pixels = torch.arange(122.0)
        x, y = (ball.sum(0) * pixels).sum() / ball.sum(), (ball.sum(1) * pixels).sum() / ball.sum()
        place = 0.5 + 20 * state.position[index]
        assert float((torch.stack((x, y)) - place).abs().max()) < 0.1
        assert float(ball.sum() / ball.max()) == pytest.approx(torch.pi * 4.0**2, rel=0.05)


def test_a_trail_shows_ball_walls_and_where_the_ball_came_from_in_a_channel_each() -> None:
    world = PointMaze2D(num_layouts=20, trail=True)
    state = one(2.5, 1.5).at(torch.tensor([[2.5, 1.5]]), torch.tensor([[0.2, 0.0]]))
    picture, plain = world.render(state)[0].float(), WORLD.render(state)[0].float()

    def middle(channel: torch.Tensor) -> torch.Tensor:
        y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
        return torch.stack(((x * channel).sum(), (y * channel).sum())) / channel.sum()

    scale = (64 - 2) / world.size
    moved = middle(picture[0]) - middle(picture[2])
    torch.testing.assert_close(moved, torch.tensor([0.2 * scale, 0.0]), atol=0.1, rtol=0.0)
    torch.testing.assert_close(middle(picture[0]) + 0.5 - 1.0, scale * state.position[0], atol=0.1, rtol=0.0)
    no_ball = plain[0] == plain[1]  # gray
    assert torch.equal(picture[1][no_ball], plain[1][no_ball])
    still = world.render(state.at(state.position))
    assert torch.equal(still[:, 0], still[:, 2])
