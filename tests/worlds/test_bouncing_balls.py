"""BouncingBalls: energy and momentum kept, closed forms of single bounces, the push, the screen, edited states."""

import pytest
import torch

from jepakit.worlds import BouncingBalls, BouncingBallsState
from jepakit.worlds.bouncing_balls import COLOURS, RADIUS, SCREEN_COLOUR, TOP_SPEED

STILL = torch.zeros(1, 2)


def box(position: list[list[float]], velocity: list[list[float]], screen: float = 0.0) -> BouncingBallsState:
    return BouncingBallsState(torch.tensor([position]), torch.tensor([velocity]), torch.tensor([screen]))


def energy(state: BouncingBallsState) -> torch.Tensor:
    return (state.velocity.double() ** 2).sum((1, 2))


def test_balls_fly_straight() -> None:
    world = BouncingBalls(1)
    state = box([[20.0, 30.0]], [[1.5, -0.5]])
    for step in range(1, 11):
        state = world.step(state, STILL)
        assert torch.allclose(state.position, torch.tensor([[[20 + 1.5 * step, 30 - 0.5 * step]]]), atol=1e-4)


def test_a_wall_reflects() -> None:
    state = BouncingBalls(1).step(box([[6.0, 30.0]], [[-2.0, 0.3]]), STILL)
    assert torch.allclose(state.position, torch.tensor([[[6.0, 30.3]]]), atol=1e-5)  # one pixel in, one pixel back
    assert torch.allclose(state.velocity, torch.tensor([[[2.0, 0.3]]]))


def test_head_on_balls_exchange_their_velocities() -> None:
    world, state = BouncingBalls(2), box([[20.0, 30.0], [36.0, 30.0]], [[1.0, 0.0], [-2.0, 0.0]])
    for _ in range(4):
        state = world.step(state, STILL)
    assert torch.allclose(state.velocity, torch.tensor([[[-2.0, 0.0], [1.0, 0.0]]]), atol=1e-6)
    # they meet after 2 steps, at 22 and 32, and part for 2 more
    assert torch.allclose(state.position, torch.tensor([[[18.0, 30.0], [34.0, 30.0]]]), atol=1e-4)


def test_a_slanted_bounce_exchanges_what_lies_along_the_line_between() -> None:
    line = torch.tensor([0.6, 0.8])
    state = box([[30.0, 30.0], [30.0 + 9.9 * 0.6, 30.0 + 9.9 * 0.8]], [[1.0, 1.0], [0.0, 0.0]])
    after = BouncingBalls(2).step(state, STILL).velocity[0]
    along = torch.tensor([1.0, 1.0]) @ line
    assert torch.allclose(after[1], along * line, atol=1e-2)
    assert torch.allclose(after[0], torch.tensor([1.0, 1.0]) - along * line, atol=1e-2)


def test_balls_that_overlap_and_part_go_on() -> None:
    velocity = [[-1.0, 0.5], [1.0, 0.0]]
    state = BouncingBalls(2).step(box([[30.0, 30.0], [35.0, 30.0]], velocity), STILL)
    assert torch.equal(state.velocity, torch.tensor([velocity]))


def test_energy_is_kept_and_momentum_between_walls() -> None:
    world, still = BouncingBalls(5), torch.zeros(400, 2)
    state = world.start(torch.arange(400))
    begin, num_bounces = energy(state), 0
    for _ in range(70):
        before, state = state, world.step(state, still)
        change = (state.velocity - before.velocity).abs().amax(2)
        away = ((before.position - 32).abs().amax(2) < 32 - RADIUS - 4).all(1)  # no ball near a wall
        momentum = state.velocity.sum(1) - before.velocity.sum(1)
        assert float(momentum[away].abs().amax()) < 1e-4
        num_bounces += int((away & (change > 0.1).any(1)).sum())
        assert bool(((state.position >= RADIUS) & (state.position <= 64 - RADIUS)).all())
    assert torch.allclose(energy(state), begin, rtol=1e-4)
    assert num_bounces > 40


def test_balls_stay_apart_but_for_a_squeeze() -> None:
    world, still = BouncingBalls(6), torch.zeros(300, 2)
    state, shares = world.start(torch.arange(300)), []
    for _ in range(50):
        state = world.step(state, still)
        far = torch.cdist(state.position, state.position) + 100 * torch.eye(6)
        assert float(far.min()) > 2 * RADIUS - 2.0
        shares.append(float((far < 2 * RADIUS - 0.05).any(2).float().mean()))
    assert sum(shares) / 50 < 0.01


def test_starts_are_apart_and_at_speed() -> None:
    state = BouncingBalls(6).start(torch.arange(1000))
    assert float((torch.cdist(state.position, state.position) + 100 * torch.eye(6)).min()) >= 2 * RADIUS - 1e-3
    speed = state.velocity.norm(dim=2)
    assert 1.0 <= float(speed.min()) < 1.01
    assert 1.99 < float(speed.max()) <= 2.0 + 1e-5


def test_a_push_moves_ball_0_alone_and_not_beyond_its_top_speed() -> None:
    world = BouncingBalls(2)
    state = box([[20.0, 20.0], [40.0, 44.0]], [[1.0, 0.0], [0.0, 1.0]])
    pushed = world.step(state, torch.tensor([[-0.5, 1.0]]))
    assert torch.allclose(pushed.velocity, torch.tensor([[[0.9, 0.2], [0.0, 1.0]]]))
    state = world.step(box([[20.0, 20.0], [40.0, 44.0]], [[2.95, 0.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0]]))
    assert float(state.velocity[0, 0].norm()) == pytest.approx(TOP_SPEED)
    thrown = box([[20.0, 20.0], [40.0, 44.0]], [[4.0, 0.0], [0.0, 0.0]])
    assert float(world.step(thrown, STILL).velocity[0, 0, 0]) == 4.0  # who is not pushed keeps an edited speed


def test_a_goal_is_ball_0_within_its_radius() -> None:
    world, goal = BouncingBalls(2), box([[20.0, 20.0], [40.0, 40.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert bool(world.reached(box([[20.0, 24.9], [10.0, 50.0]], [[1.0, 0.0], [0.0, 0.0]]), goal))
    assert not bool(world.reached(box([[20.0, 25.1], [40.0, 40.0]], [[0.0, 0.0], [0.0, 0.0]]), goal))
    start, end = world.task(torch.arange(2000))
    assert float(world.distance(start, end).min()) >= 2 * RADIUS - 1e-3
    assert torch.equal(start.screen, end.screen)


def test_the_picture_shows_each_ball_in_its_colour() -> None:
    picture = BouncingBalls(3).render(box([[10.0, 20.0], [40.0, 12.5], [41.0, 50.0]], [[0.0, 0.0]] * 3))[0].long()
    axis = torch.arange(64) + 0.5
    seen = torch.zeros(64, 64, dtype=torch.bool)
    for colour, (x, y) in zip(COLOURS, ((10.0, 20.0), (40.0, 12.5), (41.0, 50.0)), strict=False):
        far = torch.hypot(axis[None, :] - x, axis[:, None] - y)
        assert bool((picture[:, far < RADIUS - 0.5] == torch.tensor(colour)[:, None]).all())
        seen |= far < RADIUS + 0.5
    assert int(picture[:, ~seen].sum()) == 0


def test_what_is_behind_the_screen_is_not_seen() -> None:
    world = BouncingBalls(2, screen_width=16.0)
    state = box([[28.0, 30.0], [45.0, 30.0]], [[0.0, 0.0], [0.0, 0.0]], screen=20.0)
    assert world.is_hidden(state).tolist() == [[True, False]]
    moved = state.at(torch.tensor([[[26.0, 50.0], [45.0, 30.0]]]))
    assert torch.equal(world.render(state), world.render(moved))
    picture = world.render(state)[0]
    assert bool((picture[:, :, 20:36] == SCREEN_COLOUR).all())
    assert picture[:, 30, 45].tolist() == list(COLOURS[1])
    assert int(picture[:, :, :20].sum()) == 0
    half = state.at(torch.tensor([[[20.0, 30.0], [45.0, 30.0]]]))
    assert world.is_hidden(half).tolist() == [[False, False]]
    assert not torch.equal(world.render(half), world.render(state))
    drawn = world.start(torch.arange(500)).screen
    assert 0.0 <= float(drawn.min()) < 2.0
    assert 46.0 < float(drawn.max()) <= 48.0


def test_an_edited_ball_goes_on_from_where_it_was_put() -> None:
    world = BouncingBalls(1)
    state = world.start(torch.tensor([3]))
    jumped = state.at(position=torch.tensor([[[40.0, 40.0]]]))
    assert torch.equal(jumped.velocity, state.velocity)
    after = world.step(jumped, STILL)
    assert torch.allclose(after.position, jumped.position + state.velocity, atol=1e-5)
    assert torch.equal(state.at(velocity=-state.velocity).position, state.position)
