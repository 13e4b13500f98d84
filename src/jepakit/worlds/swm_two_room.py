"""SWMTwoRoom: the TwoRoom of stable-worldmodel and LeWM, a red dot on white in two rooms that a wall with a door parts.

Units are pixels of a picture of 224 x 224, x to the right and y down, whatever size is drawn. The dot's middle stays in
[21, 203]; the wall, widened by the dot's radius, covers x from 100 to 124, save in the door, y from 33.25 to 64.75. An
action in [-1, 1]^2, cut to that, moves the dot by 5 pixels a unit. At the wall it stops half a pixel before, and slides
along it. Nothing is random but where episodes begin and end.

Source: stable-worldmodel arXiv 2605.21800, used by LeWM arXiv 2603.19312. Deviations: a move is followed along its
whole way, where the reference asks at its end alone and so lets a dot cut through the corners of the wall, or throws it
out of the door against its post; only the default layout; starts and goals are drawn where the dot can be, [21, 203]
without the wall, where the reference draws them from [14, 209] and moves the dot at the first step.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.worlds.painting import paint, parts, window

SIDE = 224
ARENA = (21.0, 203.0)
"""Where the dot's middle may be: 14 pixels of border and the dot's radius of 7."""

WALL = (100.0, 124.0)
DOOR_Y, HALF_DOOR = 49.0, 15.75
PUSHED_BACK = 0.5
SPEED = 5.0
DOT_STD = 7.0
NEAR = 16.0
"""Distance from the goal below which the reference counts a success."""


@dataclass(frozen=True)
class SWMTwoRoomState:
    """Hold where the dots are, (x, y) in pixels of 224."""

    position: Float[Tensor, "b 2"]

    def at(self, position: Float[Tensor, "b 2"]) -> "SWMTwoRoomState":
        """Return the same rooms with the dot elsewhere."""
        return replace(self, position=position)

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class SWMTwoRoom:
    """Step and draw a batch of rooms.

    Args:
        rooms: `any` (start and goal anywhere, the reference's) or `opposite` (never in the same room).
        image_size: Pixels of a side of the picture; 224 is the reference's.
        seed: Seed of starts and goals.

    Example:
        >>> world = SWMTwoRoom()
        >>> state = world.step(world.start(torch.arange(3)), torch.ones(3, 2))
        >>> world.render(state).shape
        torch.Size([3, 3, 64, 64])
    """

    rooms: str = "any"
    image_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.rooms in ("any", "opposite"), f"Rooms of a task are any or opposite, not {self.rooms!r}.")
        require(self.image_size >= 16, f"A picture needs at least 16 pixels a side, got {self.image_size}.")

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return the moves that a planner may choose, in units of 5 pixels."""
        return gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Return the space of pictures."""
        return gymnasium.spaces.Box(0, 255, (3, self.image_size, self.image_size), np.uint8)

    def start(self, ids: Int[Tensor, " b"]) -> SWMTwoRoomState:
        """Begin episodes with the dot anywhere but in the wall and its door."""
        u = Stream(self.seed, "swm-two-room/start").uniform(0, ids, 3)
        return SWMTwoRoomState(_in_room(u[:, 0] < 0.5, u[:, 1:]))

    def task(self, ids: Int[Tensor, " b"]) -> tuple[SWMTwoRoomState, SWMTwoRoomState]:
        """Return where episodes begin and where they are to end."""
        u = Stream(self.seed, "swm-two-room/task").uniform(0, ids, 6)
        is_left = u[:, 0] < 0.5
        is_goal_left = ~is_left if self.rooms == "opposite" else u[:, 1] < 0.5
        return SWMTwoRoomState(_in_room(is_left, u[:, 2:4])), SWMTwoRoomState(_in_room(is_goal_left, u[:, 4:]))

    def step(self, state: SWMTwoRoomState, action: Float[Tensor, "b 2"]) -> SWMTwoRoomState:
        """Move every dot by its action, or along the wall that it meets."""
        end = state.position + SPEED * action.clamp(-1.0, 1.0)
        return state.at(slid(state.position, end.clamp(*ARENA)))

    def distance(self, state: SWMTwoRoomState, goal: SWMTwoRoomState) -> Float[Tensor, " b"]:
        """Return how far dots are from their goals in pixels of 224, as the crow flies."""
        return (state.position - goal.position).norm(dim=1)

    def reached(self, state: SWMTwoRoomState, goal: SWMTwoRoomState) -> Bool[Tensor, " b"]:
        """Return whether a dot is within the reference's 16 pixels of its goal."""
        return self.distance(state, goal) < NEAR

    def factors(self, state: SWMTwoRoomState) -> dict[str, Float[Tensor, "b _"]]:
        """Return the dot's place, in pixels of 224."""
        return {"position": state.position}

    def render(self, state: SWMTwoRoomState) -> UInt8[Tensor, "b 3 h w"]:
        """Draw black walls on white and the dot over both, red by exp(-squared distance / (2 x 7^2))."""
        walls = drawn_walls(self.image_size, state.position.device)
        frames = walls.expand(len(state), 3, -1, -1).contiguous()
        for part in parts(len(state), self.image_size):
            self._paint(frames[part], state.position[part])
        return frames

    def _paint(self, frames: UInt8[Tensor, "b 3 h w"], position: Float[Tensor, "b 2"]) -> None:
        scale = self.image_size / SIDE
        middle = (position + 0.5) * scale - 0.5
        pixels = window(middle, 3.4 * DOT_STD * scale, self.image_size)  # beyond that its cover is below 1 / 255
        along = torch.exp(-((pixels - middle[:, :, None]) ** 2) / (2 * (DOT_STD * scale) ** 2))
        along = along / along.amax(2, keepdim=True)  # as in the reference the pixel next to its middle is all red
        paint(frames, pixels, along[:, 1, :, None] * along[:, 0, None, :], (255, 0, 0))


def slid(begin: Float[Tensor, "b 2"], end: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Return where moves of at most 5 pixels along each axis end, that slide along the wall and the door's posts."""
    (x, y), (end_x, end_y) = begin.unbind(1), end.unbind(1)
    in_door = (end_y - DOOR_Y).clamp(-HALF_DOOR, HALF_DOOR) + DOOR_Y
    is_left = (x + end_x) / 2 < (WALL[0] + WALL[1]) / 2  # a move is too short to have to do with both sides
    face = torch.where(is_left, WALL[0], WALL[1])
    was_inside, is_inside = ((value > WALL[0]) & (value < WALL[1]) for value in (x, end_x))
    share = (face - x) / torch.where(was_inside == is_inside, 1.0, end_x - x)
    is_met_in_door = (y + share * (end_y - y) - DOOR_Y).abs() <= HALF_DOOR
    is_stopped = ~was_inside & is_inside & ~is_met_in_door
    before = torch.where(is_left, WALL[0] - PUSHED_BACK, WALL[1] + PUSHED_BACK)
    is_held = (is_inside & ~is_stopped) | (was_inside & ~is_inside & ~is_met_in_door)
    return torch.stack((torch.where(is_stopped, before, end_x), torch.where(is_held, in_door, end_y)), dim=1)


def _in_room(is_left: Bool[Tensor, " b"], u: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Return places that are uniform in the left or the right room."""
    left = ARENA[0] + u[:, 0] * (WALL[0] - ARENA[0])
    right = WALL[1] + u[:, 0] * (ARENA[1] - WALL[1])
    return torch.stack((torch.where(is_left, left, right), ARENA[0] + u[:, 1] * (ARENA[1] - ARENA[0])), dim=1)


@lru_cache(maxsize=4)
def drawn_walls(size: int, device: torch.device) -> UInt8[Tensor, "h w"]:
    """Draw the border and the wall with its door in black on white, shrunk by area from 224 pixels a side."""
    pixels = torch.arange(SIDE, device=device)
    is_border = ((pixels >= 10) & (pixels < 14)) | ((pixels >= 210) & (pixels < 214))
    is_wall = ((pixels - 112).abs() <= 5) & ((pixels - DOOR_Y).abs() > 14)[:, None]
    is_black = is_border | is_border[:, None] | is_wall
    edges = torch.arange(size, device=device)[:, None] * (SIDE / size)
    overlap = (torch.minimum(edges + SIDE / size, pixels + 1) - torch.maximum(edges, pixels)).clamp_min(0.0)
    share = overlap.double() * size / SIDE  # of each pixel drawn that lies in each of the 224
    return (255.0 * (share @ (~is_black).double() @ share.T) + 1e-6).to(torch.uint8)
