"""TwoRooms: a dot in two rooms that a wall with a door parts, seen from above; the world of EB-JEPA and PLDM.

Coordinates are pixels, x to the right and y down. The arena is [4, 60] x [4, 60]; the wall covers columns wall_x - 1 to
wall_x + 1, its door rows door_y - 4 to door_y + 4. An action is a displacement. Where it would cross a wall the dot
stops there and bounces: noise of standard deviation 0.5, its part across the wall turned inwards, so only bumps are
random. A picture has two channels, the dot and the walls, and depends on the state alone.

Source: EB-JEPA arXiv 2602.03604 and PLDM arXiv 2502.14819 (the same physics). Deviations: of several walls that one
action would cross the dot stops at the first on its way, where the reference asks door posts first, then left and
right, then top and bottom; a bounce never carries the dot through the middle wall.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError

SIZE = 65
ARENA = (4.0, 60.0)
HALF_WALL, HALF_DOOR = 1.0, 4.0
WALL_X, DOOR_Y = (20, 44), (10, 54)
"""Where a random wall and its door may be, ends included."""

BUMP_STD, CLEARANCE = 0.5, 0.3
DOT_STD = 1.3
REACH = 4
"""Pixels from the dot's own beyond which its picture, rounded down, is 0."""

MAX_STEP = 2.45
NEAR = 4.5
"""Distance from the goal in pixels below which EB-JEPA counts a success."""


@dataclass(frozen=True)
class TwoRoomsState:
    """Hold everything there is to know about a batch of rooms.

    Args:
        position: Where the dot is, (x, y) in pixels.
        wall_x: Column of the wall's middle.
        door_y: Row of the door's middle.
        id: Id of each episode, on which its bumps depend.
        time: Steps taken.
    """

    position: Float[Tensor, "b 2"]
    wall_x: Int[Tensor, " b"]
    door_y: Int[Tensor, " b"]
    id: Int[Tensor, " b"]
    time: int = 0

    def at(self, position: Float[Tensor, "b 2"]) -> "TwoRoomsState":
        """Return the same rooms with the dot elsewhere."""
        return replace(self, position=position)

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class TwoRooms:
    """Step and draw a batch of rooms.

    Args:
        layout: `fixed` (wall at column 32, door at row 18) or `random` (25 x 45 layouts, drawn by episode id).
        seed: Seed of layouts, starts, goals and bumps.

    Example:
        >>> world = TwoRooms("random", seed=0)
        >>> state = world.start(torch.arange(3))
        >>> state = world.step(state, torch.ones(3, 2))
        >>> world.render(state).shape
        torch.Size([3, 2, 65, 65])
    """

    layout: str = "fixed"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.layout not in ("fixed", "random"):
            raise UserError(f"A layout of TwoRooms is fixed or random, not {self.layout!r}.")

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return the displacements that a planner may choose, in pixels; the world itself takes any."""
        return gymnasium.spaces.Box(-MAX_STEP, MAX_STEP, (2,), np.float32)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Return the space of pictures."""
        return gymnasium.spaces.Box(0, 255, (2, SIZE, SIZE), np.uint8)

    def layouts(self, ids: Int[Tensor, " b"]) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"]]:
        """Return wall_x and door_y of episodes."""
        if self.layout == "fixed":
            return torch.full_like(ids, 32), torch.full_like(ids, 18)
        spans = torch.tensor([WALL_X[1] - WALL_X[0] + 1, DOOR_Y[1] - DOOR_Y[0] + 1], device=ids.device)
        drawn = Stream(self.seed, "two-rooms/layout").integers(0, ids, 2, spans)
        return WALL_X[0] + drawn[:, 0], DOOR_Y[0] + drawn[:, 1]

    def start(self, ids: Int[Tensor, " b"]) -> TwoRoomsState:
        """Begin episodes with the dot anywhere in the arena, door included, but not in the wall."""
        wall_x, door_y = self.layouts(ids)
        u = Stream(self.seed, "two-rooms/start").uniform(0, ids, 4)
        state = TwoRoomsState(ARENA[0] + u[:, :2] * (ARENA[1] - ARENA[0]), wall_x, door_y, ids)
        low, high = wall_x - HALF_WALL, wall_x + HALF_WALL
        room = torch.where(u[:, 2] < 0.5, ARENA[0] + u[:, 3] * (low - ARENA[0]), high + u[:, 3] * (ARENA[1] - high))
        x, y = state.position.unbind(1)
        return state.at(torch.stack((torch.where(in_wall(state), room, x), y), dim=1))

    def task(self, ids: Int[Tensor, " b"]) -> tuple[TwoRoomsState, TwoRoomsState]:
        """Return where episodes begin and where they are to end: opposite rooms, two dot sizes away from any wall."""
        wall_x, door_y = self.layouts(ids)
        u = Stream(self.seed, "two-rooms/task").uniform(0, ids, 5)
        margin = 2 * DOT_STD
        low, high = ARENA[0] + margin, ARENA[1] - margin
        left = low + u[:, 0] * (wall_x - HALF_WALL - margin - low)
        right = wall_x + HALF_WALL + margin + u[:, 1] * (high - wall_x - HALF_WALL - margin)
        rows = low + u[:, 2:4] * (high - low)
        swap = u[:, 4] < 0.5
        ends = [torch.where(swap, right, left), torch.where(swap, left, right)]
        start, goal = (torch.stack((x, rows[:, place]), dim=1) for place, x in enumerate(ends))
        state = TwoRoomsState(start, wall_x, door_y, ids)
        return state, state.at(goal)

    def step(self, state: TwoRoomsState, action: Float[Tensor, "b 2"]) -> TwoRoomsState:
        """Move every dot by its action, or to the first wall on its way and back a little."""
        end = state.position + action
        share, is_across_x, back = first_wall(state, action)
        is_bump = share <= 1.0 + 1e-5  # a dot that rounding left on the far side of a wall would never meet it again
        touched = state.position + share.clamp_max(1.0)[:, None] * action
        noise = BUMP_STD * Stream(self.seed, "two-rooms/bump").normal(state.time, state.id, 2)
        is_across = torch.stack((is_across_x, ~is_across_x), dim=1)
        bounce = torch.where(is_across, back[:, None] * noise.abs().clamp_min(CLEARANCE), noise)
        bounced = stay_in_room(state.at(touched), touched + bounce)
        return replace(state, position=torch.where(is_bump[:, None], bounced, end), time=state.time + 1)

    def distance(self, state: TwoRoomsState, goal: TwoRoomsState) -> Float[Tensor, " b"]:
        """Return how far dots are from their goals in pixels, as the crow flies."""
        return (state.position - goal.position).norm(dim=1)

    def way(self, state: TwoRoomsState, goal: TwoRoomsState) -> Float[Tensor, " b"]:
        """Return how far dots are from their goals in pixels, walking: through the door where a wall is between."""
        return shortest_way(out_of_wall(state), out_of_wall(state.at(goal.position)), state)

    def reached(self, state: TwoRoomsState, goal: TwoRoomsState) -> Bool[Tensor, " b"]:
        """Return whether a dot is within EB-JEPA's 4.5 pixels of its goal."""
        return self.distance(state, goal) < NEAR

    def factors(self, state: TwoRoomsState) -> dict[str, Float[Tensor, "b _"]]:
        """Return the dot's place, the wall's column and the door's row, in pixels."""
        walls = torch.stack((state.wall_x, state.door_y), dim=1).float()
        return {"position": state.position, "walls": walls}

    def render(self, state: TwoRoomsState) -> UInt8[Tensor, "b 2 h w"]:
        """Draw the dot, 255 exp(-squared distance / (2 x 1.3^2)) rounded down, and the walls."""
        frames = torch.zeros(len(state), 2, SIZE, SIZE, dtype=torch.uint8, device=state.position.device)
        walls = drawn_walls(state.position.device)
        frames[:, 1] = walls[state.wall_x, state.door_y]
        nearest = state.position.round().clamp(*ARENA).long()
        around = torch.arange(-REACH, REACH + 1, device=nearest.device)
        pixels = nearest[:, :, None] + around  # (b, 2, 9), all inside the picture
        along = torch.exp(-((pixels - state.position[:, :, None]) ** 2) / (2 * DOT_STD**2))
        dot = 255.0 * along[:, 1, :, None] * along[:, 0, None, :]
        places = pixels[:, 1, :, None] * SIZE + pixels[:, 0, None, :]
        frames[:, 0].view(len(state), -1).scatter_(1, places.flatten(1), dot.to(torch.uint8).flatten(1))
        return frames


@lru_cache(maxsize=4)
def drawn_walls(device: torch.device) -> UInt8[Tensor, "columns rows h w"]:
    """Draw the border, one pixel wide, and the wall with its door, for each column and row of the picture."""
    pixels = torch.arange(SIZE, device=device)
    edge = (pixels == ARENA[0]) | (pixels == ARENA[1])
    is_wall = (pixels - pixels[:, None]).abs() <= HALF_WALL
    is_closed = (pixels - pixels[:, None]).abs() > HALF_DOOR
    drawn = (edge[:, None] | edge) | (is_closed[None, :, :, None] & is_wall[:, None, None, :])
    return drawn.to(torch.uint8) * 255


def in_wall(state: TwoRoomsState) -> Bool[Tensor, " b"]:
    """Return whether a dot lies in the wall, and not in the door."""
    x, y = state.position.unbind(1)
    return ((x - state.wall_x).abs() <= HALF_WALL) & ((y - state.door_y).abs() > HALF_DOOR)


def first_wall(
    state: TwoRoomsState, action: Float[Tensor, "b 2"]
) -> tuple[Float[Tensor, " b"], Bool[Tensor, " b"], Float[Tensor, " b"]]:
    """Find the wall that each dot meets first on its way.

    Returns:
        The share of the way to it (above 1 where it meets none in this step), whether it stands across x, and the
        direction back from it along that axis, 1 or -1.
    """
    low, high = (state.position.new_full((len(state),), edge) for edge in ARENA)
    sides = torch.stack((low, high, state.wall_x - HALF_WALL, state.wall_x + HALF_WALL), dim=1)
    posts = torch.stack((low, high, state.door_y - HALF_DOOR, state.door_y + HALF_DOOR), dim=1)
    back = action.new_tensor([[1, -1, -1, 1], [1, -1, 1, -1]])  # the wall is met from outside, its door from inside
    x, y = state.position[:, :1], state.position[:, 1:]
    dx, dy = action[:, :1], action[:, 1:]
    to_side, to_post = share_of_way(x, dx, sides, back[0]), share_of_way(y, dy, posts, back[1])
    is_closed = (y + to_side * dy - state.door_y[:, None]).abs() > HALF_DOOR
    is_between = (x + to_post * dx - state.wall_x[:, None]).abs() <= HALF_WALL
    is_arena = torch.arange(4, device=action.device) < 2
    to_side = torch.where(is_arena | is_closed, to_side, torch.inf)
    to_post = torch.where(is_arena | is_between, to_post, torch.inf)
    share, which = torch.cat((to_side, to_post), dim=1).min(dim=1)
    return share, which < 4, back.flatten()[which]


def share_of_way(
    start: Float[Tensor, "b 1"], move: Float[Tensor, "b 1"], planes: Float[Tensor, "b p"], back: Float[Tensor, " p"]
) -> Float[Tensor, "b p"]:
    """Return which share of a move along one axis leads to each plane; infinite for planes that are not met so."""
    share = (planes - start) / move
    return torch.where((move * back < 0) & (share >= 0), share, torch.inf)


def stay_in_room(touched: TwoRoomsState, position: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Keep bounced dots inside the arena and on the side of the middle wall on which they touched something."""
    low, high = ARENA[0] + CLEARANCE, ARENA[1] - CLEARANCE
    offset = touched.position[:, 0] - touched.wall_x
    nearest = HALF_WALL + CLEARANCE
    x, y = position.clamp(low, high).unbind(1)
    left, right = offset <= -HALF_WALL + 1e-3, offset >= HALF_WALL - 1e-3
    x = torch.where(left, torch.minimum(x, touched.wall_x - nearest), x)
    x = torch.where(right, torch.maximum(x, touched.wall_x + nearest), x)
    return torch.stack((x, y), dim=1)


def out_of_wall(state: TwoRoomsState) -> Float[Tensor, "b 2"]:
    """Return where dots are, a place inside the wall counting as the nearer side of it."""
    x, y = state.position.unbind(1)
    side = state.wall_x + torch.where(x < state.wall_x, -HALF_WALL, HALF_WALL)
    return torch.stack((torch.where(in_wall(state), side, x), y), dim=1)


def shortest_way(start: Float[Tensor, "b 2"], end: Float[Tensor, "b 2"], rooms: TwoRoomsState) -> Float[Tensor, " b"]:
    """Return the length of the shortest way between places outside the wall.

    It is a taut string through both ends of the door: each is passed at one of its two corners, or on the straight line
    between what lies before and after. The shortest of these nine that stays inside the door is the way.
    """
    is_left = start[:, :1] <= end[:, :1]
    left, right = torch.where(is_left, start, end), torch.where(is_left, end, start)
    low, high = rooms.wall_x - HALF_WALL, rooms.wall_x + HALF_WALL
    is_one_room = (right[:, 0] <= low) | (left[:, 0] >= high)
    first, last = (torch.minimum(torch.maximum(edge, left[:, 0]), right[:, 0]) for edge in (low, high))
    corners = torch.stack((rooms.door_y - HALF_DOOR, rooms.door_y + HALF_DOOR), dim=1).to(start)  # (b, 2)
    passed = [torch.stack((edge[:, None].expand(-1, 2), corners), dim=-1) for edge in (first, last)]
    lengths = [_length(left, right)]
    is_inside = [_rows_inside(left, right, first, rooms) & _rows_inside(left, right, last, rooms)]
    for one in range(2):
        near, far = passed[0][:, one], passed[1][:, one]
        lengths += [_length(left, near, right), _length(left, far, right)]
        is_inside += [_rows_inside(near, right, last, rooms), _rows_inside(left, far, first, rooms)]
        for other in range(2):
            lengths.append(_length(left, near, passed[1][:, other], right))
            is_inside.append(torch.ones_like(is_one_room))
    through = torch.where(torch.stack(is_inside), torch.stack(lengths), torch.inf).amin(dim=0)
    return torch.where(is_one_room, lengths[0], through)


def _length(*places: Float[Tensor, "b 2"]) -> Float[Tensor, " b"]:
    """Return the length of the way along places."""
    way = torch.stack(places, dim=1)
    return torch.linalg.vector_norm(way.diff(dim=1), dim=-1).sum(dim=1)


def _rows_inside(
    start: Float[Tensor, "b 2"], end: Float[Tensor, "b 2"], column: Float[Tensor, " b"], rooms: TwoRoomsState
) -> Bool[Tensor, " b"]:
    """Return whether a straight line is between the door's posts where it meets a column."""
    (x, y), (dx, dy) = start.unbind(1), (end - start).unbind(1)
    share = torch.where(dx == 0, 0.0, (column - x) / torch.where(dx == 0, 1.0, dx))
    return (y + share * dy - rooms.door_y).abs() <= HALF_DOOR + 1e-4
