"""Backgrounds: behind what there is, a function of (seed, episode, time), unpredictable or drifting, and without effect."""

from dataclasses import replace

import pytest
import torch

from jepakit.views import drawn_texture
from jepakit.worlds import (
    BouncingBalls,
    Distracted,
    DistractedState,
    PushDisc,
    Roaming,
    SWMTwoRoom,
    TwoRooms,
)
from jepakit.worlds.distracted import Heedless, beneath, reseeded
from jepakit.worlds.stream import ClipStream
from jepakit.worlds.wandering import Wandering

IDS = torch.arange(40)
kinds = pytest.mark.parametrize("kind", ["noise", "texture"])


def background(world: Distracted, ids: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    """Return pictures of nothing but the background: a box without balls in sight."""
    state = world.start(ids)
    away = state.inner.at(torch.full_like(state.inner.position, 32.0))
    picture = world.render(DistractedState(away, ids, time)).float()
    picture[:, :, 25:39, 25:39] = 0.0
    return picture


@kinds
def test_what_there_is_stays_as_it_was(kind: str) -> None:
    for inner in (TwoRooms("random"), SWMTwoRoom(), PushDisc()):
        world = Distracted(inner, kind, strength=1.0)
        plain, seen = inner.render(inner.start(IDS)).long(), world.render(world.start(IDS)).long()
        ground = 255 if isinstance(inner, SWMTwoRoom) else 0
        ahead = (plain - ground).abs().amax(1, keepdim=True).expand_as(plain)
        assert bool((seen == plain)[ahead == 255].all())
        behind = (seen - ground).abs()[ahead == 0]
        assert float(behind.float().mean()) == pytest.approx(127, abs=15)
        half = Distracted(inner, kind, strength=0.5)
        weak = (half.render(half.start(IDS)).long() - ground).abs()[ahead == 0]
        assert int(weak.max()) <= 128
        assert float(weak.float().mean()) == pytest.approx(0.5 * float(behind.float().mean()), rel=0.05)


@kinds
def test_the_background_has_no_effect(kind: str) -> None:
    inner = TwoRooms("random")
    world = Distracted(inner, kind)
    state, plain = world.start(IDS), inner.start(IDS)
    action = torch.ones(40, 2)
    for _ in range(4):
        state, plain = world.step(state, action), inner.step(plain, action)
    assert torch.equal(state.inner.position, plain.position)
    assert state.time.tolist() == [4] * 40
    start, goal = world.task(IDS)
    assert torch.equal(world.distance(start, goal), inner.distance(*inner.task(IDS)))
    assert torch.equal(world.factors(start)["position"], inner.task(IDS)[0].position)


@kinds
def test_what_is_behind_a_goal_is_an_independent_draw(kind: str) -> None:
    world = Distracted(BouncingBalls(1), kind, strength=1.0)
    ids = torch.arange(600)
    start, goal = world.task(ids)
    assert torch.equal(start.id, ids)
    assert not set(goal.id.tolist()) & set(ids.tolist())
    away = torch.full((len(ids), 1, 2), 5.0)
    backgrounds = [
        world.render(replace(state, inner=state.inner.at(away)))[:, 0, 20::8, 20::8].double()
        for state in (start, goal, world.step(start, torch.zeros(600, 2)))
    ]
    then, wanted, later = (picture.flatten(1) - picture.mean(dim=0).flatten() for picture in backgrounds)
    related = (then * wanted).mean(dim=0) / (then.std(dim=0) * wanted.std(dim=0))
    assert float(related.abs().max()) < 4.5 / 600**0.5
    if kind == "texture":
        moves_on = (then * later).mean(dim=0) / (then.std(dim=0) * later.std(dim=0))
        assert float(moves_on.min()) > 0.5  # what is seen next does have to do with what was seen
        drift = world.factors(goal)["background"] - world.factors(start)["background"]
        assert len(drift.mul(1e4).round().unique(dim=0)) > 500  # not all along the way that it drifts


def test_another_seed_reaches_the_world_beneath_and_leaves_the_texture() -> None:
    world = Distracted(Distracted(TwoRooms("random"), "noise"), "texture", texture=3)
    other = reseeded(world, 7)
    assert (other.seed, other.world.seed, other.world.world.seed) == (7, 7, 7)
    assert other == replace(world, seed=7, world=replace(world.world, seed=7, world=TwoRooms("random", seed=7)))
    assert beneath(other) == TwoRooms("random", seed=7)
    one, two = Distracted(BouncingBalls(1), "texture"), Distracted(BouncingBalls(1), "texture", seed=7)
    still, moved = one.start(IDS[:1]), two.start(IDS[:1])
    assert not torch.equal(one.render(still), two.render(moved))  # it begins elsewhere
    pictures = {bytes(drawn_texture(3, 64, number, torch.device("cpu")).numpy()) for number in (0, 0, 7)}
    assert len(pictures) == 2
    shown = [replace(one, texture=number).render(still) for number in (0, 7)]
    assert not torch.equal(*shown)


def test_what_a_world_tells_of_goals_is_passed_through_as_it_is() -> None:
    inner = TwoRooms("random")
    world = Distracted(inner)
    for ask in ("distance", "way", "reached"):
        assert torch.equal(getattr(world, ask)(*world.task(IDS)), getattr(inner, ask)(*inner.task(IDS))), ask
    assert not hasattr(Distracted(PushDisc()), "way")


def test_noise_is_a_function_of_seed_episode_and_time_alone() -> None:
    world = Distracted(BouncingBalls(1), "noise", strength=1.0)
    one = background(world, IDS, 3 + 0 * IDS)
    assert torch.equal(one, background(world, IDS, 3 + 0 * IDS))
    assert torch.equal(one[7:9], background(world, IDS[7:9], 3 + 0 * IDS[7:9]))
    mixed = background(world, torch.tensor([5, 5]), torch.tensor([3, 9]))
    assert torch.equal(mixed[0], one[5])
    others = (
        mixed[1],
        one[6],
        background(Distracted(BouncingBalls(1), "noise", 1.0, seed=1), IDS, 3 + 0 * IDS)[5],
    )
    for other in others:
        pair = torch.stack((one[5].flatten(), other.flatten()))[:, ::16]
        assert abs(float(torch.corrcoef(pair[:, pair.amin(0) > 0])[0, 1])) < 0.15


def test_noise_is_uniform_in_squares_and_independent_between_them() -> None:
    world = Distracted(TwoRooms(), "noise", strength=1.0, grain=4)
    state = world.start(torch.arange(300))
    state = replace(state, inner=state.inner.at(torch.full((300, 2), 8.0)))  # out of the way
    seen = world.render(state).float()
    assert torch.equal(seen[:, :, 20:24, 40:44], seen[:, :, 20:21, 40:41].expand(-1, -1, 4, 4))
    values = seen[:, :, 20:60:4, 40:60:4].flatten(1)
    assert float(values.mean()) == pytest.approx(126.5, abs=2.0)  # 127 of 128 parts of what is uniform to 255
    assert float(values.std()) == pytest.approx(255 / 12**0.5, rel=0.02)
    related = torch.corrcoef(values.T[:40]) - torch.eye(40)
    assert float(related.abs().mean()) < 0.06
    fine = Distracted(TwoRooms(), "noise", strength=1.0, grain=1)
    assert float((fine.render(fine.start(IDS)).float().diff(dim=3) == 0).float().mean()) < 0.25  # walls and chance


def test_a_texture_moves_by_the_same_pixels_at_every_step() -> None:
    world = Distracted(BouncingBalls(1), "texture", strength=1.0)
    drifts = set()
    for episode in range(25):
        ids = torch.full((4,), episode)
        state = world.start(ids)
        away = state.inner.at(torch.full_like(state.inner.position, 5.0))
        frames = world.render(DistractedState(away, ids, torch.arange(4)))[:, :, 12:, 12:].long()
        found = [
            (down, across)
            for down in range(-2, 3)
            for across in range(-2, 3)
            if all(
                torch.equal(frames[t, :, 2 + down : 50 + down, 2 + across : 50 + across], frames[t + 1, :, 2:50, 2:50])
                for t in range(3)
            )
        ]
        assert len(found) == 1
        assert found[0] != (0, 0)
        drifts.add(found[0])
    assert len(drifts) > 10


def test_a_texture_has_no_seam_and_says_how_far_it_is_shifted() -> None:
    texture = drawn_texture(3, 64, 0, torch.device("cpu"))
    inside = texture.diff(dim=1).abs().mean()
    assert float((texture[:, 0] - texture[:, -1]).abs().mean()) == pytest.approx(float(inside), rel=0.3)
    assert float((texture[:, :, 0] - texture[:, :, -1]).abs().mean()) == pytest.approx(float(inside), rel=0.3)
    assert (float(texture.min()), float(texture.max())) == pytest.approx((0.0, 255.0))
    world = Distracted(BouncingBalls(1), "texture")
    phases = world.factors(world.start(torch.arange(2000)))["background"]
    assert torch.allclose(phases[:, :2] ** 2 + phases[:, 2:] ** 2, torch.tensor(1.0), atol=1e-5)
    assert float(phases.mean(0).abs().max()) < 0.06  # every shift is as likely
    assert "background" not in Distracted(TwoRooms()).factors(Distracted(TwoRooms()).start(IDS))


@kinds
def test_another_worlds_behaviour_acts_as_if_there_were_no_background(kind: str) -> None:
    inner = TwoRooms("random")
    world = Distracted(inner, kind)
    made, plain = Heedless(Wandering())(world, IDS, 6), Wandering()(inner, IDS, 6)
    assert torch.equal(made.action, plain.action)
    assert torch.equal(made.states.inner.position, plain.states.position)
    roamed, heedless = Roaming()(world, IDS, 6), Heedless(Roaming())(world, IDS, 6)
    assert torch.equal(roamed.states.time, heedless.states.time)
    assert torch.equal(roamed.states.id, heedless.states.id)
    assert torch.equal(roamed.render(world), heedless.render(world))
    batch = ClipStream(world, Heedless(Wandering()), batch_size=5, num_frames=3).batch(2)
    assert batch.frames.shape == (5, 3, 2, 65, 65)
    assert torch.equal(batch.frames, Heedless(Wandering())(world, batch.id, 2).render(world))
