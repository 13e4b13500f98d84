"""Make pairs whose pictures are the same, bit for bit: one is told what was done, the other for one block the opposite.

Nothing in the pictures tells the two apart. The action that is told would have led elsewhere, which the world itself
is asked: the pair counts only where it is far enough away to be seen.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.types import UserError
from jepakit.worlds.point_maze import PointMaze2D
from jepakit.worlds.push_disc import PushDisc
from jepakit.worlds.reacher import Reacher2D
from jepakit.worlds.swm_two_room import SWMTwoRoom
from jepakit.worlds.trajectories import Trajectories, follow, select
from jepakit.worlds.two_rooms import TwoRooms
from jepakit.worlds.violations.pairs import Pairs, Setting, chosen, drawn_block, gathered

FAR: Mapping[type, tuple[str, float]] = {
    TwoRooms: ("position", 3.0),
    SWMTwoRoom: ("position", 10.0),
    PointMaze2D: ("position", 0.3),
    PushDisc: ("agent", 3.0),
    Reacher2D: ("tip", 4.0),
}
"""What is to be elsewhere, by its name among the world's factors, and how far, in the world's units: about 3 pixels."""


def told_the_opposite(setting: Setting, num: int) -> Pairs:
    """Return pairs in which between two frames the negated actions are told.

    Raises:
        UserError: Actions hardly move anything in this world, or too few pairs come up.
    """
    if type(setting.world) not in FAR:
        raise UserError(f"Actions of {type(setting.world).__name__} do not move things far enough to be told apart.")

    def attempt(ids: Int[Tensor, " b"]) -> Pairs | None:
        made, block = setting.made(ids), drawn_block(setting, ids, "told")
        told = opposite(made.action, block, setting.frame_skip)
        is_good = leads_elsewhere(setting, made, told, block)
        if not is_good.any():
            return None
        lawful = setting.clips(chosen(made, is_good), ids[is_good])
        return Pairs(lawful, replace(lawful, action=told[is_good]), block[is_good] + 1)

    return gathered(attempt, num, setting.first)


def opposite(action: Float[Tensor, "b t a"], block: Int[Tensor, " b"], frame_skip: int) -> Float[Tensor, "b t a"]:
    """Return actions, those of one block negated."""
    is_in_block = torch.arange(action.shape[1]) // frame_skip == block[:, None]
    return torch.where(is_in_block[..., None], -action, action)


def leads_elsewhere(
    setting: Setting, made: Trajectories, told: Float[Tensor, "b t a"], block: Int[Tensor, " b"]
) -> Bool[Tensor, " b"]:
    """Return where what is told of a block would have led far from where things are after it."""
    name, far = FAR[type(setting.world)]
    rows = torch.arange(len(block))
    begin = block * setting.frame_skip
    steps = begin[:, None] + torch.arange(setting.frame_skip)
    start = select(made.states, rows * made.num_states + begin)
    end = follow(setting.world, start, told[rows[:, None], steps]).at(setting.frame_skip)
    real = select(made.states, rows * made.num_states + begin + setting.frame_skip)
    places = (setting.world.factors(state)[name] for state in (end, real))
    away: Tensor = torch.sub(*places).norm(dim=1)
    return away >= far
