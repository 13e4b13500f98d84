"""Learn the steps to a goal by temporal differences: short ways are put together from pieces of long ones.

The gap between two frames of a trajectory is how long wandering took, not how far the goal was. A distance that agrees
with itself one step later finds shorter ways than any that was walked: what is d steps away from a neighbour is at
most d + 1 steps away. No label is read, as in `learning`.
"""

import copy

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
_FOLLOWS = 0.01
"""Share of the way that the target moves towards the distance at every update."""


def learn_distance(
    z: Float[Tensor, "k t d"],
    config: TemporalDistanceConfig,
    *,
    expectile: float = 0.7,
    farthest: float = 80.0,
    num_steps: int = 6000,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> TemporalDistance:
    """Train a distance to be one step longer than it is one step later, as its slowly following copy sees it.

    Of what follows a place the shorter ways count more (an expectile below the mean), since wandering mostly leads away
    from a goal that was drawn at will. Goals are other frames of the same trajectory: 3 in 10 within the next 7 frames,
    the rest anywhere, before the place too. Where the goal comes within the step, the steps to it are known.

    Args:
        z: Embeddings of the frames of trajectories.
        config: The distance.
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
        place, when, later, goal = drawn_pairs(stream.uniform(step, ids, 5), len(z), z.shape[1])
        to_goal = z[place, goal].float()
        with torch.no_grad():
            beyond = target(z[place, later].float(), to_goal).float()
        is_met = (when <= goal) & (goal <= later)
        wanted = torch.where(is_met, (goal - when).float(), (later - when + beyond).clamp_max(farthest))
        return expectile_loss(distance(z[place, when].float(), to_goal).float(), wanted, is_met, expectile)

    minimised(distance, loss, num_steps, learning_rate)
    return distance


def drawn_pairs(
    u: Float[Tensor, "b 5"], num_trajectories: int, num_frames: int
) -> tuple[Int[Tensor, " b"], Int[Tensor, " b"], Int[Tensor, " b"], Int[Tensor, " b"]]:
    """Return trajectories, and the frames of a place, of what came one or two frames later, and of a goal."""
    place, start, step, which, where = u.double().unbind(1)
    last = num_frames - 1
    when = (start * last).long()
    later = (when + 1 + (step * _LONGEST_STEP).long()).clamp_max(last)
    near = (when + ((_NEAR + 1) * where).long()).clamp_max(last)
    goal = torch.where(which < _NEAR_SHARE, near, (where * num_frames).long())
    return (place * num_trajectories).long(), when, later, goal


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
