"""Pairs differ in nothing but what makes one of them unlawful, and the world itself says which that is."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor

from jepakit.types import ClipBatch, UserError
from jepakit.worlds import BouncingBalls, PointMaze2D, PushDisc, Reacher2D, Roaming, SWMTwoRoom, TwoRooms
from jepakit.worlds.mazes import Mazes
from jepakit.worlds.trajectories import follow, select
from jepakit.worlds.violations import LOOKS, Pairs, Setting, undisturbed, violations_of
from jepakit.worlds.violations import pairs as search
from jepakit.worlds.violations.balls import RADIUS, SIDE
from jepakit.worlds.violations.mazes import drawn_wall, passages
from jepakit.worlds.violations.pairs import FIRST, chosen
from jepakit.worlds.violations.pushes import first_push, shift_away
from jepakit.worlds.violations.told import FAR
from jepakit.worlds.wandering import Wandering

SETTINGS: dict[str, Setting] = {
    "TwoRooms": Setting(TwoRooms("random", seed=2), Wandering(), 6, 4),
    "SWMTwoRoom": Setting(SWMTwoRoom(seed=2), Roaming(), 6, 4),
    "PointMaze2D": Setting(PointMaze2D(num_layouts=5, seed=2), Roaming(), 5, 4),
    "PushDisc": Setting(PushDisc(seed=2), Roaming(), 6, 4),
    "Reacher2D": Setting(Reacher2D(seed=2), Roaming(), 6, 4),
    "BouncingBalls": Setting(BouncingBalls(1, screen_width=24.0, seed=2), undisturbed, 12, 2),
}
KINDS = [(name, kind) for name, setting in SETTINGS.items() for kind in violations_of(setting.world)]
NUM = 12


@lru_cache
def made(name: str, kind: str) -> Pairs:
    return (violations_of(SETTINGS[name].world) | LOOKS)[kind](SETTINGS[name], NUM)


def rows(pairs: Pairs) -> Any:
    return zip(pairs.lawful.frames, pairs.unlawful.frames, pairs.moment.tolist(), strict=True)


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_lawful_clips_are_what_the_world_does(name: str, kind: str) -> None:
    setting, pairs = SETTINGS[name], made(name, kind)
    if kind == "wall" and name == "TwoRooms":
        setting = replace(setting, behaviour=Wandering(through_door=1.0))
    again = setting.clips(setting.made(pairs.id), pairs.id)
    assert len(pairs) == NUM == len(pairs.id.unique())
    assert torch.equal(pairs.lawful.frames, again.frames)
    assert torch.equal(pairs.lawful.action, again.action)
    assert torch.equal(pairs.lawful.id, pairs.unlawful.id)
    assert bool((pairs.id >= FIRST).all())
    assert bool((pairs.moment >= 2).all() & (pairs.moment < setting.num_frames).all())


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_pairs_are_the_same_whoever_asks_and_however_many(name: str, kind: str) -> None:
    setting, pairs = SETTINGS[name], made(name, kind)
    fewer = violations_of(setting.world)[kind](setting, 3)
    for side in ("lawful", "unlawful"):
        one, other = getattr(fewer, side), getattr(pairs, side)
        assert torch.equal(one.frames, other.frames[:3])
        assert torch.equal(one.action, other.action[:3])
    assert torch.equal(fewer.moment, pairs.moment[:3])


@pytest.mark.parametrize("name", [name for name, kind in KINDS if kind == "told"])
def test_told_pairs_differ_in_what_is_told_of_one_block_alone(name: str) -> None:
    setting, pairs = SETTINGS[name], made(name, "told")
    assert torch.equal(pairs.lawful.frames, pairs.unlawful.frames)
    skip, num = setting.frame_skip, torch.arange(NUM)
    is_block = torch.arange(setting.num_steps) // skip == pairs.moment[:, None] - 1
    assert torch.equal(pairs.unlawful.action[~is_block], pairs.lawful.action[~is_block])
    told = pairs.unlawful.action[is_block]
    assert torch.equal(told, -pairs.lawful.action[is_block])
    went = setting.made(pairs.id)
    before = select(went.states, num * went.num_states + (pairs.moment - 1) * skip)
    end = follow(setting.world, before, told.unflatten(0, (NUM, skip))).at(skip)
    real = select(went.states, num * went.num_states + pairs.moment * skip)
    factor, far = FAR[type(setting.world)]
    apart = setting.world.factors(end)[factor] - setting.world.factors(real)[factor]
    assert float(apart.norm(dim=1).min()) >= far
    led = setting.world.render(end)
    shown = pairs.lawful.frames[num, pairs.moment]
    assert int(((led.int() - shown.int()).abs() > 30).flatten(1).sum(dim=1).min()) >= 8


def test_the_hop_is_the_same_with_and_without_a_door() -> None:
    setting, pairs = SETTINGS["TwoRooms"], made("TwoRooms", "wall")
    dots, walls = (torch.stack([side.frames[:, :, c] for side in (pairs.lawful, pairs.unlawful)]) for c in (0, 1))
    assert torch.equal(dots[0], dots[1])
    assert torch.equal(pairs.lawful.action, pairs.unlawful.action)
    assert bool((walls[0] != walls[1]).flatten(1).any(dim=1).all())
    assert bool((walls == walls[:, :, :1]).all()), "a door moved within a clip"
    went = replace(setting, behaviour=Wandering(through_door=1.0)).made(pairs.id)
    for row, moment in enumerate(pairs.moment.tolist()):
        shut = pairs.unlawful.frames[row, 0, 1]
        column = int(went.at(0).wall_x[row])
        door = (shut[:, column] == 0).nonzero().flatten()
        door = door[(door > 4) & (door < 60)]
        state = replace(select(went.at((moment - 1) * 4), slice(row, row + 1)), door_y=(door[0] + door[-1])[None] // 2)
        after = select(went.at(moment * 4), slice(row, row + 1)).position
        block = pairs.unlawful.action[row : row + 1, (moment - 1) * 4 : moment * 4]
        stopped = follow(setting.world, state, block).at(4).position
        assert (
            (stopped[0, 0] - column).sign() == (state.position[0, 0] - column).sign() != (after[0, 0] - column).sign()
        )
        seen = went.of(went.states.position)[row, ::4, 0] - column
        assert bool((seen.abs() > 1.3).all())


def test_a_wall_stands_in_the_way_in_every_frame_and_touches_no_ball() -> None:
    setting, pairs = SETTINGS["PointMaze2D"], made("PointMaze2D", "wall")
    assert torch.equal(pairs.lawful.action, pairs.unlawful.action)
    went = setting.made(pairs.id)
    block, begin, end, is_good = passages(went, setting.frame_skip)
    assert bool(is_good.all())
    assert torch.equal(block + 1, pairs.moment)
    wall = drawn_wall(setting.world, begin, end)
    for lawful, unlawful, drawn in zip(pairs.lawful.frames, pairs.unlawful.frames, wall, strict=True):
        is_wall = (drawn > 0).expand_as(lawful)
        assert torch.equal(unlawful[~is_wall], lawful[~is_wall])
        assert torch.equal(unlawful[:, 0][is_wall[:, 0]], unlawful[:, 2][is_wall[:, 2]]), "the ball is not gray"
    closed = setting.world.mazes(torch.device("cpu")).closed[went.at(0).layout].clone()
    rows, cell = torch.arange(NUM), begin.long()
    is_across = begin[:, 0] == end[:, 0]
    for row in rows.tolist():
        (x, y), (low, high) = cell[row].tolist(), ((1, 0) if bool(is_across[row]) else (3, 2))
        beyond = (y, x - 1) if bool(is_across[row]) else (y - 1, x)
        assert not bool(closed[row, low, beyond[0], beyond[1]] | closed[row, high, y, x]), "there was a wall already"
        closed[row, low, beyond[0], beyond[1]] = closed[row, high, y, x] = True

    @dataclass(frozen=True)
    class Walled(PointMaze2D):
        def mazes(self, device: torch.device) -> Mazes:
            return Mazes(closed, torch.zeros(NUM, 1, 1, dtype=torch.long))

    start = replace(went.at(0), layout=rows)
    walled = follow(Walled(num_layouts=5, seed=2), start, went.action)
    apart = (went.of(went.states.position) - walled.of(walled.states.position)).norm(dim=-1)[:, ::4]
    for row, moment in enumerate(pairs.moment.tolist()):
        assert bool((apart[row, :moment] == 0.0).all()), "it was lawful up to there"
        assert float(apart[row, moment]) > 0.3, "the wall would have held it"


def test_walls_are_drawn_as_the_world_draws_them() -> None:
    world = PointMaze2D(size=3, num_layouts=2, seed=1)
    state = world.start(torch.arange(1))
    closed = world.mazes(torch.device("cpu")).closed[state.layout[0]]
    begin, end = [], []
    for side, row, column in closed.nonzero().tolist():
        corner = (column + (side == 1), row + (side == 3))
        begin.append(corner)
        end.append((corner[0] + (side >= 2), corner[1] + (side < 2)))
    drawn = drawn_wall(world, torch.tensor(begin).float(), torch.tensor(end).float()).amax(dim=0)[0, 0]
    shown = world.render(state)[0]
    is_ball = shown[0] != shown[2]
    assert torch.equal(drawn[~is_ball], shown[0][~is_ball])


def test_a_t_moves_the_same_way_with_nothing_near_it() -> None:
    setting, pairs = SETTINGS["PushDisc"], made("PushDisc", "untouched")
    went = setting.made(pairs.id)
    shift, is_away = shift_away(setting, went, pairs.id)
    block, is_pushed = first_push(went, setting.frame_skip)
    assert bool((is_away & is_pushed).all())
    assert torch.equal(block + 1, pairs.moment)
    agent = went.states.agent + shift.repeat_interleave(went.num_states, dim=0)
    assert bool((agent >= 3.0).all() & (agent <= 61.0).all())
    moved = replace(went.states, agent=agent)
    unlawful = setting.clips(replace(went, states=moved), pairs.id)
    assert torch.equal(unlawful.frames, pairs.unlawful.frames)
    assert torch.equal(pairs.unlawful.action, pairs.lawful.action)
    alone = follow(setting.world, select(moved, torch.arange(NUM) * went.num_states), went.action)
    torch.testing.assert_close(alone.states.agent, agent, atol=0.2, rtol=0.0)
    still = alone.of(alone.states.object)
    assert torch.equal(still, still[:, :1].expand_as(still)), "where the disc is now it pushes nothing"


def test_pictures_change_by_as_much_whether_or_not_the_disc_is_at_the_t() -> None:
    pairs = made("PushDisc", "untouched")
    lawful, unlawful = (
        clip.frames.float().diff(dim=1).square().sum(dim=(2, 3, 4)) for clip in (pairs.lawful, pairs.unlawful)
    )
    torch.testing.assert_close(lawful, unlawful, rtol=1e-3, atol=0.0)


@pytest.mark.parametrize("kind", ["elsewhere", "back", "untimely"])
def test_a_ball_is_the_same_until_it_is_hidden_and_then_comes_out_otherwise(kind: str) -> None:
    pairs = made("BouncingBalls", kind)
    assert torch.equal(pairs.lawful.action, pairs.unlawful.action)
    for lawful, unlawful, moment in rows(pairs):
        is_seen = [(clip[:, 0] != clip[:, 1]).flatten(1).any(dim=1) for clip in (lawful, unlawful)]
        assert torch.equal(lawful[:moment], unlawful[:moment])
        assert not bool(is_seen[0][moment - 1])
        assert not torch.equal(lawful[moment], unlawful[moment])
        assert bool(is_seen[1][-2:].all())
        if kind != "untimely":
            assert torch.equal(*is_seen)


def test_a_ball_comes_out_as_its_mirror_image() -> None:
    elsewhere, back = made("BouncingBalls", "elsewhere"), made("BouncingBalls", "back")
    for lawful, unlawful, moment in rows(elsewhere):
        assert torch.equal(unlawful[moment:], lawful[moment:].flip(-2))
    setting = SETTINGS["BouncingBalls"]
    went = setting.made(back.id)
    screen = went.at(0).screen
    for row, (_, unlawful, moment) in enumerate(rows(back)):
        x = went.of(went.states.position)[row, ::2, 0, 0]
        mirrored = 2 * screen[row] + 24.0 - x
        place = went.of(went.states.position)[row, ::2].clone()
        place[:, 0, 0] = mirrored
        frames = setting.world.render(replace(select(went.at(0), torch.full((12,), row)), position=place))
        torch.testing.assert_close(unlawful[moment:].int(), frames[moment:].int(), atol=2, rtol=0)
        before = x[0] - screen[row] - 12.0
        assert (mirrored[moment] - screen[row] - 12.0).sign() == before.sign()
        assert bool((mirrored[moment:] >= RADIUS).all() & (mirrored[moment:] <= SIDE - RADIUS).all())


def test_early_and_late_balls_show_the_frames_of_their_lawful_pair() -> None:
    pairs = made("BouncingBalls", "untimely")
    late = 0
    for lawful, unlawful, moment in rows(pairs):
        is_seen = (lawful[:, 0] != lawful[:, 1]).flatten(1).any(dim=1)
        out = 3 + int((~is_seen[3:]).nonzero().max()) + 1 if not bool(is_seen[3:].all()) else 0
        hidden = lawful[out - 1]
        if moment == out:  # late: hidden for longer, then all as it would have been
            late += 1
            first = int((unlawful != hidden).flatten(1).any(dim=1)[moment:].nonzero()[0]) + moment
            assert torch.equal(unlawful[first:], lawful[out : out + 12 - first])
        else:
            assert moment < out
            assert torch.equal(unlawful[moment : moment + 12 - out], lawful[out:])
    assert 0 < late < NUM


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("kind", LOOKS)
def test_looks_change_pictures_from_a_moment_on_and_nothing_else(name: str, kind: str) -> None:
    pairs = made(name, kind)
    assert torch.equal(pairs.lawful.action, pairs.unlawful.action)
    for lawful, unlawful, moment in rows(pairs):
        assert torch.equal(lawful[:moment], unlawful[:moment])
        assert bool((lawful[moment:] != unlawful[moment:]).flatten(1).any(dim=1).all())
    if kind == "colour":
        assert bool((pairs.unlawful.frames <= pairs.lawful.frames).all())


def test_ordinary_clips_are_in_no_pair_and_other_in_each_part() -> None:
    setting = SETTINGS["TwoRooms"]
    parts: list[ClipBatch] = [setting.ordinary(5, part) for part in (0, 1)]
    ids = torch.cat([parts[0].id, parts[1].id, made("TwoRooms", "told").id])
    assert len(ids.unique()) == len(ids)
    assert not torch.equal(parts[0].frames, parts[1].frames)


def test_chosen_trajectories_keep_their_states() -> None:
    went = SETTINGS["Reacher2D"].made(torch.arange(4))
    is_good = torch.tensor([True, False, False, True])
    kept = chosen(went, is_good)
    angles: Tensor = went.of(went.states.angle)
    assert torch.equal(kept.of(kept.states.angle), angles[is_good])
    assert torch.equal(kept.action, went.action[is_good])


def test_what_cannot_be_made_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_PATIENCE", 2)
    with pytest.raises(UserError, match="at least 4 frames"):
        Setting(TwoRooms(), Wandering(), 3)
    with pytest.raises(UserError, match="At least 1 pair"):
        violations_of(TwoRooms())["told"](SETTINGS["TwoRooms"], 0)
    close = Setting(TwoRooms("random"), Wandering(longest=0.3, mean=0.2, std=0.05), 4, 1)
    with pytest.raises(UserError, match="frames further apart"):
        violations_of(close.world)["wall"](close, 1)
    with pytest.raises(UserError, match="layouts differ"):
        violations_of(TwoRooms("random"))["wall"](Setting(TwoRooms(), Wandering()), 1)
    with pytest.raises(UserError, match="num_balls=1 and a screen"):
        violations_of(BouncingBalls(3))
    with pytest.raises(UserError, match="num_balls=1"):
        violations_of(SETTINGS["BouncingBalls"].world)["back"](Setting(BouncingBalls(3), undisturbed), 1)
    with pytest.raises(UserError, match="told apart"):
        violations_of(TwoRooms())["told"](SETTINGS["BouncingBalls"], 1)
    assert set(violations_of(TwoRooms())) == {"told"}, "a wall that is always there has no door elsewhere"
