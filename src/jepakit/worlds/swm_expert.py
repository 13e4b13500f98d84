"""Walk through SWMTwoRoom as LeWM's data does: to the goal, through the door where it must be, with much noise.

Source: the expert of stable-worldmodel arXiv 2605.21800 with the noise of LeWM's data (standard deviation 2, actions
cut to [-1, 1]; one in twenty repeats the one before). Deviations: all trajectories are as long as asked for; whoever
arrives goes on about the goal.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.worlds.swm_two_room import DOOR_Y, SIDE, SWMTwoRoom, SWMTwoRoomState
from jepakit.worlds.trajectories import Trajectories, interleave

_MIDDLE = SIDE / 2
AT_DOOR = 10.5
"""Pixels from the door's middle within which the way leads on to the goal."""


@dataclass(frozen=True)
class SWMExpert:
    """Say how noisily the expert walks.

    Args:
        noise: Standard deviation of what is added to its direction, a vector of length 1.
        repeat: Share of the actions that repeat the one before.
    """

    noise: float = 2.0
    repeat: float = 0.05

    def __call__(self, world: SWMTwoRoom, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
        """Return the trajectories of these ids, `num_steps` actions long, from each task's start."""
        state, goal = world.task(ids)
        states, actions = [state], list[Tensor]()
        noise, repeat = Stream(world.seed, "swm-expert/noise"), Stream(world.seed, "swm-expert/repeat")
        for step in range(num_steps):
            action = (towards(state, goal) + self.noise * noise.normal(step, ids, 2)).clamp(-1.0, 1.0)
            if actions:
                action = torch.where(repeat.uniform(step, ids, 1) < self.repeat, actions[-1], action)
            state = world.step(state, action)
            states.append(state)
            actions.append(action)
        return Trajectories(interleave(states), torch.stack(actions, dim=1))


def towards(state: SWMTwoRoomState, goal: SWMTwoRoomState) -> Float[Tensor, "b 2"]:
    """Return directions of length 1 to the goal or, where it is in the other room, first to the door's middle."""
    door = state.position.new_tensor([_MIDDLE, DOOR_Y])
    is_other_room = (state.position[:, 0] > _MIDDLE) != (goal.position[:, 0] > _MIDDLE)
    is_far = (state.position - door).norm(dim=1) > AT_DOOR
    way = torch.where((is_other_room & is_far)[:, None], door, goal.position) - state.position
    return way / way.norm(dim=1, keepdim=True).clamp_min(1e-8)
