"""Wander through TwoRooms as EB-JEPA's and PLDM's data do: a heading that turns slowly, now and then through the door.

Each trajectory is a pure function of the world's seed and the trajectory's id, made for all ids at once: actions first,
then the world is stepped through them. A share of the trajectories is built to pass the door: at a random step the dot
stands in it, and the steps before and after lead away from it on both sides.

Source: the data of EB-JEPA arXiv 2602.03604 and PLDM arXiv 2502.14819. Deviations: a trajectory whose
start, counted back from the door, would lie in the wall starts beside it.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.worlds.draws import truncated_normal, von_mises
from jepakit.worlds.trajectories import Trajectories, follow
from jepakit.worlds.two_rooms import ARENA, CLEARANCE, HALF_DOOR, HALF_WALL, TwoRooms, TwoRoomsState, in_wall

DOOR_STD = 1.4
DOOR_HEADING = math.pi / 4


@dataclass(frozen=True)
class Wandering:
    """Say how the dot wanders.

    Args:
        turning: Concentration of the von Mises turns between steps; near 0 every heading is new.
        mean: Mean length of a step before truncation, in pixels.
        std: Standard deviation of the length before truncation.
        shortest: Shortest step.
        longest: Longest step.
        through_door: Share of the trajectories that pass the door.
    """

    turning: float = 5.0
    mean: float = 1.0
    std: float = 0.4
    shortest: float = 0.2
    longest: float = 1.8
    through_door: float = 0.35

    def __call__(self, world: TwoRooms, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
        """Return the trajectories of these ids, `num_steps` actions long."""
        return follow(world, *self.plan(world, ids, num_steps))

    def plan(
        self, world: TwoRooms, ids: Int[Tensor, " b"], num_steps: int
    ) -> tuple[TwoRoomsState, Float[Tensor, "b t 2"]]:
        """Return where trajectories start and what they do."""
        start = world.start(ids)
        u = Stream(world.seed, "two-rooms/wandering").uniform(0, ids, 2 * num_steps + 6)
        length = truncated_normal(u[:, :num_steps], self.mean, self.std, self.shortest, self.longest)
        turns = von_mises(u[:, num_steps : 2 * num_steps], self.turning)
        heading, passing, reversing, pivot, across, along = u[:, 2 * num_steps :].unbind(1)
        passes = passing < self.through_door
        pivot = torch.where(passes, (pivot * num_steps).long(), 0)  # the step that begins in the door
        left = math.pi + DOOR_HEADING * (2.0 * heading - 1.0)
        base = torch.where(passes, left, 2.0 * math.pi * heading)
        angle = base[:, None] + turned_away(turns, pivot)
        sign = torch.where(passes & (reversing < 0.5), -1.0, 1.0)
        action = (sign[:, None] * length)[..., None] * torch.stack((angle.cos(), angle.sin()), dim=-1)
        before = action * (torch.arange(num_steps, device=ids.device) < pivot[:, None])[..., None]
        door = torch.stack(
            (
                start.wall_x + HALF_WALL * (2.0 * across - 1.0),
                start.door_y + truncated_normal(along, 0.0, DOOR_STD, -HALF_DOOR, HALF_DOOR),
            ),
            dim=1,
        )
        came_from = beside_wall(start.at((door - before.sum(1)).clamp(*ARENA)))
        return start.at(torch.where(passes[:, None], came_from, start.position)), action


def beside_wall(state: TwoRoomsState) -> Float[Tensor, "b 2"]:
    """Return where dots are, those in the wall moved out of it to the nearer side."""
    x, y = state.position.unbind(1)
    side = torch.where(x < state.wall_x, -1.0, 1.0)
    return torch.stack((torch.where(in_wall(state), state.wall_x + side * (HALF_WALL + CLEARANCE), x), y), dim=1)


def turned_away(turns: Float[Tensor, "b t"], pivot: Int[Tensor, " b"]) -> Float[Tensor, "b t"]:
    """Add up turns from the pivot step outwards, to both sides: 0 at the pivot."""
    steps = torch.arange(turns.shape[1], device=turns.device)
    after = torch.where(steps > pivot[:, None], turns, 0.0).cumsum(1)
    before = torch.where(steps < pivot[:, None], turns, 0.0).flip(1).cumsum(1).flip(1)
    return after + before
