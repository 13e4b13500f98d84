"""BouncingBalls: balls that bounce off walls and off each other, and may pass behind a screen.

Lengths are in pixels of a picture of 64 x 64, x to the right and y down. Balls have equal masses and sizes. A step is
four equal moves; where after one of them two balls overlap while nearing each other, they exchange their velocities
along the line between them, and are set as far apart as they would be, had they met in time: energy and momentum are
kept exactly but for rounding. Walls turn the velocity across them. An action adds 0.2 pixels a step, a unit, to the
velocity of ball 0, whose speed is then cut to 3; without action nothing acts from outside. A state can be edited
(`state.at`), so that a moment can be made that no physics explains.

Source: the bouncing balls of Sutskever, Hinton and Taylor 2008 ("The recurrent temporal restricted Boltzmann machine").
Deviations: colours, the screen, the push.
"""

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.worlds.painting import disc, paint, window

SIDE = 64
RADIUS = 5.0
PUSH, TOP_SPEED = 0.2, 3.0
SPEEDS = (1.0, 2.0)
"""Slowest and fastest ball at the start, in pixels a step."""

NEAR = RADIUS
NUM_MOVES = 4
COLOURS = ((255, 80, 80), (80, 220, 90), (90, 130, 255), (250, 220, 70), (90, 230, 230), (230, 100, 230))
SCREEN_COLOUR = 120
_GRID = 3
"""Balls start in different ones of 3 x 3 squares, so that no two overlap."""


@dataclass(frozen=True)
class BouncingBallsState:
    """Hold everything there is to know about a batch of boxes.

    Args:
        position: Middles of the balls.
        velocity: Pixels a step.
        screen: First column of the screen, in pixels.
    """

    position: Float[Tensor, "b num 2"]
    velocity: Float[Tensor, "b num 2"]
    screen: Float[Tensor, " b"]

    def at(
        self, position: Float[Tensor, "b num 2"] | None = None, velocity: Float[Tensor, "b num 2"] | None = None
    ) -> "BouncingBallsState":
        """Return the same boxes with other places, other velocities, or both."""
        return replace(
            self,
            position=self.position if position is None else position,
            velocity=self.velocity if velocity is None else velocity,
        )

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class BouncingBalls:
    """Step and draw a batch of boxes.

    Args:
        num_balls: Balls of a box, 1 to 6.
        screen_width: Width of the screen in front, in pixels; 0 for none.
        image_size: Pixels of a side of the picture.
        seed: Seed of starts and goals.

    Example:
        >>> world = BouncingBalls(screen_width=16.0)
        >>> state = world.step(world.start(torch.arange(3)), torch.zeros(3, 2))
        >>> world.render(state).shape
        torch.Size([3, 3, 64, 64])
    """

    num_balls: int = 3
    screen_width: float = 0.0
    image_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        require(1 <= self.num_balls <= len(COLOURS), f"There can be 1 to {len(COLOURS)} balls, got {self.num_balls}.")
        require(0.0 <= self.screen_width < SIDE, f"A screen is 0 to {SIDE} pixels wide, got {self.screen_width}.")
        require(self.image_size >= 16, f"A picture needs at least 16 pixels a side, got {self.image_size}.")

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return the pushes of ball 0 that a planner may choose; others are cut to these."""
        return gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Return the space of pictures."""
        return gymnasium.spaces.Box(0, 255, (3, self.image_size, self.image_size), np.uint8)

    def start(self, ids: Int[Tensor, " b"]) -> BouncingBallsState:
        """Begin episodes with balls apart from each other, moving anywhere at 1 to 2 pixels a step."""
        return self._started(ids, "start", self._squares(ids, "start"))

    def task(self, ids: Int[Tensor, " b"]) -> tuple[BouncingBallsState, BouncingBallsState]:
        """Return where episodes begin, and states of the same boxes in which ball 0 is where it is to be.

        Ball 0 starts in another square than its goal's, at least 10 pixels away.
        """
        squares = self._squares(ids, "task")
        goal = self._started(ids, "goal", squares[:, 1:])
        start = self._started(ids, "task", squares)
        return start, replace(goal, screen=start.screen)

    def step(self, state: BouncingBallsState, action: Float[Tensor, "b 2"]) -> BouncingBallsState:
        """Push ball 0 and let all balls move."""
        action = action.clamp(-1.0, 1.0)
        first = state.velocity[:, 0] + PUSH * action
        speed = first.norm(dim=1, keepdim=True)
        is_pushed = (action != 0.0).any(1, keepdim=True)  # a ball that nobody pushes keeps its energy
        first = torch.where(is_pushed, first * (TOP_SPEED / speed.clamp_min(TOP_SPEED)), first)
        position, velocity = state.position, torch.cat((first[:, None], state.velocity[:, 1:]), dim=1)
        for _ in range(NUM_MOVES):
            position, velocity = collided(position + velocity / NUM_MOVES, velocity)
            position, velocity = bounced(position, velocity)
        return state.at(position, velocity)

    def distance(self, state: BouncingBallsState, goal: BouncingBallsState) -> Float[Tensor, " b"]:
        """Return how far ball 0 is from its goal in pixels; the others do not count."""
        return (state.position[:, 0] - goal.position[:, 0]).norm(dim=1)

    def reached(self, state: BouncingBallsState, goal: BouncingBallsState) -> Bool[Tensor, " b"]:
        """Return whether ball 0 is within its radius of 5 pixels of its goal, at whatever speed."""
        return self.distance(state, goal) < NEAR

    def factors(self, state: BouncingBallsState) -> dict[str, Float[Tensor, "b _"]]:
        """Return places in pixels and velocities in pixels a step, ball by ball."""
        return {"position": state.position.flatten(1), "velocity": state.velocity.flatten(1)}

    def is_hidden(self, state: BouncingBallsState) -> Bool[Tensor, "b num"]:
        """Return whether all of a ball is behind the screen."""
        left = state.position[:, :, 0] - state.screen[:, None]
        return (left >= RADIUS) & (left <= self.screen_width - RADIUS)

    def render(self, state: BouncingBallsState) -> UInt8[Tensor, "b 3 h w"]:
        """Draw the balls on black, those of a higher number over the others, and the screen over all of them."""
        size, scale = self.image_size, self.image_size / SIDE
        frames = torch.zeros(len(state), 3, size, size, dtype=torch.uint8, device=state.position.device)
        for ball, colour in enumerate(COLOURS[: self.num_balls]):
            middle = state.position[:, ball] * scale - 0.5
            pixels = window(middle, RADIUS * scale + 0.5, size)
            paint(frames, pixels, disc(pixels, middle, RADIUS * scale), colour)
        if self.screen_width:
            column = (torch.arange(size, device=frames.device) + 0.5) / scale - state.screen[:, None]
            is_screen = (column >= 0.0) & (column < self.screen_width)
            hidden = is_screen[:, None, None, :].to(torch.uint8)
            frames.mul_(1 - hidden).add_(SCREEN_COLOUR * hidden)
        return frames

    def _squares(self, ids: Int[Tensor, " b"], name: str) -> Int[Tensor, "b squares"]:
        """Return the squares of the grid in a random order."""
        u = Stream(self.seed, f"bouncing-balls/{name}/squares").uniform(0, ids, _GRID**2)
        return u.argsort(dim=1, stable=True)

    def _started(self, ids: Int[Tensor, " b"], name: str, squares: Int[Tensor, "b squares"]) -> BouncingBallsState:
        """Put balls into the first squares, each anywhere within its own."""
        num = self.num_balls
        u = Stream(self.seed, f"bouncing-balls/{name}").uniform(0, ids, 4 * num + 1)
        square, width = squares[:, :num], SIDE / _GRID
        corner = width * torch.stack((square % _GRID, square // _GRID), dim=-1)
        position = corner + RADIUS + u[:, : 2 * num].unflatten(1, (num, 2)) * (width - 2 * RADIUS)
        speed = SPEEDS[0] + u[:, 2 * num : 3 * num] * (SPEEDS[1] - SPEEDS[0])
        heading = 2.0 * torch.pi * u[:, 3 * num : 4 * num]
        velocity = speed[..., None] * torch.stack((heading.cos(), heading.sin()), dim=-1)
        return BouncingBallsState(position, velocity, (u[:, -1] * (SIDE - self.screen_width)).round())


def collided(
    position: Float[Tensor, "b num 2"], velocity: Float[Tensor, "b num 2"]
) -> tuple[Float[Tensor, "b num 2"], Float[Tensor, "b num 2"]]:
    """Let balls that overlap bounce off each other, pair by pair."""
    places, speeds = list(position.unbind(1)), list(velocity.unbind(1))
    for one in range(len(places)):
        for other in range(one):
            offset = places[one] - places[other]
            far = offset.norm(dim=1, keepdim=True).clamp_min(1e-6)
            normal = offset / far
            overlap = (2 * RADIUS - far).clamp_min(0.0)
            nearing = ((speeds[one] - speeds[other]) * normal).sum(1, keepdim=True)
            is_hit = (overlap > 0.0) & (nearing < 0.0)
            exchanged = torch.where(is_hit, nearing, 0.0) * normal
            speeds[one], speeds[other] = speeds[one] - exchanged, speeds[other] + exchanged
            apart = torch.where(is_hit, overlap, overlap / 2) * normal
            places[one], places[other] = places[one] + apart, places[other] - apart
    return torch.stack(places, dim=1), torch.stack(speeds, dim=1)


def bounced(
    position: Float[Tensor, "b num 2"], velocity: Float[Tensor, "b num 2"]
) -> tuple[Float[Tensor, "b num 2"], Float[Tensor, "b num 2"]]:
    """Reflect balls that are beyond the walls."""
    low, high = RADIUS, SIDE - RADIUS
    velocity = torch.where(position < low, velocity.abs(), torch.where(position > high, -velocity.abs(), velocity))
    reflected = torch.where(position < low, 2 * low - position, position)
    reflected = torch.where(position > high, 2 * high - position, reflected)
    return reflected.clamp(low, high), velocity
