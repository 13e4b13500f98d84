"""Reach goals with what a run learned: the cost of planning, learned from time alone, and the search that uses it."""

from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.nn.reachability import ReachabilityConfig, ReachabilityHead
from jepakit.nn.temporal_distance import TemporalDistance, TemporalDistanceConfig
from jepakit.planning import CEM, Hierarchical, LatentDistance, Memory, Remembering, WeightedSum
from jepakit.planning.control import Control, Planner
from jepakit.planning.costs import Reachability
from jepakit.planning.learning import learn_reachability
from jepakit.planning.paths import learn_distance
from jepakit.planning.plan import Cost, WorldModel
from jepakit.recipes.config import Planning, WorldRecipe
from jepakit.recipes.stored import embedded_trajectories
from jepakit.storage import Run, load_weights, read_model, save_model
from jepakit.training.precision import autocast
from jepakit.types import UserError

_FOLDER = "cost"


def learn_cost(method: Any, recipe: WorldRecipe, run: Run) -> None:
    """Learn the cost of planning from held-out trajectories; nothing where the recipe asks for none."""
    learned = recipe.planning.learned
    if learned.num_steps:
        keep_cost(embedded_trajectories(method, recipe, learned.num_trajectories, learned.num_frames), recipe, run)


def keep_cost(z: Float[Tensor, "k t *n d"], recipe: WorldRecipe, run: Run) -> None:
    """Train what tells how far goals are on embedded trajectories, and keep it in the run."""
    learned, z = recipe.planning.learned, z.flatten(2)
    updates = {"num_steps": learned.num_steps, "seed": recipe.seed}
    sizes = {"embedding_dim": z.shape[-1], "hidden_dim": learned.hidden_dim}
    if learned.by == "gaps":
        head = learn_reachability(z, ReachabilityConfig(**sizes, max_gap=learned.num_frames - 1), **updates)
        save_model(run.file(_FOLDER), {"reachability": asdict(head.config)}, head.state_dict())
    else:
        still_dim = getattr(recipe.method, "still_dim", 0)
        with autocast(recipe.training.precision, z.device):
            distance = learn_distance(z, TemporalDistanceConfig(**sizes), still_dim=still_dim, **updates)
        save_model(run.file(_FOLDER), {"distance": asdict(distance.config)}, distance.state_dict())


def has_cost(run: Run) -> bool:
    """Return whether a learned cost is kept in a run."""
    return run.file(_FOLDER).exists()


def read_cost(planning: Planning, run: Run, device: torch.device | str = "cpu") -> Cost:
    """Return the cost by which a run plans: the learned one, if there is one, and the latent distance.

    Raises:
        UserError: The learned cost was not learned yet, or its file is damaged.
    """
    distance = LatentDistance(over="mean", root=planning.distance_root)
    if planning.learned.num_steps == 0:
        return distance
    if not has_cost(run):
        raise UserError(f"{run.path} has no learned cost yet; it is learned when training ends, so train it first.")
    description, weights = read_model(run.file(_FOLDER))
    told: ReachabilityHead | TemporalDistance = (
        TemporalDistanceConfig(**description["distance"]).build()
        if "distance" in description
        else ReachabilityConfig(**description["reachability"]).build()
    )
    load_weights(told, weights, run.file(_FOLDER))
    told = told.eval().requires_grad_(False).to(device)
    head = told.octaves if isinstance(told, ReachabilityHead) else told
    steps = Reachability(head=head, precision=planning.precision)
    return WeightedSum(((1.0, steps), (planning.distance_weight, distance)))


def planner_of(planning: Planning, cost: Cost, seed: int = 0, coarse: WorldModel | None = None) -> Planner:
    """Return the search that a recipe describes: towards subgoals, where the model of a coarse level is given."""
    fine = CEM(
        horizon=planning.horizon,
        num_samples=planning.num_samples,
        num_elites=planning.num_elites,
        num_iterations=planning.num_iterations,
        std=planning.std,
        colour=planning.colour,
        precision=planning.precision,
        cost=cost,
        seed=seed,
    )
    if coarse is None or planning.coarse is None:
        return fine
    above = planning.coarse
    route = CEM(
        horizon=above.horizon,
        num_samples=above.num_samples,
        num_elites=above.num_elites,
        num_iterations=above.num_iterations,
        precision=planning.precision,
        cost=cost,
        seed=seed,
    )
    return Hierarchical(coarse_model=coarse, coarse=route, fine=fine, ahead=above.ahead)


def control_of(
    planning: Planning,
    method: Any,
    cost: Cost,
    goal: Tensor,
    ids: Int[Tensor, " b"],
    coarse: WorldModel | None = None,
) -> Remembering:
    """Return what acts for these episodes, from their beginning and towards pictures of their goals."""
    planner = planner_of(planning, cost, coarse=coarse)
    control = Control(planner, method, goal, ids, every=planning.every, hold=planning.hold)
    return Remembering(control, memory_of(planning, method))


def memory_of(planning: Planning, method: Any) -> Memory:
    """Return the memory of episodes that begin."""
    return Memory(planning.memory, method.frame_skip, method.action_dim)
