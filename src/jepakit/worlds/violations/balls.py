"""Make pairs of BouncingBalls in which a ball comes out from behind the screen as it must, or as it cannot.

Up to where the ball is hidden both clips of a pair are the same. Then it is seen, in the unlawful one,

    elsewhere   at the other height: the rest of the clip is mirrored top to bottom
    back        on the side on which it went in: the rest is mirrored about the middle of the screen
    untimely    too early or too late, half of the pairs each: some hidden frames are left out, or some are put in

What it does from then on is lawful again, and every picture is. Only who remembers how the ball went in can tell. A
mirror image changes as much from frame to frame as what it mirrors.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import ClipBatch, UserError
from jepakit.worlds.bouncing_balls import RADIUS, SIDE, BouncingBalls
from jepakit.worlds.trajectories import Trajectories, follow
from jepakit.worlds.violations.pairs import Pairs, Setting, chosen, gathered, with_frames

BEFORE, AFTER = 3, 2
"""Frames in which the ball is to be seen before it goes in, and after it comes out, at least."""

ASIDE = RADIUS + 1.0
"""How far, in pixels, the ball is from where it should be, at least, where it comes out at the wrong time."""


def undisturbed(world: BouncingBalls, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
    """Let balls be: a behaviour in which nobody pushes."""
    return follow(world, world.start(ids), torch.zeros(len(ids), num_steps, 2))


def elsewhere(setting: Setting, num: int) -> Pairs:
    """Return pairs in which the ball comes out at its own height, or at that of its mirror image."""
    return _mirrored(setting, num, _height, flip=-2)


def back(setting: Setting, num: int) -> Pairs:
    """Return pairs in which the ball comes out on the other side, or on the one on which it went in."""
    return _mirrored(setting, num, _side, flip=-1)


def _height(world: BouncingBalls, made: Trajectories, out: Int[Tensor, " b"]) -> Bool[Tensor, " b"]:
    """Return where a ball comes out at least a diameter from its mirror image."""
    y = made.of(made.states.position)[torch.arange(len(out)), out, 0, 1]
    return (y - SIDE / 2).abs() >= RADIUS


def _side(world: BouncingBalls, made: Trajectories, out: Int[Tensor, " b"]) -> Bool[Tensor, " b"]:
    """Return where a ball passes through, and its mirror image about the screen stays within the box."""
    x = made.of(made.states.position)[:, :, 0, 0]
    middle = made.of(made.states.screen) + world.screen_width / 2
    offset = x - middle
    is_through = offset[:, 0].sign() != offset[torch.arange(len(out)), out].sign()
    mirrored = middle - offset
    is_inside = (mirrored >= RADIUS) & (mirrored <= SIDE - RADIUS)
    is_after = torch.arange(x.shape[1]) >= out[:, None]
    return is_through & (is_inside | ~is_after).all(dim=1)


def _mirrored(
    setting: Setting, num: int, fits: Callable[[BouncingBalls, Trajectories, Int[Tensor, " b"]], Tensor], flip: int
) -> Pairs:
    """Return pairs whose unlawful clips go on mirrored: rows (-2), or columns about the screen (-1)."""
    world = _one_ball(setting)

    def attempt(ids: Int[Tensor, " b"]) -> Pairs | None:
        made = undisturbed(world, ids, setting.num_steps)
        _, out, is_good = hidden_run(world, made, setting.frame_skip)
        last = setting.num_frames - 1  # stands for "never", which is no good
        is_good = is_good & fits(world, made, out.clamp_max(last) * setting.frame_skip)
        if not is_good.any():
            return None
        kept, out = chosen(made, is_good), out[is_good]
        lawful = setting.clips(kept, ids[is_good])
        other = _flipped(lawful.frames, kept, world, flip)
        is_after = (torch.arange(setting.num_frames) >= out[:, None])[:, :, None, None, None]
        return Pairs(lawful, with_frames(lawful, torch.where(is_after, other, lawful.frames)), out)

    return gathered(attempt, num, setting.first)


def _flipped(frames: Tensor, made: Trajectories, world: BouncingBalls, flip: int) -> Tensor:
    """Return pictures top to bottom, or mirrored about the screen; pixels then come from other pixels, whole."""
    if flip == -2:
        return frames.flip(-2)
    scale = world.image_size / SIDE
    twice = 2.0 * made.at(0).screen + world.screen_width
    column = (twice[:, None] * scale).round().long() - 1 - torch.arange(world.image_size)
    is_there = (column >= 0) & (column < world.image_size)
    index = column.clamp(0, world.image_size - 1)[:, None, None, None].expand_as(frames)
    return frames.gather(-1, index) * is_there[:, None, None, None]


def untimely(setting: Setting, num: int) -> Pairs:
    """Return pairs in which the ball comes out in time, or too early or too late."""
    world = _one_ball(setting)
    skip, num_frames = setting.frame_skip, setting.num_frames

    def attempt(ids: Int[Tensor, " b"]) -> Pairs | None:
        made = undisturbed(world, ids, 2 * setting.num_steps)  # those who come early are to be seen for longer
        first, out, _ = hidden_run(world, made, skip)
        speed = made.at(0).velocity[:, 0, 0].abs()
        shift = (ASIDE / (skip * speed).clamp_min(1e-3)).ceil().clamp_max(num_frames).long()
        is_early = Stream(world.seed, "violations/untimely").uniform(0, ids, 1)[:, 0] < 0.5
        is_good = (first >= BEFORE) & (out - shift > first) & (out + shift + AFTER <= num_frames)  # both could be
        is_good &= _is_hidden_once(world, made, skip, first, out, num_frames)
        if not is_good.any():
            return None
        moment = torch.where(is_early, out - shift, out)
        time = torch.arange(num_frames)
        late = torch.where(time < (out + shift)[:, None], torch.minimum(time, out[:, None] - 1), time - shift[:, None])
        early = torch.where(time < (out - shift)[:, None], time, time + shift[:, None])
        shown = torch.where(is_early[:, None], early, late)[is_good]
        every = chosen(made, is_good).every(skip).render(world)
        frames = every[torch.arange(len(every))[:, None], shown]
        action = made.action[is_good][:, : setting.num_steps]
        lawful = ClipBatch(every[:, :num_frames], action, ids[is_good])
        return Pairs(lawful, replace(lawful, frames=frames), moment[is_good])

    return gathered(attempt, num, setting.first)


def hidden_run(
    world: BouncingBalls, made: Trajectories, frame_skip: int
) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"], Bool[Tensor, " b"]]:
    """Return the first frame in which the ball is hidden and the first after that, and where a clip has one such run.

    It lies in the middle of the clip: the ball is seen for some frames before and after.
    """
    is_hidden = _hidden(world, made, frame_skip)
    num_frames = is_hidden.shape[1]
    first = is_hidden.int().argmax(dim=1)
    is_later = torch.arange(num_frames) > first[:, None]
    is_out = is_later & ~is_hidden
    out = torch.where(is_out.any(dim=1), is_out.int().argmax(dim=1), num_frames)
    is_once = is_hidden.sum(dim=1) == out - first
    is_good = is_hidden.any(dim=1) & is_once & (first >= BEFORE) & (out <= num_frames - AFTER)
    return first, out, is_good


def _hidden(world: BouncingBalls, made: Trajectories, frame_skip: int) -> Bool[Tensor, "b frames"]:
    """Return in which frames the ball is hidden."""
    return world.is_hidden(made.states)[:, 0].unflatten(0, (-1, made.num_states))[:, ::frame_skip]


def _is_hidden_once(
    world: BouncingBalls,
    made: Trajectories,
    skip: int,
    first: Int[Tensor, " b"],
    out: Int[Tensor, " b"],
    num_frames: int,
) -> Bool[Tensor, " b"]:
    """Return where the ball is hidden during one run alone, and keeps its speed across, as far as it may be shown."""
    is_hidden = _hidden(world, made, skip)
    time = torch.arange(is_hidden.shape[1])
    is_run = (time >= first[:, None]) & (time < out[:, None])
    is_shown = time < num_frames + (out - first)[:, None]
    is_once = ((is_hidden == is_run) | ~is_shown).all(dim=1)
    across = made.of(made.states.velocity)[:, ::skip, 0, 0]
    is_steady = ((across - across[:, :1]).abs() < 1e-4) | (time >= out[:, None])
    return is_hidden.any(dim=1) & is_once & is_steady.all(dim=1)


def _one_ball(setting: Setting) -> BouncingBalls:
    """Return the world, one ball and a screen that hides it.

    Raises:
        UserError: It is another world.
    """
    world = setting.world
    if not isinstance(world, BouncingBalls) or world.num_balls != 1 or world.screen_width < 2 * RADIUS + 4:
        raise UserError(
            "What is behind a screen is asked of BouncingBalls(num_balls=1, screen_width=...), the screen at least "
            f"{2 * RADIUS + 4:g} wide, so that nothing but the ball moves; got {world}."
        )
    return world
