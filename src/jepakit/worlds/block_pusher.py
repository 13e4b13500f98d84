"""Push PushT's block about: go behind a point of it, push through, choose another; with noise.

Random actions hardly ever move the block. Here each push is towards a random point of the arena's inner part, through
a random point of the T: in the middle of a bar it shifts, at an end it turns. The way there leads round the T.
"""

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.worlds.acting import played
from jepakit.worlds.angles import turned
from jepakit.worlds.env_push_t import REACH, SIDE, PushT
from jepakit.worlds.gymnasium_world import EnvState
from jepakit.worlds.trajectories import Trajectories

BAR, STEM = ((-55.0, 15.0), (55.0, 15.0)), ((0.0, 30.0), (0.0, 115.0))
"""Middle lines of the T's two parts, (end, xy), in its own frame and in units."""

MIDDLE = (0.0, 45.0)
"""About what the T turns, in its own frame."""

ROUND = 105.0
"""Units from the T's middle at which one goes round it."""

_ARRIVED = 15.0
_STROLL = 10.0
"""Units a step on the way to where a push begins, at least."""

_PATIENCE = 25
"""Steps after which what was not arrived at is given up."""


@dataclass(frozen=True)
class Push:
    """Hold pushes: where each begins, where it ends, and how fast it is.

    Args:
        behind: Where to go first.
        beyond: Where to go then, through the T.
        speed: Units a step of the push.
    """

    behind: Float[Tensor, "b 2"]
    beyond: Float[Tensor, "b 2"]
    speed: Float[Tensor, " b"]


@dataclass(frozen=True)
class BlockPusher:
    """Say how noisily the block is pushed.

    Args:
        noise: Standard deviation of what is added to actions, of which 1 is the largest.
    """

    noise: float = 0.15

    def __call__(self, world: PushT, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
        """Return the trajectories of these ids, `num_steps` actions long: functions of (seed, id)."""
        drawn, noise = Stream(world.seed, "block-pusher/push"), Stream(world.seed, "block-pusher/noise")
        pushes: Push | None = None
        pushing, since, steps = torch.zeros(len(ids), dtype=torch.bool), torch.zeros_like(ids), iter(range(num_steps))

        def act(state: EnvState) -> Float[Tensor, "b 2"]:
            nonlocal pushes, pushing, since
            step, place = next(steps), state.place
            fresh = chosen(place, drawn.uniform(step, ids, 6))
            pushes = fresh if pushes is None else pushes
            target = torch.where(pushing[:, None], pushes.beyond, pushes.behind)
            is_done = ((target - place[:, :2]).norm(dim=1) < _ARRIVED) | (since > _PATIENCE)
            pushes = _where(is_done & pushing, fresh, pushes)
            pushing, since = pushing ^ is_done, torch.where(is_done, 0, since + 1)
            way = torch.where(pushing[:, None], pushes.beyond, round_the_block(place, pushes.behind))
            speed = torch.where(pushing, pushes.speed, pushes.speed.clamp_min(_STROLL))
            return (towards(place[:, :2], way, speed) + self.noise * noise.normal(step, ids, 2)).clamp(-1, 1)

        return played(world, ids, num_steps, act)


def chosen(place: Float[Tensor, "b 5"], u: Float[Tensor, "b 6"]) -> Push:
    """Return a push for each place: through a random point of the T, towards a random point of the inner arena.

    Args:
        place: Disc, T and its angle.
        u: Uniform numbers that decide.
    """
    ends = torch.where((u[:, 0] < 0.6)[:, None, None], u.new_tensor(BAR), u.new_tensor(STEM))
    aim = place[:, 2:4] + turned(place[:, 4], ends[:, 0].lerp(ends[:, 1], u[:, 1:2]))
    way = (0.2 + 0.6 * u[:, 2:4]) * SIDE - aim
    length = way.norm(dim=1, keepdim=True).clamp_min(1e-6)
    direction = way / length
    behind = (aim - 75.0 * direction).clamp(15.0, SIDE - 15.0)
    beyond = aim + torch.minimum(20.0 + 100.0 * u[:, 4:5], length) * direction
    return Push(behind, beyond, 3.0 * 5.0 ** u[:, 5])


def round_the_block(place: Float[Tensor, "b 5"], target: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """Return where to go now so that the way to a target leads round the T: the target itself, where it is free."""
    agent = place[:, :2]
    middle = place[:, 2:4] + turned(place[:, 4], place.new_tensor(MIDDLE).expand(len(place), 2))
    way = target - agent
    share = ((middle - agent) * way).sum(1) / way.square().sum(1).clamp_min(1e-6)
    nearest = agent + share.clamp(0.0, 1.0)[:, None] * way
    outward = nearest - middle
    distance = outward.norm(dim=1, keepdim=True)
    is_blocked = (share > 0.0) & (share < 1.0) & (distance[:, 0] < 0.8 * ROUND)
    aside = torch.stack((-way[:, 1], way[:, 0]), dim=1)
    outward = torch.where(distance > 1.0, outward, aside)  # straight through the middle: either side will do
    corner = middle + ROUND * outward / outward.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return torch.where(is_blocked[:, None], corner, target).clamp(15.0, SIDE - 15.0)


def towards(
    agent: Float[Tensor, "b 2"], target: Float[Tensor, "b 2"], speed: Float[Tensor, " b"]
) -> Float[Tensor, "b 2"]:
    """Return actions that go to a target at a speed, and slow down before it.

    Drawn to a point that keeps its distance, the disc comes to half of that distance a step (spring 100 and damper 20,
    a tenth of a second), so a point at twice the speed is what to be drawn to.
    """
    way = target - agent
    length = way.norm(dim=1, keepdim=True)
    return way * (2.0 * speed[:, None] / length.clamp_min(1e-6)).clamp_max(1.0) / REACH


def _where(is_first: Bool[Tensor, " b"], first: Push, second: Push) -> Push:
    """Choose between two pushes episode by episode."""
    parts = ((getattr(first, entry.name), getattr(second, entry.name)) for entry in fields(first))
    return Push(*(torch.where(is_first.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in parts))
