"""SWMTwoRoom: the reference's geometry, moves that never cut through a wall, its picture, and its expert."""

import pytest
import torch
from scipy import stats

from jepakit.worlds import SWMTwoRoom, SWMTwoRoomState
from jepakit.worlds.swm_expert import SWMExpert, towards
from jepakit.worlds.swm_two_room import drawn_walls

WORLD = SWMTwoRoom()


def moved(x: float, y: float, right: float, down: float) -> tuple[float, float]:
    state = SWMTwoRoomState(torch.tensor([[x, y]], dtype=torch.float32))
    end = WORLD.step(state, torch.tensor([[right, down]], dtype=torch.float32)).position[0]
    return float(end[0]), float(end[1])


@pytest.mark.parametrize(
    ("start", "action", "end"),
    [
        ((50, 100), (1, -0.5), (55, 97.5)),  # 5 pixels a unit
        ((50, 100), (4, 0), (55, 100)),  # cut to 1
        ((23, 100), (-1, 0), (21, 100)),  # the border, a radius inside
        ((200, 202), (1, 1), (203, 203)),
        ((98, 100), (1, 0.4), (99.5, 102)),  # the wall: half a pixel before, and along it
        ((126, 100), (-1, -0.4), (124.5, 98)),
        ((98, 49), (1, 0), (103, 49)),  # through the door
        ((121, 49), (1, 0), (126, 49)),
        ((112, 63), (0, 1), (112, 64.75)),  # in the door, along its posts
        ((112, 35), (1, -1), (117, 33.25)),
        ((98, 65.5), (1, -0.2), (99.5, 64.5)),  # ends in the door's rows but meets the wall before: row 65.1
        ((98, 63.6), (1, 0.4), (103, 64.75)),  # enters in row 64.4 and then meets the post
    ],
)
def test_moves(start: tuple[float, float], action: tuple[float, float], end: tuple[float, float]) -> None:
    assert moved(*start, *action) == pytest.approx(end, abs=1e-4)


def test_no_walk_ever_cuts_through_the_wall() -> None:
    generator = torch.Generator().manual_seed(0)
    state = WORLD.start(torch.arange(2000))
    crossings = 0
    for _ in range(80):
        before = state.position
        state = WORLD.step(state, 1.5 * torch.randn(2000, 2, generator=generator))
        for share in torch.linspace(0, 1, 9):
            x, y = (before + share * (state.position - before)).unbind(1)
            in_wall = ((x - 112).abs() < 12 - 0.02) & ((y - 49).abs() > 15.75 + 0.02)
            slides = ((before[:, 1] - 49).abs() <= 15.75) ^ ((state.position[:, 1] - 49).abs() <= 15.75)
            assert not bool((in_wall & ~slides).any())
        assert bool(((state.position >= 21) & (state.position <= 203)).all())
        inside = (state.position[:, 0] - 112).abs() < 12
        assert bool(((state.position[:, 1] - 49).abs()[inside] <= 15.75 + 1e-4).all())
        crossings += int(((before[:, 0] < 112) != (state.position[:, 0] < 112)).sum())
    assert crossings > 25


def test_tasks_are_uniform_over_both_rooms_or_in_opposite_ones() -> None:
    for rooms, share in (("any", 0.5), ("opposite", 1.0)):
        start, goal = SWMTwoRoom(rooms).task(torch.arange(4000))
        apart = (start.position[:, 0] < 112) != (goal.position[:, 0] < 112)
        assert float(apart.float().mean()) == pytest.approx(share, abs=0.03)
        for state in (start, goal):
            left = state.position[state.position[:, 0] < 112]
            assert float(left[:, 0].max()) <= 100
            assert stats.kstest(left[:, 0], stats.uniform(21, 79).cdf).pvalue > 0.01
            assert stats.kstest(state.position[:, 1], stats.uniform(21, 182).cdf).pvalue > 0.01


def test_success_is_within_16_pixels() -> None:
    goal = SWMTwoRoomState(torch.tensor([[50.0, 50.0], [50.0, 50.0]]))
    state = SWMTwoRoomState(torch.tensor([[50.0, 65.9], [50.0, 66.0]]))
    assert WORLD.reached(state, goal).tolist() == [True, False]


def test_at_224_pixels_the_picture_is_the_references_formula() -> None:
    state = WORLD.start(torch.arange(6))
    picture = SWMTwoRoom(image_size=224).render(state).double()
    pixels = torch.arange(224.0)
    black = torch.zeros(224, 224, dtype=torch.bool)
    black[10:14] = black[210:214] = black[:, 10:14] = black[:, 210:214] = True
    black[:35, 107:118] = black[64:, 107:118] = True
    for index in range(6):
        x, y = state.position[index]
        dot = torch.exp(-((pixels[None, :] - x) ** 2 + (pixels[:, None] - y) ** 2).double() / (2 * 7.0**2))
        dot = dot / dot.max()
        ground = torch.where(black, 0.0, 255.0).double()
        for channel, colour in enumerate((255.0, 0.0, 0.0)):
            expected = ground + dot * (colour - ground)
            assert float((picture[index, channel] - expected).abs().max()) <= 1.0


def test_a_small_picture_covers_as_much_as_the_large_one() -> None:
    large, small = (drawn_walls(size, torch.device("cpu")).float() for size in (224, 64))
    assert float(small.mean()) == pytest.approx(float(large.mean()), abs=0.6)  # values are rounded down
    assert float(small[:, 30:34].mean()) == pytest.approx(float(large[:, 105:119].mean()), abs=0.6)


def test_a_small_picture_shows_the_dot_at_its_scale() -> None:
    state = WORLD.start(torch.arange(40))
    red = (255 - WORLD.render(state)[:, 1].float()) * (WORLD.render(state)[:, 0] == 255)
    columns = (torch.arange(64) + 0.5) * 3.5 - 0.5
    x = (red.sum(1) * columns).sum(1) / red.sum((1, 2))
    y = (red.sum(2) * columns).sum(1) / red.sum((1, 2))
    free = (state.position - 112).abs().amax(1) < 60  # not over the border
    free &= (state.position[:, 0] - 112).abs() > 40
    assert float((torch.stack((x, y), 1) - state.position)[free].abs().max()) < 1.5


def test_without_noise_the_expert_arrives_through_the_door() -> None:
    world = SWMTwoRoom("opposite")
    made = SWMExpert(noise=0.0, repeat=0.0)(world, torch.arange(300), 150)
    goal = world.task(torch.arange(300))[1]
    assert bool(world.reached(made.at(150), goal).all())


def test_the_experts_noise_and_repetition_are_the_references() -> None:
    ids = torch.arange(3000)
    made = SWMExpert()(WORLD, ids, 6)
    assert float(made.action.abs().max()) <= 1.0
    repeated = (made.action[:, 1:] == made.action[:, :-1]).all(-1) & (made.action[:, 1:].abs() < 1.0).all(-1)
    free = (made.action[:, 1:].abs() < 1.0).all(-1)
    assert float(repeated.sum() / free.sum()) == pytest.approx(0.05, abs=0.02)
    direction = towards(made.at(0), WORLD.task(ids)[1])
    asked = made.action[:, 0]
    cut = stats.norm.cdf((-1 - direction) / 2) + stats.norm.sf((1 - direction) / 2)
    assert float((asked.abs() == 1.0).float().mean()) == pytest.approx(float(cut.mean()), abs=0.02)
    assert float((asked * direction).sum(1).mean()) > 0.2  # noisy, yet it leads somewhere
