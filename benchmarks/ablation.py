"""Take the parts of a TwoRooms recipe away one by one: what is each worth in five minutes of training?

    python benchmarks/ablation.py                     # every row, development manifest
    python benchmarks/ablation.py --rows all GRU      # some of them

A row is `two-rooms-random` at a sixth of its length, its cost learned from a third of the trajectories by a third of
the updates, but for one part. Rows of the first table are trained each for itself; those of the second plan otherwise
with what the first row learned. All play the same development episodes; beside each share stands how much it differs
from the first row on them (paired), and the seconds of training, refining and learning the cost (those of the first
row, where nothing was trained). One seed: a difference within its interval says nothing, and choices made here are
confirmed elsewhere (`benchmarks/two_rooms.py --final`). A rerun computes what is missing.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from jepakit.evaluation.episodes import success
from jepakit.evaluation.intervals import Interval
from jepakit.evaluation.paired_shares import paired_shares
from jepakit.nn.dynamics import GRUDynamicsConfig
from jepakit.recipes import WorldRecipe, find_recipe
from jepakit.recipes.config import Refining
from jepakit.recipes.episodes import evaluate_world
from jepakit.recipes.grid import run_grid
from jepakit.recipes.preparing import prepare
from jepakit.recipes.reaching import learn_cost, read_cost
from jepakit.storage import Run
from jepakit.training.progress import Lines

Change = Callable[[Any], WorldRecipe]


def base(steps: int) -> WorldRecipe:
    """Return the recipe, shortened."""
    recipe: Any = find_recipe("two-rooms-random")()
    recipe = learned(num_trajectories=4000, num_steps=2000)(recipe)
    return replace(recipe, training=replace(recipe.training, num_steps=steps, health_every=steps))


def method(**changes: Any) -> Change:
    """Change the method."""
    return lambda recipe: replace(recipe, method=replace(recipe.method, **changes))


def dynamics(**changes: Any) -> Change:
    """Change the predictor."""
    return lambda recipe: method(dynamics=replace(recipe.method.dynamics, **changes))(recipe)


def planning(**changes: Any) -> Change:
    """Change the search."""
    return lambda recipe: replace(recipe, planning=replace(recipe.planning, **changes))


def learned(**changes: Any) -> Change:
    """Change the learned cost."""
    return lambda recipe: planning(learned=replace(recipe.planning.learned, **changes))(recipe)


def refined(recipe: Any) -> WorldRecipe:
    """Train the predictor alone on stored embeddings for about the last third of the time."""
    training = replace(recipe.training, num_steps=round(0.67 * recipe.training.num_steps))
    return replace(recipe, training=training, refining=Refining(num_steps=900))


TRAINED: dict[str, Change] = {
    "all": lambda recipe: recipe,
    "predictor refined, trained less": refined,
    "half as many still numbers": method(still_dim=32),
    "the start is seen once": dynamics(sees_start=False),
    "no still numbers": method(still_dim=0),
    "GRU": method(dynamics=GRUDynamicsConfig()),
    "one step ahead": method(rollout_steps=1),
    "inverse dynamics of neighbours": method(inverse_gaps=(1,)),
    "weights of the fixed wall": method(variance_weight=8.0, covariance_weight=4.0, slowness_weight=6.0),
}
"""What is trained, each for itself."""

PLANNED: dict[str, Change] = {
    "no latent distance": planning(distance_weight=0.0),
    "mean distance alone": learned(num_steps=0),
    "gaps instead of paths": learned(by="gaps", num_trajectories=2500, num_frames=50, num_steps=2000),
    "model and cost in fp32": planning(precision="fp32"),
    "white noise": planning(colour=0.0),
    "half the horizon": planning(horizon=6),
    "a quarter of the candidates": planning(num_samples=32, num_elites=4),
    "a search each action": planning(every=1),
}
"""What is done otherwise with what the first row learned."""


def cell(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """Train what a row asks for, unless it is trained, and reach for the goals of the development manifest."""
    recipe = TRAINED.get(name, TRAINED["all"])(base(given.steps))
    run = Run(given.out / "runs" / slug(name if name in TRAINED else "all"))
    ready = prepare(recipe, run, Lines())
    planned = PLANNED.get(name, TRAINED["all"])(recipe)
    if planned.planning.learned != recipe.planning.learned:
        run = Run(given.out / "costs" / slug(name))
        learn_cost(ready.method, planned, run)
    cost = read_cost(planned.planning, run)
    found = evaluate_world(ready.method, planned, cost, {}, split="dev", num_episodes=given.episodes)
    seconds = list(ready.seconds.values())
    return {"seconds": seconds, "reached": found.reached.tolist(), "arms": found.record["arms"]}


def slug(name: str) -> str:
    """Return a row's name as a file's."""
    return name.replace(",", "").replace(" ", "-")


def shown(value: Interval) -> str:
    """Return a share, or a difference of shares, in points."""
    return f"{100 * value.value:5.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read what to compute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*TRAINED, *PLANNED]
    parser.add_argument("--rows", nargs="+", choices=names, default=names)
    parser.add_argument("--steps", type=int, default=2000, help="of training; the recipe's are 12000")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/ablation"))
    return parser.parse_args(argv)


def report(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Compute what is missing and return a row for each part, the whole first."""
    names = ["all", *(name for name in given.rows if name != "all")]
    records = run_grid({slug(name): partial(cell, name, given) for name in names}, given.out, print)
    whole = torch.tensor(records["all"]["reached"])
    table = []
    for name in names:
        reached = torch.tensor(records[slug(name)]["reached"])
        seconds = records[slug(name)]["seconds"]
        table.append({"row": name, "ends": success(reached), "more": paired_shares(reached, whole), "seconds": seconds})
    return table


def main() -> None:
    """Print the table."""
    for row in report(arguments()):
        seconds = " + ".join(f"{part:.0f}" for part in row["seconds"])
        print(f"{row['row']:32} {shown(row['ends'])}   from all {shown(row['more'])}   {seconds} s")


if __name__ == "__main__":
    main()
