"""Make pairs of TwoRooms in which the dot hops across the wall's line: through the door, or with the door elsewhere.

Dot and actions are the same in both clips; the walls' channel differs in where the door is, in all frames of a clip.
No frame shows the dot in the wall, since the hop falls between two of them. So neither clip holds a picture that is not
lawful by itself.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError
from jepakit.worlds.trajectories import Trajectories
from jepakit.worlds.two_rooms import CLEARANCE, DOOR_Y, DOT_STD, HALF_DOOR, HALF_WALL, TwoRooms
from jepakit.worlds.violations.pairs import Pairs, Setting, chosen, gathered, in_blocks, only_block
from jepakit.worlds.wandering import Wandering

_NUM_TRIES = 8
_SHUT = HALF_DOOR + 2 * DOT_STD
"""Rows between the hop and the middle of the door elsewhere, at least."""


def through_the_wall(setting: Setting, num: int) -> Pairs:
    """Return pairs in which the door is where the dot passes the wall, or elsewhere.

    Raises:
        UserError: The world has one layout alone, or frames are so close that the dot is seen within the wall.
    """
    world = setting.world
    if not isinstance(world, TwoRooms) or world.layout != "random":
        raise UserError('A door can only be elsewhere where layouts differ: give TwoRooms("random").')
    if isinstance(setting.behaviour, Wandering):
        setting = replace(setting, behaviour=replace(setting.behaviour, through_door=1.0))

    def attempt(ids: Int[Tensor, " b"]) -> Pairs | None:
        made = setting.made(ids)
        block, is_hop = hops(made, setting.frame_skip)
        door, is_shut = door_elsewhere(setting, made, ids, block)
        is_good = is_hop & is_shut
        if not is_good.any():
            return None
        kept = chosen(made, is_good)
        doors = door[is_good].repeat_interleave(kept.num_states)
        shut = Trajectories(replace(kept.states, door_y=doors), kept.action)
        lawful, unlawful = (setting.clips(each, ids[is_good]) for each in (kept, shut))
        return Pairs(lawful, unlawful, block[is_good] + 1)

    return gathered(attempt, num, setting.first)


def hops(made: Trajectories, frame_skip: int) -> tuple[Int[Tensor, " b"], Bool[Tensor, " b"]]:
    """Return in which block the dot passes the wall's line, and where that is all that happens to it.

    It meets nothing on its way, passes once, and is out of the wall at every frame.
    """
    position = made.of(made.states.position)
    offset = position[..., 0] - made.of(made.states.wall_x.float())
    is_free = ((position.diff(dim=1) - made.action).abs() < 1e-3).all(dim=(1, 2))
    is_clear = (offset[:, ::frame_skip].abs() > HALF_WALL + CLEARANCE).all(dim=1)
    by_block = in_blocks(offset, frame_skip)
    is_passing = (by_block.abs() <= HALF_WALL).any(dim=2) | (by_block.sign().diff(dim=2) != 0).any(dim=2)
    is_across = by_block[:, :, 0].sign() != by_block[:, :, -1].sign()
    block, is_once = only_block(is_passing)
    return block, is_free & is_clear & is_once & is_across[torch.arange(len(block)), block]


def door_elsewhere(
    setting: Setting, made: Trajectories, ids: Int[Tensor, " b"], block: Int[Tensor, " b"]
) -> tuple[Int[Tensor, " b"], Bool[Tensor, " b"]]:
    """Draw another row for the door, and say whether the wall is then shut wherever the dot is during a block."""
    rows = in_blocks(made.of(made.states.position), setting.frame_skip)[torch.arange(len(ids)), block, :, 1]
    drawn = Stream(setting.world.seed, "violations/door").integers(0, ids, _NUM_TRIES, DOOR_Y[1] - DOOR_Y[0] + 1)
    doors = DOOR_Y[0] + drawn
    gap: Float[Tensor, "b tries"] = (doors[:, :, None] - rows[:, None]).abs().amin(dim=2)
    first = (gap > _SHUT).int().argmax(dim=1)
    return doors[torch.arange(len(ids)), first], (gap > _SHUT).any(dim=1)
