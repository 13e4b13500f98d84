"""PushDisc: a disc pushes a T to a pose; slow contact, in which nothing moves that is not pushed.

Lengths are in pixels of a picture of 64 x 64, x to the right and y down; angles in radians, from x towards y. An action
in [-1, 1]^2 moves the disc by 3 pixels a unit, in three parts. After each, where disc and T overlap, the T gives way:
the force goes through the point of contact along the normal, and under dry friction of the ground a body pushed slowly
moves along its force and turns by (arm x force) / LEVER^2, LEVER being the mean distance of its points from their
middle. A part of a move that would leave an overlap, the T being jammed against the border, does not take place: after
a step nothing ever overlaps.

Source: the quasi-static limit surface of Goyal, Ruina and Papadopoulos 1991 (Wear 143) and Lynch and Mason 1996 (IJRR
15); the task is that of PushT (arXiv 2303.04137). Deviations: the limit surface is an ellipsoid; contact between disc
and T is without friction; the border shifts the T and does not turn it; success asks for the T's pose and not for the
disc's place.
"""

import math
from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.worlds.angles import turned, wrapped
from jepakit.worlds.painting import capsule, disc, paint, parts, window
from jepakit.worlds.pushing import AGENT_RADIUS, BARS, HALF_WIDTH, REACH, Contact, pushed
from jepakit.worlds.trajectories import select

SIDE = 64
SPEED = 3.0
NUM_PARTS = 3
NEAR, NEAR_ANGLE = 2.5, math.pi / 9
"""Distance in pixels and angle in radians from the goal's pose below which both must be (PushT's, at our size)."""

TASK_DISTANCE = (8.0, 20.0)
"""How far the T of a task is from its goal, in pixels."""

_MIDDLE, _ROOM = SIDE / 2, SIDE / 2 - REACH - 0.5
_NUM_TRIES = 16


@dataclass(frozen=True)
class PushDiscState:
    """Hold where things are.

    Args:
        agent: Middle of the disc, in pixels.
        object: Middle of the T, in pixels.
        angle: How far the T is turned, in (-pi, pi].
    """

    agent: Float[Tensor, "b 2"]
    object: Float[Tensor, "b 2"]
    angle: Float[Tensor, " b"]

    def at(self, agent: Float[Tensor, "b 2"]) -> "PushDiscState":
        """Return the same with the disc elsewhere."""
        return replace(self, agent=agent)

    def __len__(self) -> int:
        return len(self.agent)


@dataclass(frozen=True)
class PushDisc:
    """Step and draw a batch of pushes.

    Args:
        beside: Share of the starts in which the disc is within 4 pixels of the T, so that wandering pushes often.
        image_size: Pixels of a side of the picture.
        seed: Seed of starts and goals.

    Example:
        >>> world = PushDisc()
        >>> state = world.step(world.start(torch.arange(3)), torch.ones(3, 2))
        >>> world.render(state).shape
        torch.Size([3, 3, 64, 64])
    """

    beside: float = 0.5
    image_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        require(0.0 <= self.beside <= 1.0, f"A share is between 0 and 1, got {self.beside}.")
        require(self.image_size >= 32, f"A picture needs at least 32 pixels a side, got {self.image_size}.")

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return the moves that a planner may choose, in units of 3 pixels; others are cut to these."""
        return gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Return the space of pictures."""
        return gymnasium.spaces.Box(0, 255, (3, self.image_size, self.image_size), np.uint8)

    def start(self, ids: Int[Tensor, " b"]) -> PushDiscState:
        """Begin episodes with the T in any pose and the disc anywhere clear of it, or close to it."""
        u = Stream(self.seed, "push-disc/start").uniform(0, ids, 4 + 2 * _NUM_TRIES)
        place = _MIDDLE + (2.0 * u[:, :2] - 1.0) * _ROOM
        state = _with_agent(place, math.pi * (2.0 * u[:, 2] - 1.0), u[:, 4:])
        contact = Contact.between(state.agent, state.object, state.angle)
        beside = state.agent - (contact.gap - 4.0 * u[:, 4]).clamp_min(0.0)[:, None] * contact.normal
        return state.at(torch.where((u[:, 3] < self.beside)[:, None], beside, state.agent))

    def task(self, ids: Int[Tensor, " b"]) -> tuple[PushDiscState, PushDiscState]:
        """Return where episodes begin and where they are to end.

        Of any two poses the T's places are 8 to 20 pixels apart, so that no task is solved before the first push.
        """
        u = Stream(self.seed, "push-disc/task").uniform(0, ids, 5 + 5 * _NUM_TRIES)
        place = _MIDDLE + (2.0 * u[:, :2] - 1.0) * _ROOM
        far = TASK_DISTANCE[0] + u[:, 2:3] * (TASK_DISTANCE[1] - TASK_DISTANCE[0])
        heading = 2.0 * math.pi * u[:, 5 : 5 + _NUM_TRIES]
        tries = place[:, None] + far[:, None] * torch.stack((heading.cos(), heading.sin()), dim=-1)
        is_inside = ((tries - _MIDDLE).abs() <= _ROOM).all(-1)
        end = _first(tries, is_inside, place + far * _inwards(place))
        angle = math.pi * (2.0 * u[:, 3:5] - 1.0)
        agents = u[:, 5 + _NUM_TRIES :].chunk(2, dim=1)
        return _with_agent(place, angle[:, 0], agents[0]), _with_agent(end, angle[:, 1], agents[1])

    def step(self, state: PushDiscState, action: Float[Tensor, "b 2"]) -> PushDiscState:
        """Move every disc by its action, and the T where it is pushed."""
        agent, place, angle = state.agent, state.object, state.angle
        move = SPEED / NUM_PARTS * action.clamp(-1.0, 1.0)
        for _ in range(NUM_PARTS):
            agent, place, angle = pushed(agent, place, angle, move, SIDE)
        return PushDiscState(agent, place, wrapped(angle))

    def distance(self, state: PushDiscState, goal: PushDiscState) -> Float[Tensor, " b"]:
        """Return how far Ts are from their goals' poses in pixels, an angle of pi / 9 counting as 2.5 pixels."""
        place, angle = self._apart(state, goal)
        return torch.hypot(place, NEAR / NEAR_ANGLE * angle)

    def reached(self, state: PushDiscState, goal: PushDiscState) -> Bool[Tensor, " b"]:
        """Return whether a T is within 2.5 pixels and pi / 9 of its goal's pose, wherever the disc is."""
        place, angle = self._apart(state, goal)
        return (place < NEAR) & (angle < NEAR_ANGLE)

    def _apart(self, state: PushDiscState, goal: PushDiscState) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        return (state.object - goal.object).norm(dim=1), wrapped(state.angle - goal.angle).abs()

    def factors(self, state: PushDiscState) -> dict[str, Float[Tensor, "b _"]]:
        """Return the places of disc and T in pixels, and the cosine and sine of the T's angle."""
        angle = torch.stack((state.angle.cos(), state.angle.sin()), dim=1)
        return {"agent": state.agent, "object": state.object, "angle": angle}

    def render(self, state: PushDiscState) -> UInt8[Tensor, "b 3 h w"]:
        """Draw the T in red and the disc in blue, on black: in other channels, so that neither ever hides the other."""
        size = self.image_size
        frames = torch.zeros(len(state), 3, size, size, dtype=torch.uint8, device=state.agent.device)
        for part in parts(len(state), size):
            self._paint(frames[part], select(state, part))
        return frames

    def _paint(self, frames: UInt8[Tensor, "b 3 h w"], state: PushDiscState) -> None:
        size, scale = self.image_size, self.image_size / SIDE
        pixels = window(state.object * scale - 0.5, REACH * scale + 0.5, size)
        ends = [
            [(state.object + turned(state.angle, place)) * scale - 0.5 for place in bar]
            for bar in BARS.to(state.agent.device)
        ]
        cover = torch.maximum(*(capsule(pixels, begin, end, HALF_WIDTH * scale) for begin, end in ends))
        paint(frames[:, :1], pixels, cover, (230,))
        middle = state.agent * scale - 0.5
        pixels = window(middle, AGENT_RADIUS * scale + 0.5, size)
        paint(frames[:, 1:], pixels, disc(pixels, middle, AGENT_RADIUS * scale), (150, 255))


def _with_agent(place: Float[Tensor, "b 2"], angle: Float[Tensor, " b"], u: Float[Tensor, "b draws"]) -> PushDiscState:
    """Return states whose disc is at the first drawn place that is a pixel or more away from the T."""
    tries = AGENT_RADIUS + u.unflatten(1, (-1, 2)) * (SIDE - 2.0 * AGENT_RADIUS)
    b, num, _ = tries.shape
    repeated = (value.repeat_interleave(num, dim=0) for value in (place, angle))
    gap = Contact.between(tries.flatten(0, 1), *repeated).gap.view(b, num)
    clear = place + (REACH + AGENT_RADIUS + 1.0) * _inwards(place)
    return PushDiscState(_first(tries, gap >= 1.0, clear), place, angle)


def _first(
    tries: Float[Tensor, "b num 2"], is_good: Bool[Tensor, "b num"], otherwise: Float[Tensor, "b 2"]
) -> Float[Tensor, "b 2"]:
    """Return the first good place of each row, or another where none is."""
    first = is_good.int().argmax(dim=1)
    chosen = tries[torch.arange(len(tries), device=tries.device), first]
    return torch.where(is_good.any(1)[:, None], chosen, otherwise)


def _inwards(place: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Return directions of length 1 from places to the middle of the picture; along x from the middle itself."""
    offset = _MIDDLE - place
    far = offset.norm(dim=1, keepdim=True)
    return torch.where(far > 1e-3, offset / far.clamp_min(1e-3), offset.new_tensor([1.0, 0.0]))
