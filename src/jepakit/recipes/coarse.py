"""Learn a coarse time scale beside what a run learned, keep it in the run, and plan with both."""

from dataclasses import asdict
from typing import Any

from jepakit.nn.coarse_dynamics import CoarseDynamics, CoarseDynamicsConfig
from jepakit.nn.dynamics import StepDynamics
from jepakit.planning.coarse import Coarse, learn_coarse
from jepakit.random import seeded_init
from jepakit.recipes.config import CoarsePlanning, WorldRecipe
from jepakit.recipes.feeds import HELD_OUT
from jepakit.recipes.stored import embedded_trajectories, told_trajectories
from jepakit.storage import Run, load_weights, read_model, save_model
from jepakit.types import UserError

_FOLDER = "coarse"
_FIRST = 5 * HELD_OUT
"""First id of the trajectories from which the coarse level is learned."""


def learn_coarse_level(method: Any, recipe: WorldRecipe, run: Run) -> None:
    """Train macro-actions and their predictor, and keep both in the run; nothing where the recipe asks for none."""
    coarse = recipe.planning.coarse
    if coarse is None:
        return
    dynamics = coarse_dynamics(method, coarse, recipe.seed)
    given = method, recipe, coarse.num_trajectories, coarse.num_frames
    z, told = embedded_trajectories(*given, _FIRST), told_trajectories(*given, _FIRST)
    learn_coarse(z, told, dynamics, num_steps=coarse.num_steps, seed=recipe.seed)
    save_model(run.file(_FOLDER), {"coarse": asdict(dynamics.config)}, dynamics.state_dict())


def read_coarse_level(method: Any, recipe: WorldRecipe, run: Run) -> Coarse | None:
    """Return the model on the coarse time scale, where the recipe asks for one.

    Raises:
        UserError: It was not learned yet, or its file is damaged.
    """
    if recipe.planning.coarse is None:
        return None
    if not run.file(_FOLDER).exists():
        raise UserError(f"{run.path} has no coarse level yet; it is learned when training ends, so train it first.")
    description, weights = read_model(run.file(_FOLDER))
    dynamics = coarse_dynamics(method, recipe.planning.coarse, recipe.seed)
    if asdict(dynamics.config) != description.get("coarse"):
        raise UserError(f"The coarse level in {run.path} is {description.get('coarse')}, not {dynamics.config}.")
    load_weights(dynamics, weights, run.file(_FOLDER))
    return Coarse(method, dynamics.eval().requires_grad_(False))


def coarse_dynamics(method: Any, coarse: CoarsePlanning, seed: int) -> CoarseDynamics:
    """Build a coarse predictor of the same class as the method's own.

    Raises:
        UserError: The method's own does not step from the last embedding.
    """
    if not isinstance(method.predictor, StepDynamics):
        raise UserError(
            f"A coarse level is a predictor that steps from the last embedding, and {type(method.predictor).__name__} "
            "is none; give the method one that does, such as ResidualDynamics or GRUDynamics."
        )
    config = CoarseDynamicsConfig(
        told_dim=method.config.told_dim,
        num_blocks=coarse.num_blocks,
        macro_dim=coarse.macro_dim,
        num_turns=coarse.num_turns,
    )
    encoder = method.encoder
    with seeded_init(seed, "coarse"):
        predictor = method.config.dynamics.build(encoder.embedding_dim, coarse.macro_dim, encoder.norm)
        return CoarseDynamics(config, predictor).to(next(method.parameters()).device)
