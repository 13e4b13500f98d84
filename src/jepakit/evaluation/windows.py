"""Take starts and goals from held-out trajectories, as LeWM's evaluation of its TwoRoom does, without what is solved.

A goal is what the same trajectory comes to 25 steps after the start, so every goal can be reached in time: 50 steps are
allowed. Many such goals are near: `published` takes all; `moderate` leaves out what begins within the radius in which a
goal counts as reached, `strict` what begins within twice that.

Source: the protocol of stable-worldmodel (arXiv 2605.21800) and LeWM (arXiv 2603.19312); filters after the names of
CLEAR-LeWM, of whose rules we know no more than that what is solved before it begins is removed. Deviations: fresh
trajectories of the expert, held out by their seed, instead of a file; a start lies up to 35 steps after their first.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.evaluation.manifest import SEEDS
from jepakit.random import Stream
from jepakit.types import UserError
from jepakit.worlds import SWMExpert, SWMTwoRoom
from jepakit.worlds.swm_two_room import NEAR
from jepakit.worlds.trajectories import select

GAP, BUDGET = 25, 50
"""Steps from the start to the goal along the trajectory, and steps that are allowed."""

LATEST_START = 35
FILTERS = {"published": 0.0, "moderate": NEAR, "strict": 2 * NEAR}
"""Pixels of 224 that a start is at least away from its goal."""


@dataclass(frozen=True)
class Windows:
    """Hold episodes of the protocol.

    Args:
        world: Where, with the seed of its split.
        start: The first states.
        goal: Where each is to end.
        ids: The trajectories from which they were taken.
        kept: The share of all windows that the filter kept.
    """

    world: SWMTwoRoom
    start: Any
    goal: Any
    ids: Int[Tensor, " b"]
    kept: float


def windows(world: SWMTwoRoom, num: int, *, clean: str, split: str) -> Windows:
    """Return the first episodes of a split that pass a filter; pure in its arguments, the world's own seed aside.

    Args:
        world: Its settings; only the seed does not matter.
        num: How many.
        clean: `published`, `moderate` or `strict`.
        split: `dev` for choices, `test` for results.

    Raises:
        UserError: There is no such filter or split, or fewer than one episode is asked for.
    """
    if clean not in FILTERS or split not in SEEDS or num < 1:
        raise UserError(
            f"Episodes are at least 1, clean is one of {', '.join(FILTERS)} and split one of {', '.join(SEEDS)}; got "
            f"{num}, {clean!r} and {split!r}."
        )
    world = replace(world, seed=SEEDS[split])
    ids = torch.arange(6 * num)
    made = SWMExpert()(world, ids, LATEST_START + GAP)
    first = Stream(world.seed, "evaluation/windows").integers(0, ids, 1, LATEST_START + 1)[:, 0]
    place = ids * made.num_states + first
    start, goal = select(made.states, place), select(made.states, place + GAP)
    passes = world.distance(start, goal) >= FILTERS[clean]
    chosen = passes.nonzero()[:num, 0]
    assert len(chosen) == num, "a sixth of all windows passes every filter"
    return Windows(world, select(start, chosen), select(goal, chosen), ids[chosen], float(passes.float().mean()))
