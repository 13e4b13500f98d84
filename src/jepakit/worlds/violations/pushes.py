"""Make pairs of PushDisc in which the T moves the same way: pushed by the disc, or with the disc away from it.

T and actions are the same in both clips, and the disc makes the same moves, but in the unlawful one all of them
somewhere else: nothing touches the T. The path is shifted by whole pixels, and neither thing hides the other, so
pictures change by as much from frame to frame as in the lawful one.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError
from jepakit.worlds.push_disc import SIDE, SPEED, PushDisc
from jepakit.worlds.pushing import AGENT_RADIUS, REACH, Contact
from jepakit.worlds.trajectories import Trajectories
from jepakit.worlds.violations.pairs import Pairs, Setting, chosen, gathered

MOVED = 2.0
"""How far, in pixels, some part of the T moves at least between the two frames of the moment."""

_NUM_TRIES, _APART = 16, 3.0


def moved_by_nothing(setting: Setting, num: int) -> Pairs:
    """Return pairs in which the disc that pushes is, or is not, at the T.

    Raises:
        UserError: It is another world, or too few pairs come up.
    """
    if not isinstance(setting.world, PushDisc):
        raise UserError(f"Ts are pushed in PushDisc, not in {type(setting.world).__name__}.")

    def attempt(ids: Int[Tensor, " b"]) -> Pairs | None:
        made = setting.made(ids)
        block, is_pushed = first_push(made, setting.frame_skip)
        if not is_pushed.any():
            return None
        made, ids, block = chosen(made, is_pushed), ids[is_pushed], block[is_pushed]
        shift, is_away = shift_away(setting, made, ids)
        if not is_away.any():
            return None
        kept, shift = chosen(made, is_away), shift[is_away].repeat_interleave(made.num_states, dim=0)
        alone = Trajectories(replace(kept.states, agent=kept.states.agent + shift), kept.action)
        lawful, unlawful = (setting.clips(each, ids[is_away]) for each in (kept, alone))
        return Pairs(lawful, unlawful, block[is_away] + 1)

    return gathered(attempt, num, setting.first)


def first_push(made: Trajectories, frame_skip: int) -> tuple[Int[Tensor, " b"], Bool[Tensor, " b"]]:
    """Return the first block in which a T moves, and where it is not the first or last, moves far, and nothing jams."""
    agent, place, angle = (made.of(part) for part in (made.states.agent, made.states.object, made.states.angle))
    turn = torch.remainder(angle[:, ::frame_skip].diff(dim=1) + torch.pi, 2 * torch.pi) - torch.pi
    far = place[:, ::frame_skip].diff(dim=1).norm(dim=-1) + REACH * turn.abs()
    block = (far > 1e-3).int().argmax(dim=1)
    is_far = far[torch.arange(len(block)), block] >= MOVED
    is_free = ((agent.diff(dim=1) - SPEED * made.action.clamp(-1, 1)).abs() < 0.1).all(dim=(1, 2))
    return block, is_far & is_free & (block >= 1) & (block <= far.shape[1] - 2)


def shift_away(
    setting: Setting, made: Trajectories, ids: Int[Tensor, " b"]
) -> tuple[Float[Tensor, "b 2"], Bool[Tensor, " b"]]:
    """Draw how far to shift a disc's whole path so that it never comes near its T, and say whether there is a way.

    Shifts are of whole pixels of a picture.
    """
    u = Stream(setting.world.seed, "violations/away").uniform(0, ids, 2 * _NUM_TRIES).unflatten(1, (_NUM_TRIES, 2))
    agent = made.of(made.states.agent)
    low, high = AGENT_RADIUS - agent.amin(dim=1), SIDE - AGENT_RADIUS - agent.amax(dim=1)
    scale = setting.world.image_size / SIDE
    shifts = ((low[:, None] + u * (high - low)[:, None]) * scale).trunc() / scale  # towards 0, which is within
    moved = agent[:, None] + shifts[:, :, None]
    shape = moved.shape[:3]
    pose = (made.of(part)[:, None].expand(shape + part.shape[1:]) for part in (made.states.object, made.states.angle))
    gap = Contact.between(*(part.flatten(0, 2) for part in (moved, *pose))).gap.view(shape)
    is_away = gap.amin(dim=2) >= _APART
    first = is_away.int().argmax(dim=1)
    return shifts[torch.arange(len(ids)), first], is_away.any(dim=1)
