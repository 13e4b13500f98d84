"""Reacher2D: an arm of two links in the plane, seen from above, that is to reach a posture.

Lengths are in pixels of a picture of 64 x 64 with the shoulder in its middle, x to the right and y down; angles in
radians, from x towards y: the shoulder's from the x axis, the elbow's from the upper arm. Angles have no ends: they are
kept in [-pi, pi) and compared modulo one turn. Under control of the velocity, angle <- angle + 0.2 x action; under
control of the torque, velocity <- 0.9 velocity + 0.03 x action, then angle <- angle + velocity.

Source: the reacher of the DeepMind Control Suite (arXiv 1801.00690) in LeWM's task, a goal posture (arXiv 2603.19312).
Deviations: no physics engine: joints do not pull at each other and links pass through one another; the control of the
velocity; the goal is within 0.1 rad by default instead of 0.05, pictures being 64 pixels wide and not 224.
"""

import math
from dataclasses import dataclass

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.worlds.angles import turned, wrapped
from jepakit.worlds.painting import capsule, disc, paint, parts, window
from jepakit.worlds.trajectories import select

SIDE = 64
UPPER, LOWER = 15.0, 13.0
"""Lengths of the links."""

HALF_WIDTH = 2.0
SPEED = 0.2
TORQUE, DAMPING = 0.03, 0.1
SMALLEST_TURN = 0.5
"""How far, in radians, each joint of a task has to turn at least."""


@dataclass(frozen=True)
class ReacherState:
    """Hold the postures of a batch of arms.

    Args:
        angle: Of shoulder and elbow, in [-pi, pi).
        velocity: Radians a step; 0 under control of the velocity.
    """

    angle: Float[Tensor, "b 2"]
    velocity: Float[Tensor, "b 2"]

    def at(self, angle: Float[Tensor, "b 2"], velocity: Float[Tensor, "b 2"] | None = None) -> "ReacherState":
        """Return another posture, at rest unless its velocity is given."""
        return ReacherState(angle, torch.zeros_like(angle) if velocity is None else velocity)

    def __len__(self) -> int:
        return len(self.angle)


@dataclass(frozen=True)
class Reacher2D:
    """Step and draw a batch of arms.

    Args:
        control: `velocity` or `torque`: what an action sets.
        near: Distance between postures, in radians, below which a goal is reached.
        image_size: Pixels of a side of the picture.
        seed: Seed of starts and goals.

    Example:
        >>> world = Reacher2D("torque")
        >>> state = world.step(world.start(torch.arange(3)), torch.ones(3, 2))
        >>> world.render(state).shape
        torch.Size([3, 3, 64, 64])
    """

    control: str = "velocity"
    near: float = 0.1
    image_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.control in ("velocity", "torque"), f"An action sets velocity or torque, not {self.control!r}.")
        require(0.0 < self.near < SMALLEST_TURN, f"A goal is within 0 to {SMALLEST_TURN} radians, got {self.near}.")
        require(self.image_size >= 32, f"A picture needs at least 32 pixels a side, got {self.image_size}.")

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return what a planner may choose for shoulder and elbow; other actions are cut to these."""
        return gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Return the space of pictures."""
        return gymnasium.spaces.Box(0, 255, (3, self.image_size, self.image_size), np.uint8)

    def start(self, ids: Int[Tensor, " b"]) -> ReacherState:
        """Begin episodes in any posture, under control of the torque at up to half the top speed."""
        u = 2.0 * Stream(self.seed, "reacher/start").uniform(0, ids, 4) - 1.0
        top = TORQUE / DAMPING if self.control == "torque" else 0.0
        return ReacherState(math.pi * u[:, :2], 0.5 * top * u[:, 2:])

    def task(self, ids: Int[Tensor, " b"]) -> tuple[ReacherState, ReacherState]:
        """Return where episodes begin and where they are to end, at rest, each joint at least 0.5 rad apart."""
        u = Stream(self.seed, "reacher/task").uniform(0, ids, 6)
        begin = math.pi * (2.0 * u[:, :2] - 1.0)
        turn = SMALLEST_TURN + u[:, 2:4] * (math.pi - SMALLEST_TURN)
        end = wrapped(begin + torch.where(u[:, 4:] < 0.5, -turn, turn))
        state = ReacherState(begin, torch.zeros_like(begin))
        return state, state.at(end)

    def step(self, state: ReacherState, action: Float[Tensor, "b 2"]) -> ReacherState:
        """Turn the joints of every arm."""
        action = action.clamp(-1.0, 1.0)
        if self.control == "velocity":
            return ReacherState(wrapped(state.angle + SPEED * action), torch.zeros_like(action))
        velocity = (1.0 - DAMPING) * state.velocity + TORQUE * action
        return ReacherState(wrapped(state.angle + velocity), velocity)

    def distance(self, state: ReacherState, goal: ReacherState) -> Float[Tensor, " b"]:
        """Return how far joints are from their goals, modulo a turn, as the length of both differences in radians."""
        return wrapped(state.angle - goal.angle).norm(dim=1)

    def reached(self, state: ReacherState, goal: ReacherState) -> Bool[Tensor, " b"]:
        """Return whether an arm is within `near` radians of its goal posture, at whatever speed."""
        return self.distance(state, goal) < self.near

    def factors(self, state: ReacherState) -> dict[str, Float[Tensor, "b _"]]:
        """Return cosines and sines of both angles, both velocities, and the tip's place in pixels."""
        circles = torch.cat((state.angle.cos(), state.angle.sin()), dim=1)
        return {"angle": circles, "velocity": state.velocity, "tip": joints(state)[2]}

    def render(self, state: ReacherState) -> UInt8[Tensor, "b 3 h w"]:
        """Draw the upper arm in blue, the lower arm in orange over it, and the shoulder in white."""
        size = self.image_size
        frames = torch.zeros(len(state), 3, size, size, dtype=torch.uint8, device=state.angle.device)
        for part in parts(len(state), size):
            self._paint(frames[part], select(state, part))
        return frames

    def _paint(self, frames: UInt8[Tensor, "b 3 h w"], state: ReacherState) -> None:
        size, scale = self.image_size, self.image_size / SIDE
        shoulder, elbow, tip = (place * scale - 0.5 for place in joints(state))
        links = ((shoulder, elbow, UPPER, (60, 110, 230)), (elbow, tip, LOWER, (250, 150, 50)))
        for begin, end, length, colour in links:
            pixels = window((begin + end) / 2, (length / 2 + HALF_WIDTH) * scale + 0.5, size)
            paint(frames, pixels, capsule(pixels, begin, end, HALF_WIDTH * scale), colour)
        pixels = window(shoulder, 1.2 * scale + 0.5, size)
        paint(frames, pixels, disc(pixels, shoulder, 1.2 * scale), (255, 255, 255))


def joints(state: ReacherState) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b 2"], Float[Tensor, "b 2"]]:
    """Return the places of shoulder, elbow and tip in pixels."""
    shoulder = torch.full_like(state.angle, SIDE / 2)
    along = state.angle.new_tensor([1.0, 0.0])
    elbow = shoulder + UPPER * turned(state.angle[:, 0], along)
    return shoulder, elbow, elbow + LOWER * turned(state.angle.sum(1), along)
