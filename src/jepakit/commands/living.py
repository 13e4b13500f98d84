"""Let an agent live in a world, round by round."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from jepakit.recipes.agent import AgentRecipe, live
from jepakit.training.progress import Progress, Silent


def agent(
    recipe: AgentRecipe,
    out: Path | str | None = None,
    *,
    seed: int | None = None,
    progress: Callable[[], Progress] = Silent,
) -> tuple[Path, list[dict[str, Any]]]:
    """Let an agent collect, learn and plan by rounds; returns where it lies and the record of every round.

    Args:
        recipe: What to do.
        out: The run directory; by default runs/RECIPE.
        seed: Of the world, the weights and every draw; None takes the recipe's.
        progress: Makes what shows how a round goes.

    Raises:
        UserError: The directory holds another run or is in use, or a loss was not finite.
    """
    if seed is not None:
        recipe = replace(recipe, learner=replace(recipe.learner, seed=seed))
    folder = Path(out) if out is not None else Path("runs") / recipe.recipe
    return folder, live(recipe, folder, progress)
