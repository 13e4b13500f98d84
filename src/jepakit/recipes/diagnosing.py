"""Diagnose the planning of a run in a world: the truth swapped in for its model, and for its cost."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.evaluation.diagnosis import Case, diagnose
from jepakit.evaluation.manifest import find_manifest
from jepakit.planning.control import Control
from jepakit.planning.plan import Cost
from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.feeds import HELD_OUT, learning_world
from jepakit.recipes.reaching import planner_of
from jepakit.types import UserError

_NUM_TRAJECTORIES = 200
_SEARCH = {"num_samples": 32, "num_elites": 6, "num_iterations": 3}
"""A smaller search than a run's own, the same in all arms: one of them encodes a picture of every candidate."""


def diagnose_world(method: Any, recipe: WorldRecipe, cost: Cost, num_episodes: int) -> dict[str, Any]:
    """Return the diagnosis of a run on the first episodes of its development manifest.

    Args:
        method: The trained method, in eval mode.
        recipe: What was run.
        cost: By which it plans.
        num_episodes: Episodes of each of the four arms.

    Raises:
        UserError: The world cannot tell how far a goal is by the way that is left.
    """
    planning = replace(recipe.planning, **_SEARCH)  # type: ignore[arg-type]
    world, _, _, ids = find_manifest(learning_world(recipe), "dev")[1].tasks(learning_world(recipe), num_episodes)
    if not hasattr(world, "way"):
        raise UserError(
            f"{type(world).__name__} does not tell the way that is left to a goal, so no true cost is known."
        )

    def make_act(model: Any, arms_cost: Cost, goal: Any, some: Int[Tensor, " b"]) -> Control:
        search = planner_of(planning, arms_cost)
        return Control(search, model, goal, some, every=planning.every, hold=planning.hold)

    skip = recipe.method.frame_skip
    num_steps = skip * planning.horizon
    held_out = recipe.data.behaviour(learning_world(recipe), 3 * HELD_OUT + torch.arange(_NUM_TRAJECTORIES), num_steps)
    case = Case(
        world=world,
        model=method,
        cost=cost,
        far=world.way,
        make_act=make_act,
        search=f"{planning.num_iterations} rounds of {planning.num_samples} candidates of {planning.horizon} actions "
        f"held for {planning.hold} steps, anew every {planning.every * planning.hold} steps, the same in all arms",
        ids=ids,
        num_steps=planning.num_steps,
        held_out=held_out,
        frame_skip=skip,
    )
    return diagnose(case).record()
