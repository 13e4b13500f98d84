"""Learn the steps to a goal by temporal differences: short ways are put together from pieces of long ones.

The gap between two frames of a trajectory is how long wandering took, not how far the goal was. A distance that agrees
with itself one step later finds shorter ways than any that was walked: what is d steps away from a neighbour is at
most d + 1 steps away. No label is read, as in `learning`.
"""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.nn.temporal_distance import TemporalDistance, TemporalDistanceConfig
from jepakit.planning.learning import minimised
from jepakit.random import Stream, seeded_init
from jepakit.types import require

_NEAR, _NEAR_SHARE = 7, 0.3
"""Largest gap of near goals, and their share; they teach what the rest of the distance stands on."""
_LONGEST_STEP = 2
_COMPARED_AT_ONCE = 1000
_FOLLOWS = 0.02
"""Share of the way that the target moves towards the distance at every update."""


def learn_distance(
    z: Float[Tensor, "k t d"],
    config: TemporalDistanceConfig,
    *,
    kin: Int[Tensor, "k m"] | None = None,
    expectile: float = 0.7,
    farthest: float = 80.0,
    num_steps: int = 6000,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> TemporalDistance:
    """Train a distance to be one step longer than it is one step later, as its slowly following copy sees it.

    Of what follows a place the shorter ways count more (an expectile below the mean), since wandering mostly leads away
    from a goal that was drawn at will. 3 in 10 goals are within the next 7 frames of the same trajectory, the others
    anywhere in it, before the place too, or half of them in a trajectory of its kin. Where the goal comes within the
    step, the steps to it are known.

    Args:
        z: Embeddings of the frames of trajectories.
        config: The distance.
        kin: For each trajectory others that went through the same place, with as good a way to their frames as its own
            has. Without them goals are rarely where wandering rarely comes, such as behind a wall that is passed by a
            far door, and what was never asked is answered by looks.
        expectile: Weight of an answer that was too long, against 1 minus it of one that was too short. At one half it
            is the mean over what was done; nearer to 1 a lucky bump counts as if it could be had at will.
        farthest: What is further counts as so far, in steps.
        num_steps: Updates.
        batch_size: Pairs of each.
        learning_rate: Of AdamW; it falls to zero along half a cosine.
        seed: Seed of weights and pairs.

    Raises:
        UserError: Trajectories are shorter than three frames or of another width than the distance, or the expectile
            is not between 0 and 1.

    Source: expectile regression of a goal-conditioned value as in HIQL, arXiv 2307.11949 (after IQL, arXiv 2110.06169).
        Deviations: steps instead of discounted rewards, no policy, and steps of one or two frames.
    """
    require(z.shape[1] > _LONGEST_STEP, f"Distances are learned from three frames or more, got {z.shape[1]}.")
    require(z.shape[2] == config.embedding_dim, f"The embeddings have width {z.shape[2]}, not {config.embedding_dim}.")
    require(0 < expectile < 1, f"An expectile is between 0 and 1, got {expectile}.")
    with seeded_init(seed, "distance"):
        distance = config.build().to(z.device)
    target = copy.deepcopy(distance).requires_grad_(False)
    ids, stream = torch.arange(batch_size, device=z.device), Stream(seed, "distance/pairs")

    def loss(step: int) -> Float[Tensor, ""]:
        _follow(target, distance)
        asked = drawn(stream.uniform(step, ids, 6), len(z), z.shape[1], kin)
        to_goal = z[asked.goal_place, asked.goal].float()
        with torch.no_grad():
            beyond = target(z[asked.place, asked.later].float(), to_goal).float()
        known = (asked.goal - asked.when).float()
        wanted = torch.where(asked.is_met, known, (asked.later - asked.when + beyond).clamp_max(farthest))
        told = distance(z[asked.place, asked.when].float(), to_goal).float()
        return expectile_loss(told, wanted, asked.is_met, expectile)

    minimised(distance, loss, num_steps, learning_rate)
    return distance


def nearest_kin(still: Float[Tensor, "k s"], num: int = 3) -> Int[Tensor, "k m"]:
    """Return for each trajectory those whose still part is nearest to its own, itself left out.

    Args:
        still: What stays as it is within a trajectory and tells where it took place.
        num: How many; fewer where there are fewer others.
    """
    kin = []
    for first in range(0, len(still), _COMPARED_AT_ONCE):
        some = still[first : first + _COMPARED_AT_ONCE]
        apart = torch.cdist(some, still)
        apart[torch.arange(len(some)), first + torch.arange(len(some))] = torch.inf
        kin.append(apart.topk(min(num, len(still) - 1), largest=False).indices)
    return torch.cat(kin)


@dataclass(frozen=True)
class Drawn:
    """Hold which frames are asked about.

    Args:
        place: Trajectories.
        when: Frames of a place in them.
        later: What came one or two frames later.
        goal_place: Trajectories of the goals.
        goal: Frames of them.
    """

    place: Int[Tensor, " b"]
    when: Int[Tensor, " b"]
    later: Int[Tensor, " b"]
    goal_place: Int[Tensor, " b"]
    goal: Int[Tensor, " b"]

    @property
    def is_met(self) -> Bool[Tensor, " b"]:
        """Return whether the goal comes at the place or by the later frame."""
        return (self.place == self.goal_place) & (self.when <= self.goal) & (self.goal <= self.later)


def drawn(u: Float[Tensor, "b 6"], num_trajectories: int, num_frames: int, kin: Int[Tensor, "k m"] | None) -> Drawn:
    """Return pairs of places and goals, from uniform draws."""
    place, start, step, which, where, whose = u.double().unbind(1)
    place, last = (place * num_trajectories).long(), num_frames - 1
    when = (start * last).long()
    later = (when + 1 + (step * _LONGEST_STEP).long()).clamp_max(last)
    near = (when + ((_NEAR + 1) * where).long()).clamp_max(last)
    is_near = which < _NEAR_SHARE
    goal, goal_place = torch.where(is_near, near, (where * num_frames).long()), place
    if kin is not None:
        other = kin[place, (whose * 2 * kin.shape[1]).long() % kin.shape[1]]
        goal_place = torch.where(is_near | (whose < 0.5), place, other)
    return Drawn(place, when, later, goal_place, goal)


def expectile_loss(
    told: Float[Tensor, " b"], wanted: Float[Tensor, " b"], is_known: Bool[Tensor, " b"], expectile: float
) -> Float[Tensor, ""]:
    """Return the mean error, squared near zero, of which what was told too long counts more; all alike where known."""
    weight = torch.where(wanted < told, expectile, 1.0 - expectile)
    weight = torch.where(is_known, 0.5, weight)
    return (weight * F.smooth_l1_loss(told, wanted, reduction="none")).mean()


@torch.no_grad()
def _follow(target: TemporalDistance, distance: TemporalDistance) -> None:
    """Move the target a small part of the way towards the distance."""
    for slow, fast in zip(target.parameters(), distance.parameters(), strict=True):
        slow.lerp_(fast, _FOLLOWS)
