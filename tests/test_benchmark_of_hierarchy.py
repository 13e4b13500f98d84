"""The benchmark of hierarchy gives both ways of planning the same time, and plays them on the same episodes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripts import script

from jepakit.planning import CEM
from jepakit.recipes.config import CoarsePlanning, CostLearning


def test_flat_search_gets_the_time_that_a_hierarchical_one_takes() -> None:
    hierarchy = script("benchmarks/hierarchy.py")
    flat = CEM(horizon=12, num_samples=100, num_elites=10)
    found = hierarchy.matched(flat, 0.03, lambda planner: 0.001 + 1e-4 * planner.num_samples)
    assert found.num_samples == pytest.approx(290, abs=3)
    assert hierarchy.matched(flat, 1e-9, lambda planner: planner.num_samples).num_samples == 20  # enough for its elites


def test_a_maze_is_learned_and_planned_through_with_and_without_subgoals(tmp_path: Path) -> None:
    hierarchy = script("benchmarks/hierarchy.py")
    recipe: Any = hierarchy.recipe_of("gaps")
    search = {"horizon": 3, "num_samples": 6, "num_elites": 2, "num_iterations": 1, "num_steps": 16}
    few = CostLearning(num_trajectories=4, num_frames=14, num_steps=2, hidden_dim=8)
    coarse = CoarsePlanning(num_trajectories=4, num_frames=14, num_steps=2, horizon=2, num_samples=6, num_elites=2)
    planning = replace(recipe.planning, learned=few, coarse=coarse, **search)
    training = replace(recipe.training, num_steps=2, warmup_steps=0, batch_size=4)
    recipe = replace(recipe, planning=planning, training=training, data=replace(recipe.data, num_health=24))
    given = ["--run", str(tmp_path), "--episodes", "3", "--at-once", "2", "--horizons", "4", "--mazes", "16", "40"]
    told = hierarchy.main(given, recipe)
    assert list(told) == ["maze 16", "maze 40", "all"]
    names = [arm["arm"].split(",")[0] for arm in told["all"]["arms"]]
    assert names == ["hierarchical", "flat", "random policy"]
    assert all(arm["ends"]["n"] == 6 for arm in told["all"]["arms"])
    assert told["all"]["arms"][0]["hierarchical_ends_more"] is None
    assert told["all"]["arms"][1]["hierarchical_ends_more"]["n"] == 6
    assert told["maze 40"]["arms"][1]["hierarchical_ends_more"]["n"] == 3
