"""Bring a recipe of a world to where it can plan: trained, its predictor refined, its cost learned."""

import time
from dataclasses import dataclass
from typing import Any

from jepakit.planning.plan import Cost
from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.pipeline import train
from jepakit.recipes.reaching import has_cost, learn_cost, read_cost
from jepakit.recipes.refining import refine_predictor
from jepakit.storage import Run
from jepakit.training.progress import Progress


@dataclass(frozen=True)
class Prepared:
    """Hold what can plan.

    Args:
        method: The trained method, in eval mode.
        cost: By which it plans.
        seconds: What each part took, 0 where it was done before.
    """

    method: Any
    cost: Cost
    seconds: dict[str, float]


def prepare(recipe: WorldRecipe, run: Run, progress: Progress | None = None) -> Prepared:
    """Do what is still to be done of a run; its coarse level and its scores are others' affair.

    Args:
        recipe: What to run.
        run: Where.
        progress: Where to show how training goes.

    Raises:
        KeyboardInterrupt: Training was interrupted.
        UserError: The directory holds another run or is in use, or a loss was not finite.
    """
    trained = train(recipe, run.path, progress)
    trained.result.require_whole()
    method = trained.method.eval()
    begin = time.perf_counter()
    refine_predictor(method, recipe, run)
    refined = time.perf_counter()
    if not has_cost(run):
        learn_cost(method, recipe, run)
    learned = time.perf_counter()
    seconds = {"training": trained.result.seconds, "refining": refined - begin, "cost": learned - refined}
    return Prepared(method, read_cost(recipe.planning, run), seconds)
