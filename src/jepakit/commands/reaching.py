"""Reach goals in the world that a run has learned: evaluate it on a manifest, or plan for single episodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jepakit.evaluation.episodes import play
from jepakit.hub import load
from jepakit.planning.plan import Cost, WorldModel
from jepakit.recipes.coarse import read_coarse_level
from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.diagnosing import diagnose_world
from jepakit.recipes.episodes import Floor, evaluate_world
from jepakit.recipes.reaching import control_of, planner_of, read_cost
from jepakit.recipes.world_pictures import Playing, save_world_pictures, telling
from jepakit.report import build_report
from jepakit.storage import Run, append_line, config_from_dict, located, refuse_shipped, write_json
from jepakit.training.precision import choose_device
from jepakit.types import UserError


@dataclass(frozen=True)
class Reached:
    """Hold how one episode went.

    Args:
        episode: Its id.
        distance: From the goal, in the world's units, before the first step and after each.
        reached: Whether it is at its goal after the last step.
        seconds: That deciding took.
    """

    episode: int
    distance: tuple[float, ...]
    reached: bool
    seconds: float


def is_world(run: Run) -> bool:
    """Return whether a run learned a world rather than images."""
    return run.file("config.json").exists() and run.config().get("class") == WorldRecipe.__name__


def recipe_of(run: Run) -> WorldRecipe:
    """Return the recipe of a run in a world.

    Raises:
        UserError: It is a run on images, the life of an agent, or none at all.
    """
    if run.file("round-1").is_dir():
        raise UserError(f"{run.path} is the life of an agent; give one of its rounds, such as {run.path}/round-1.")
    config = run.config()
    if not is_world(run):
        raise UserError(
            f"{run.path} learned from samples, not in a world, so there is nothing to act in and nothing that follows; "
            "give a run in a world."
        )
    return config_from_dict(WorldRecipe, config)


def evaluate_reaching(
    run: Path | str,
    *,
    final: bool = False,
    checkpoint: str = "last",
    episodes: int | None = None,
    diagnose: int = 0,
    floor: Path | str | None = None,
) -> dict[str, Any]:
    """Reach the goals of a manifest beside floors, write evaluation.json, and rebuild report.html.

    Args:
        run: The run directory.
        final: Take the test manifest and keep the record for good; otherwise the development manifest.
        checkpoint: `last` or `healthy`.
        episodes: Only so many of the manifest's.
        diagnose: Episodes of the development manifest on which to find out what fails (model, metric or search), which
            takes a few seconds each; 0 leaves it out.
        floor: Another run of the same world that plays the same episodes beside it, such as one of the recipe
            `two-rooms-fixed-random-encoder`.

    Raises:
        UserError: A run has no checkpoint, or the floor plans otherwise or elsewhere.
    """
    refuse_shipped(run)
    directory = Run(run)
    recipe = recipe_of(directory)
    model = load(directory.path, checkpoint=checkpoint, device=choose_device("auto"))
    cost = read_cost(recipe.planning, directory, model.device)
    which = {name: model.description[name] for name in ("checkpoint", "step")}
    record = score_world(
        model.method,
        recipe,
        cost,
        directory,
        which,
        final=final,
        episodes=episodes,
        diagnose=diagnose,
        floor=None if floor is None else _floor(Run(floor)),
        coarse=read_coarse_level(model.method, recipe, directory),
    )
    build_report(directory)
    return record


def _floor(run: Run) -> Floor:
    """Return a run as a floor of another."""
    recipe, model = recipe_of(run), load(run.path, device=choose_device("auto"))
    return Floor(model.method, recipe, read_cost(recipe.planning, run, model.device))


def score_world(
    method: Any,
    recipe: WorldRecipe,
    cost: Cost,
    run: Run,
    which: Mapping[str, Any],
    *,
    final: bool = False,
    episodes: int | None = None,
    diagnose: int = 0,
    floor: Floor | None = None,
    coarse: WorldModel | None = None,
) -> dict[str, Any]:
    """Evaluate a method in memory, write evaluation.json and the pictures; arguments as in `evaluate_reaching`."""
    split = "test" if final else "dev"
    found = evaluate_world(method, recipe, cost, which, split=split, num_episodes=episodes, floor=floor, coarse=coarse)
    record = found.record
    if diagnose:
        record["diagnosis"] = diagnose_world(method, recipe, cost, diagnose)
    write_json(run.file("evaluation.json"), record)
    if final:
        append_line(run.file("final-records.jsonl"), record)
    planning = recipe.planning
    searched = (planning.every, planning.hold, planning.num_steps, planning.memory)
    playing = Playing(planner_of(planning, cost, coarse=coarse), *searched)
    shown = found.ids[telling(found.reached)]
    save_world_pictures(run, method, found.world, recipe.data.behaviour, playing, cost, shown)
    return record


def plan(run: Path | str, *, episodes: int = 5, first: int = 0, checkpoint: str = "last") -> list[Reached]:
    """Plan to goals in the world of a run, episode by episode drawn with its own seed, and say how each went.

    Args:
        run: The run directory, or the name of a shipped model: `two-rooms`.
        episodes: How many.
        first: Id of the first.
        checkpoint: `last` or `healthy`.

    Raises:
        UserError: The run learned no world, or there are no episodes.
    """
    directory = Run(located(run))
    recipe = recipe_of(directory)
    if episodes < 1:
        raise UserError(f"There are no episodes to plan for: --episodes must be at least 1, got {episodes}.")
    model = load(directory.path, checkpoint=checkpoint, device=choose_device("auto"))
    cost = read_cost(recipe.planning, directory, model.device)
    world: Any = recipe.data.world
    ids = torch.arange(first, first + episodes)
    start, goal = world.task(ids)
    coarse = read_coarse_level(model.method, recipe, directory)
    act = control_of(recipe.planning, model.method, cost, world.render(goal), ids, coarse)
    reached = []

    def distance(state: Any) -> torch.Tensor:
        reached.append(world.reached(state, goal))
        far: torch.Tensor = world.distance(state, goal)
        return far

    played = play(world, start, act, recipe.planning.num_steps, distance)
    each = zip(ids.tolist(), played.distance.tolist(), reached[-1].tolist(), strict=True)
    return [Reached(number, tuple(far), hit, played.seconds / episodes) for number, far, hit in each]
