"""Push a T with a disc, one small move at a time: find the contact, let the T give way, undo what would overlap."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.worlds.angles import turned

AGENT_RADIUS = 3.0
HALF_WIDTH = 2.5
BARS = torch.tensor([[[-7.5, -3.1], [7.5, -3.1]], [[0.0, -3.1], [0.0, 8.9]]])
"""Middle lines of the T's two bars, (bar, end, xy), about the middle of its area."""

REACH = 11.4
"""Distance of the T's farthest point from its middle."""

LEVER = 5.8
"""Mean distance of the T's points from its middle: the largest turning moment of friction over its largest force."""

ALLOWED = 1e-3
"""Overlap in pixels that counts as touching."""

_NUM_SOLVES = 3


@dataclass(frozen=True)
class Contact:
    """Hold where discs and Ts are nearest to each other.

    Args:
        gap: Distance between them; below 0 they overlap.
        normal: Direction from the T to the disc, of length 1.
        arm: Place of the contact on the T, from the T's middle.
    """

    gap: Float[Tensor, " b"]
    normal: Float[Tensor, "b 2"]
    arm: Float[Tensor, "b 2"]

    @classmethod
    def between(cls, agent: Float[Tensor, "b 2"], place: Float[Tensor, "b 2"], angle: Float[Tensor, " b"]) -> "Contact":
        """Find the nearest point of each T."""
        local = turned(-angle, agent - place)
        bars = BARS.to(local.device)
        along = bars[:, 1] - bars[:, 0]
        away = local[:, None] - bars[:, 0]
        share = ((away * along).sum(-1) / (along**2).sum(-1)).clamp(0.0, 1.0)
        offset = away - share[..., None] * along
        far = offset.norm(dim=-1)
        middle = torch.where((far[:, 0] < far[:, 1])[:, None], offset[:, 0], offset[:, 1])
        far = far.amin(1)
        normal = middle / far.clamp_min(1e-6)[:, None]
        arm = local - middle + HALF_WIDTH * normal
        return cls(far - HALF_WIDTH - AGENT_RADIUS, turned(angle, normal), turned(angle, arm))


def pushed(
    agent: Float[Tensor, "b 2"],
    place: Float[Tensor, "b 2"],
    angle: Float[Tensor, " b"],
    move: Float[Tensor, "b 2"],
    side: float,
) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b 2"], Float[Tensor, " b"]]:
    """Return agent, place and angle after a small move of the disc in an arena of `side` x `side`.

    Moves must be shorter than the disc's radius and the T's half width together, or the disc could pass the T.
    """
    moved = (agent + move).clamp(AGENT_RADIUS, side - AGENT_RADIUS)
    pose = (place, angle)
    for _ in range(_NUM_SOLVES):  # turning is not linear, so a little overlap is left by the first
        pose = _given_way(Contact.between(moved, *pose), *pose)
    pose = (_inside(*pose, side), pose[1])
    contact = Contact.between(moved, *pose)
    moved = moved + (-contact.gap).clamp_min(0.0)[:, None] * contact.normal
    moved = moved.clamp(AGENT_RADIUS, side - AGENT_RADIUS)
    is_free = Contact.between(moved, *pose).gap >= -ALLOWED
    kept = is_free[:, None]
    return torch.where(kept, moved, agent), torch.where(kept, pose[0], place), torch.where(is_free, pose[1], angle)


def _given_way(
    contact: Contact, place: Float[Tensor, "b 2"], angle: Float[Tensor, " b"]
) -> tuple[Float[Tensor, "b 2"], Float[Tensor, " b"]]:
    """Move and turn Ts so far that, were the contact's normal fixed, they would just touch their disc."""
    force = -contact.normal
    turning = contact.arm[:, 0] * force[:, 1] - contact.arm[:, 1] * force[:, 0]
    far = (-contact.gap).clamp_min(0.0) / (1.0 + (turning / LEVER) ** 2)
    return place + far[:, None] * force, angle + far * turning / LEVER**2


def _inside(place: Float[Tensor, "b 2"], angle: Float[Tensor, " b"], side: float) -> Float[Tensor, "b 2"]:
    """Shift Ts back into the arena."""
    ends = torch.stack([turned(angle, end) for end in BARS.to(place.device).flatten(0, 1)])
    low, high = HALF_WIDTH - ends.amin(0), side - HALF_WIDTH - ends.amax(0)
    return torch.minimum(torch.maximum(place, low), high)
