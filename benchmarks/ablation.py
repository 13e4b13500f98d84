"""Take the parts of a TwoRooms recipe away one by one: what is each worth in five minutes of training?

    python benchmarks/ablation.py                        # two-rooms-fixed, every row, development manifest
    python benchmarks/ablation.py --rows all GRU         # some of them
    python benchmarks/ablation.py --study random         # two-rooms-random at a sixth of its length

A row is the recipe but for one part. Rows of the first table are trained each for itself; those of the second plan
otherwise with what the first row learned. All play the same development episodes; beside each share stands how much it
differs from the first row on them (paired), and the seconds of training, refining and learning the cost (those of the
first row, where nothing was trained). One seed: a difference within its interval says nothing, and choices made here
are confirmed elsewhere (`benchmarks/two_rooms.py --final`). A rerun computes what is missing.

In five minutes the whole of random walls reaches no more goals than the straight line, so rows of that study may say
little; its cost is learned from a third of the recipe's trajectories by a third of its updates.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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


def shortened(steps: int) -> Change:
    """Train for so many steps."""
    return lambda recipe: replace(recipe, training=replace(recipe.training, num_steps=steps, health_every=steps))


def early(recipe: Any) -> WorldRecipe:
    """Take five minutes for random walls, the cost included."""
    return learned(num_trajectories=4000, num_steps=2000)(shortened(2000)(recipe))


def refined(recipe: Any) -> WorldRecipe:
    """Train the predictor alone on stored embeddings for about the last third of the time."""
    return replace(shortened(round(0.67 * recipe.training.num_steps))(recipe), refining=Refining(num_steps=900))


def unchanged(recipe: Any) -> WorldRecipe:
    """Take nothing away."""
    return recipe  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Study:
    """Say what is taken apart.

    Args:
        recipe: Its name.
        base: What the first row is made of it by.
        trained: What is trained, each for itself.
        planned: What is done otherwise with what the first row learned.
    """

    recipe: str
    base: Change
    trained: Mapping[str, Change]
    planned: Mapping[str, Change]

    def change(self, name: str) -> Change:
        """Return what makes a row of the first one."""
        return {"all": unchanged, **self.trained, **self.planned}[name]


SEARCH: dict[str, Change] = {
    "mean distance alone": learned(num_steps=0),
    "no latent distance": planning(distance_weight=0.0),
    "white noise": planning(colour=0.0),
    "half the horizon": planning(horizon=6),
    "a quarter of the candidates": planning(num_samples=32, num_elites=4),
    "a search each action": planning(every=1),
}
"""What any recipe can plan otherwise."""

STUDIES = {
    "fixed": Study(
        "two-rooms-fixed",
        unchanged,
        {
            "neighbouring frames": method(frame_skip=1),
            "GRU": method(dynamics=GRUDynamicsConfig()),
            "one step ahead": method(rollout_steps=1),
            "no inverse dynamics": method(inverse_weight=0.0),
            "inverse dynamics of neighbours": method(inverse_gaps=(1,)),
            "no slowness": method(slowness_weight=0.0),
            "variance and covariance alone": method(slowness_weight=0.0, inverse_weight=0.0),
            "no variance, no covariance": method(variance_weight=0.0, covariance_weight=0.0),
            "weights of EB-JEPA": method(
                variance_weight=16.0, covariance_weight=8.0, slowness_weight=12.0, inverse_weight=1.0
            ),
            "encoder as it was drawn": method(freeze_encoder=True),
        },
        SEARCH
        | {
            "learned cost of paths": learned(by="paths"),
            "root of the distance": planning(distance_root=True),
            "model in bf16": planning(precision="bf16"),
        },
    ),
    "random": Study(
        "two-rooms-random",
        early,
        {
            "predictor refined, trained less": refined,
            "half as many still numbers": method(still_dim=32),
            "no still numbers": method(still_dim=0),
            "the start is seen once": dynamics(sees_start=False),
            "weights of the fixed wall": method(variance_weight=8.0, covariance_weight=4.0, slowness_weight=6.0),
        },
        SEARCH | {"gaps instead of paths": learned(by="gaps", num_trajectories=2500, num_frames=50)},
    ),
}


def cell(name: str, study: Study, given: argparse.Namespace) -> dict[str, Any]:
    """Train what a row asks for, unless it is trained, and reach for the goals of the development manifest."""
    whole = study.base(find_recipe(study.recipe)())
    changed = study.change(name)(whole)
    is_trained = name not in study.planned
    run = Run(given.out / given.study / "runs" / slug(name if is_trained else "all"))
    ready = prepare(changed if is_trained else whole, run, Lines())
    if changed.planning.learned != whole.planning.learned:
        run = Run(given.out / given.study / "costs" / slug(name))
        learn_cost(ready.method, changed, run)
    cost = read_cost(changed.planning, run)
    found = evaluate_world(ready.method, changed, cost, {}, split="dev", num_episodes=given.episodes)
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
    parser.add_argument("--study", choices=STUDIES, default="fixed")
    parser.add_argument("--rows", nargs="+", help="some of the study's")
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/ablation"))
    given = parser.parse_args(argv)
    study = STUDIES[given.study]
    names = ["all", *study.trained, *study.planned]
    for row in given.rows or ():
        if row not in names:
            parser.error(f"there is no row {row!r} in the study; it has {', '.join(names)}")
    given.rows = [name for name in names if name == "all" or name in (given.rows or names)]
    return given


def report(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Compute what is missing and return a row for each part, the whole first."""
    study = STUDIES[given.study]
    cells = {slug(name): partial(cell, name, study, given) for name in given.rows}
    records = run_grid(cells, given.out / given.study, print)
    whole = torch.tensor(records["all"]["reached"])
    table = []
    for name in given.rows:
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
