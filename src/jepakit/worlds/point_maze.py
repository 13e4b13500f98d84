"""PointMaze2D: a ball with a velocity, driven by a force through a maze; layouts can be held out.

Lengths are in cells of the maze, x to the right and y down, cell (row, column) covering [column, column + 1] x
[row, row + 1]. A step is velocity <- (1 - damping) velocity + force x action, then position <- position + velocity in
four moves, along x and then along y each. A ball has radius 0.2 and walls are 0.12 thick, so its middle keeps 0.26
from the lines between cells: it is free in the middle square of its cell and in the passages to open neighbours, and is
stopped, its velocity across the wall lost, where it would leave them. No speed is enough to pass a wall.

Source: the point mazes of D4RL (arXiv 2004.07219) and of PLDM (arXiv 2502.14819), without a physics engine. Deviations
from those: ours are the maze's drawing, the masses and the damping; contact is without friction and bounce.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError, require
from jepakit.worlds.mazes import Mazes, draw_mazes
from jepakit.worlds.painting import Colour, disc, paint, window

RADIUS, HALF_WALL = 0.2, 0.06
MARGIN = RADIUS + HALF_WALL
NEAR = 0.5
"""Distance from the goal in cells below which it is reached; two places on both sides of a wall are farther apart."""

NUM_MOVES = 4
BORDER = 1.0
"""Pixels between the picture's edge and the middle of the outer wall."""

_ROUNDING = 1e-4
WALL_COLOUR, _BALL_COLOUR = 110, (255, 90, 60)


@dataclass(frozen=True)
class PointMazeState:
    """Hold everything there is to know about a batch of mazes.

    Args:
        position: Where the ball's middle is, (x, y) in cells.
        velocity: Cells a step.
        layout: Number of the maze: those from `num_layouts` on are held out.
    """

    position: Float[Tensor, "b 2"]
    velocity: Float[Tensor, "b 2"]
    layout: Int[Tensor, " b"]

    def at(self, position: Float[Tensor, "b 2"], velocity: Float[Tensor, "b 2"] | None = None) -> "PointMazeState":
        """Return the same mazes with the ball elsewhere, at rest unless its velocity is given."""
        return replace(self, position=position, velocity=torch.zeros_like(position) if velocity is None else velocity)

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class PointMaze2D:
    """Step and draw a batch of mazes.

    Args:
        split: `train` or `held-out`: the layouts from which episodes are drawn; the two have none in common.
        size: Cells of a side.
        num_layouts: Layouts of each split.
        loops: Share of the walls of a perfect maze that are opened.
        path_lengths: Shortest and longest way of a task, in cells.
        force: Gain of speed by an action of 1, in cells a step.
        damping: Share of the velocity lost in a step.
        image_size: Pixels of a side of the picture.
        trail: Whether a picture also shows where the ball came from: what two frames, one step apart, would show.
        seed: Seed of layouts, starts and goals.

    Example:
        >>> world = PointMaze2D("held-out")
        >>> state = world.step(world.start(torch.arange(3)), torch.ones(3, 2))
        >>> world.render(state).shape
        torch.Size([3, 3, 64, 64])
    """

    split: str = "train"
    size: int = 6
    num_layouts: int = 40
    loops: float = 0.1
    path_lengths: tuple[int, int] = (3, 12)
    force: float = 0.06
    damping: float = 0.2
    image_size: int = 64
    trail: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.split in ("train", "held-out"), f"A split of mazes is train or held-out, not {self.split!r}.")
        require(self.size >= 2, f"A maze has at least 2 cells a side, got {self.size}.")
        require(self.num_layouts >= 1, f"A split has at least 1 layout, got {self.num_layouts}.")
        require(0.0 < self.damping <= 1.0, f"Damping is above 0 and at most 1, got {self.damping}.")
        require(
            1 <= self.path_lengths[0] <= self.path_lengths[1],
            f"Path lengths are the shortest, at least 1, and the longest, got {self.path_lengths}.",
        )
        require(
            self.image_size >= 6 * self.size + 2,
            f"A maze of {self.size} cells a side needs at least {6 * self.size + 2} pixels, got {self.image_size}.",
        )

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return the forces that a planner may choose; others are cut to these."""
        return gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Return the space of pictures."""
        return gymnasium.spaces.Box(0, 255, (3, self.image_size, self.image_size), np.uint8)

    @property
    def top_speed(self) -> float:
        """Return the speed along one axis to which a force of 1 leads."""
        return self.force / self.damping

    def mazes(self, device: torch.device) -> Mazes:
        """Return the layouts of both splits, those for training first."""
        return _on_device(self.size, self.loops, self.num_layouts, self.seed, device)

    def layouts(self, ids: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
        """Return the layout of episodes."""
        drawn = Stream(self.seed, "point-maze/layout").integers(0, ids, 1, self.num_layouts)[:, 0]
        return drawn + (self.num_layouts if self.split == "held-out" else 0)

    def start(self, ids: Int[Tensor, " b"]) -> PointMazeState:
        """Begin episodes with the ball in any cell, at up to half its top speed along each axis."""
        u = Stream(self.seed, f"point-maze/{self.split}/start").uniform(0, ids, 5)
        place = self._in_cell((u[:, 0] * self.size**2).long(), u[:, 1:3])
        return PointMazeState(place, (u[:, 3:] - 0.5) * self.top_speed, self.layouts(ids))

    def task(self, ids: Int[Tensor, " b"]) -> tuple[PointMazeState, PointMazeState]:
        """Return where episodes begin and where they are to end, at rest, a way of the asked length apart.

        Raises:
            UserError: A layout has no two cells so far apart.
        """
        layout = self.layouts(ids)
        num_pairs = _num_pairs(self.size, self.loops, self.num_layouts, self.seed, self.path_lengths, ids.device)
        u = Stream(self.seed, f"point-maze/{self.split}/task").uniform(0, ids, 5)
        upto = num_pairs[layout]
        chosen = (u[:, :1] * upto[:, -1:]).long()
        pair = torch.searchsorted(upto, chosen, right=True)[:, 0].clamp_max(upto.shape[1] - 1)
        cells = (pair // self.size**2, pair % self.size**2)
        begin, end = (self._in_cell(cell, u[:, 1 + 2 * i : 3 + 2 * i]) for i, cell in enumerate(cells))
        state = PointMazeState(begin, torch.zeros_like(begin), layout)
        return state, state.at(end)

    def step(self, state: PointMazeState, action: Float[Tensor, "b 2"]) -> PointMazeState:
        """Drive every ball by its force, up to the walls."""
        closed = self.mazes(state.position.device).closed
        velocity = (1.0 - self.damping) * state.velocity + self.force * action.clamp(-1.0, 1.0)
        (x, y), (vx, vy) = state.position.unbind(1), velocity.unbind(1)
        for _ in range(NUM_MOVES):
            x, vx = self._moved(x, y, vx, closed[:, :2], state.layout)
            y, vy = self._moved(y, x, vy, closed[:, 2:].transpose(2, 3), state.layout)
        return replace(state, position=torch.stack((x, y), dim=1), velocity=torch.stack((vx, vy), dim=1))

    def _moved(
        self,
        along: Float[Tensor, " b"],
        across: Float[Tensor, " b"],
        velocity: Float[Tensor, " b"],
        closed: Bool[Tensor, "l 2 n n"],
        layout: Int[Tensor, " b"],
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """Move balls a part of a step along one axis, no farther than into the passage to the next cell."""
        cell, lane = (value.floor().clamp(0, self.size - 1) for value in (along, across))
        inside = across - lane
        is_in_lane = (inside >= MARGIN - _ROUNDING) & (inside <= 1.0 - MARGIN + _ROUNDING)
        walls = closed[layout, :, lane.long(), cell.long()] | ~is_in_lane[:, None]
        low = cell + torch.where(walls[:, 0], MARGIN, MARGIN - 1.0)
        high = cell + 1.0 - torch.where(walls[:, 1], MARGIN, MARGIN - 1.0)
        asked = along + velocity / NUM_MOVES
        moved = torch.minimum(torch.maximum(asked, low), high)
        return moved, torch.where(moved == asked, velocity, 0.0)

    def distance(self, state: PointMazeState, goal: PointMazeState) -> Float[Tensor, " b"]:
        """Return how far balls are from their goals in cells, as the crow flies."""
        return (state.position - goal.position).norm(dim=1)

    def way(self, state: PointMazeState, goal: PointMazeState) -> Int[Tensor, " b"]:
        """Return the cells to walk from balls to their goals."""
        here, there = (
            (self.size * cells[:, 1] + cells[:, 0])
            for cells in (s.position.floor().clamp(0, self.size - 1).long() for s in (state, goal))
        )
        return self.mazes(state.position.device).ways[state.layout, here, there]

    def reached(self, state: PointMazeState, goal: PointMazeState) -> Bool[Tensor, " b"]:
        """Return whether a ball is within half a cell of its goal, at whatever speed."""
        return self.distance(state, goal) < NEAR

    def factors(self, state: PointMazeState) -> dict[str, Float[Tensor, "b _"]]:
        """Return the ball's place in cells and its velocity in cells a step."""
        return {"position": state.position, "velocity": state.velocity}

    def render(self, state: PointMazeState) -> UInt8[Tensor, "b 3 h w"]:
        """Draw the walls in gray and the ball in red; its velocity is not to be seen, but with a `trail`.

        Then each channel shows one thing: red the ball, green the walls, blue the ball a velocity back.
        """
        device = state.position.device
        walls = _drawn(self.size, self.loops, self.num_layouts, self.seed, self.image_size, device)[state.layout]
        scale = (self.image_size - 2 * BORDER) / self.size
        middle = BORDER - 0.5 + scale * state.position
        if not self.trail:
            frames = walls[:, None].expand(-1, 3, -1, -1).contiguous()
            self._paint_ball(frames, middle, _BALL_COLOUR)
            return frames
        frames = torch.zeros(len(walls), 3, *walls.shape[1:], dtype=torch.uint8, device=device)
        frames[:, 1] = walls
        self._paint_ball(frames[:, :1], middle, (255,))
        self._paint_ball(frames[:, 2:], middle - scale * state.velocity, (255,))
        return frames

    def _paint_ball(self, frames: UInt8[Tensor, "b c h w"], middle: Float[Tensor, "b 2"], colour: Colour) -> None:
        """Paint a ball in place."""
        radius = RADIUS * (self.image_size - 2 * BORDER) / self.size
        pixels = window(middle, radius + 0.5, self.image_size)
        paint(frames, pixels, disc(pixels, middle, radius), colour)

    def _in_cell(self, cell: Int[Tensor, " b"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
        """Return places that are uniform where a ball has room in cells."""
        corner = torch.stack((cell % self.size, cell // self.size), dim=1)
        return corner + MARGIN + u * (1.0 - 2.0 * MARGIN)


@lru_cache(maxsize=8)
def _on_device(size: int, loops: float, num: int, seed: int, device: torch.device) -> Mazes:
    return draw_mazes(size, loops, num, seed).to(device)


@lru_cache(maxsize=8)
def _num_pairs(
    size: int, loops: float, num: int, seed: int, lengths: tuple[int, int], device: torch.device
) -> Int[Tensor, "l pairs"]:
    """Return how many of the pairs of cells up to each are a way of these lengths apart."""
    ways = draw_mazes(size, loops, num, seed).ways.flatten(1)
    upto = ((ways >= lengths[0]) & (ways <= lengths[1])).int().cumsum(1)
    if bool((upto[:, -1] == 0).any()):
        layout = int(upto[:, -1].argmin())
        raise UserError(
            f"Layout {layout} has no two cells {lengths[0]} to {lengths[1]} steps apart, its longest way is "
            f"{int(ways[layout].max())}; ask for other path lengths or larger mazes."
        )
    return upto.to(device)


@lru_cache(maxsize=8)
def _drawn(
    size: int, loops: float, num: int, seed: int, image_size: int, device: torch.device
) -> UInt8[Tensor, "l h w"]:
    """Draw the walls of every layout."""
    closed = draw_mazes(size, loops, num, seed).closed
    scale = (image_size - 2 * BORDER) / size
    place = (torch.arange(image_size) + 0.5 - BORDER) / scale
    cover = torch.zeros(len(closed), image_size, image_size)
    for side, row, column in ((s, r, c) for s in range(4) for r in range(size) for c in range(size)):
        x, y = column + (side == 1), row + (side == 3)  # where the wall begins
        length = (0, 1) if side < 2 else (1, 0)
        dx, dy = (
            (begin - place).clamp_min(0.0) + (place - begin - long).clamp_min(0.0)
            for begin, long in zip((x, y), length, strict=True)
        )
        away = (dx[None, :] ** 2 + dy[:, None] ** 2).sqrt()
        wall = ((HALF_WALL - away) * scale + 0.5).clamp(0, 1)
        cover = torch.maximum(cover, wall * closed[:, side, row, column, None, None])
    return (WALL_COLOUR * cover).to(torch.uint8).to(device)
