"""A coarse level is learned beside a trained model, kept with the run, and leads its search."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_worlds import WORLDS
from tiny_runs import tiny_world

from jepakit.planning import CEM, Hierarchical, LatentDistance
from jepakit.recipes.coarse import learn_coarse_level, read_coarse_level
from jepakit.recipes.config import CoarsePlanning, WorldRecipe
from jepakit.recipes.episodes import evaluate_world
from jepakit.recipes.reaching import planner_of
from jepakit.recipes.stored import embedded_trajectories, told_trajectories
from jepakit.storage import Run, config_from_dict, config_to_dict
from jepakit.types import UserError

SMALL = CoarsePlanning(
    num_blocks=2, macro_dim=3, num_trajectories=4, num_frames=6, num_steps=3, horizon=2, num_samples=6, num_elites=2
)


def recipe_and_method(coarse: CoarsePlanning | None = SMALL) -> tuple[WorldRecipe, Any]:
    recipe = tiny_world()
    training = replace(recipe.training, precision="fp32")
    recipe = replace(recipe, planning=replace(recipe.planning, coarse=coarse), training=training)
    return recipe, recipe.method.build(seed=0, num_steps=1).eval().requires_grad_(False)


def test_a_coarse_level_is_kept_with_the_run_and_leads_the_search(tmp_path: Path) -> None:
    recipe, method = recipe_and_method()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    learn_coarse_level(method, recipe, Run(tmp_path))
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())  # frozen
    coarse = read_coarse_level(method, recipe, Run(tmp_path))
    assert coarse is not None and coarse.action_space.shape == (3,)
    assert not torch.equal(coarse.dynamics.low, -torch.ones(3))  # measured on what was met, and kept
    planner = planner_of(recipe.planning, LatentDistance(), coarse=coarse)
    assert isinstance(planner, Hierarchical) and (planner.coarse.horizon, planner.horizon) == (2, 3)
    found = evaluate_world(method, recipe, LatentDistance(), {}, split="dev", num_episodes=3, coarse=coarse)
    assert "2 macro-actions, each 2 frames long" in found.record["protocol"]["statement"][-1]
    assert config_from_dict(WorldRecipe, config_to_dict(recipe)) == recipe


def test_what_a_predictor_is_told_belongs_to_the_frames_that_are_embedded() -> None:
    recipe, method = recipe_and_method()
    given = method, recipe, 3, 5
    told = told_trajectories(*given, first=7)
    z = embedded_trajectories(*given, first=7)
    world, ids = replace(recipe.data.world, seed=recipe.seed), torch.arange(7, 10)
    made = recipe.data.behaviour(world, ids, 16)
    torch.testing.assert_close(told, made.action.unflatten(1, (4, 4)).flatten(2))
    torch.testing.assert_close(z[:, 1], method.embed(world.render(made.at(4))[:, None])[:, 0])


def test_without_a_coarse_level_plans_are_flat(tmp_path: Path) -> None:
    recipe, method = recipe_and_method(None)
    learn_coarse_level(method, recipe, Run(tmp_path))
    assert read_coarse_level(method, recipe, Run(tmp_path)) is None and not list(tmp_path.iterdir())
    assert isinstance(planner_of(recipe.planning, LatentDistance()), CEM)


def test_what_has_no_coarse_level_says_so(tmp_path: Path) -> None:
    recipe, method = recipe_and_method()
    with pytest.raises(UserError, match="no coarse level yet"):
        read_coarse_level(method, recipe, Run(tmp_path))
    learn_coarse_level(method, recipe, Run(tmp_path))
    other = replace(recipe, planning=replace(recipe.planning, coarse=replace(SMALL, macro_dim=2)))
    with pytest.raises(UserError, match="'macro_dim': 3"):
        read_coarse_level(method, other, Run(tmp_path))
    with pytest.raises(UserError, match="CausalDynamics is none"):
        learn_coarse_level(WORLDS["lewm"].build(seed=0, num_steps=1), recipe, Run(tmp_path))
