"""Put a noisy TV behind TwoRooms: does a model that predicts embeddings keep reaching goals, and one of pixels not?

    OMP_NUM_THREADS=1 python benchmarks/noisy_tv.py               # development manifest: for choices
    OMP_NUM_THREADS=1 python benchmarks/noisy_tv.py --final       # test manifest, once all choices are made

Arms: `two-rooms-fixed` as it is (predicts embeddings), `two-rooms-fixed-pixels` (predicts pixels), and as a floor
`two-rooms-fixed-random-encoder` (nothing but the predictor learns). All have the same encoder, predictor, clips, number
of steps, learned cost and search. Backgrounds: none, noise that is new at every step, a texture that drifts, and
`unseen`: the models of the texture before another texture. Channels are normalised by their own mean and deviation
before the background, for all arms alike. Goals are those of the committed manifest whatever is behind them.

Shown for each training: the share of episodes that end at the goal with Wilson's interval; the paired difference from
the same arm without background, and from pixels before the same background (Newcombe's interval, over episodes of
one training: another training is another row); R2 of a linear probe of the place, on embeddings of held-out frames, and
on predictions 12 blocks of 4 actions ahead. Each cell is one JSON file, and a rerun computes what is missing.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from jepakit.evaluation.episodes import success
from jepakit.evaluation.imagination import imagine, read_factors
from jepakit.evaluation.intervals import Interval
from jepakit.evaluation.paired_shares import paired_shares
from jepakit.evaluation.probed_world import Learned
from jepakit.recipes import WorldRecipe, find_recipe
from jepakit.recipes.distracted_rooms import measured
from jepakit.recipes.episodes import evaluate_world
from jepakit.recipes.feeds import HELD_OUT, learning_world
from jepakit.recipes.grid import run_grid
from jepakit.recipes.pipeline import train
from jepakit.recipes.reaching import learn_cost, read_cost
from jepakit.storage import Run
from jepakit.training.progress import Lines
from jepakit.worlds import Distracted, Heedless

ARMS = {
    "embeddings": "two-rooms-fixed",
    "pixels": "two-rooms-fixed-pixels",
    "random-encoder": "two-rooms-fixed-random-encoder",
}
BACKGROUNDS = ("none", "noise", "texture", "unseen")
NUM_PROBED = 300
SEARCH = {"num_samples": 64, "num_elites": 8, "num_iterations": 3}
LEARNED = {"num_trajectories": 1200, "num_steps": 1200}
"""A smaller search than the recipes' and a shorter learning of the cost, the same for all arms: half of the time."""


def recipe_of(arm: str, background: str, seed: int, num_steps: int) -> WorldRecipe:
    """Return an arm's recipe before a background, of so many steps."""
    recipe: Any = find_recipe(ARMS[arm])()
    data = recipe.data
    if background != "none":
        data = replace(data, world=Distracted(data.world, background), behaviour=Heedless(data.behaviour))
    warmup = min(recipe.training.warmup_steps, num_steps // 10)
    rhythm = {"num_steps": num_steps, "warmup_steps": warmup, "health_every": -(-num_steps // 2)}
    training = replace(recipe.training, precision="bf16", **rhythm)
    planning = replace(recipe.planning, learned=replace(recipe.planning.learned, **LEARNED), **SEARCH)
    method = replace(recipe.method, preprocess=measured(recipe.method.preprocess, data.world, data.behaviour))
    return replace(recipe, method=method, data=data, training=training, planning=planning, seed=seed)


def cell(recipe: WorldRecipe, shown: WorldRecipe, run: Run, given: argparse.Namespace) -> dict[str, Any]:
    """Train a recipe unless it is trained, reach for goals in the world that is shown, and read places."""
    trained = train(recipe, run.path, Lines())
    trained.result.require_whole()
    method: Any = trained.method.eval()
    if not run.file("cost").exists():
        learn_cost(method, recipe, run)
    cost, split = read_cost(recipe.planning, run), split_of(given)
    found = evaluate_world(method, shown, cost, {}, split=split, num_episodes=given.episodes)
    return {
        "seconds": trained.result.seconds,
        "reached": found.reached.tolist(),
        "arms": found.record["arms"],
        "probe": probed(method, shown),
    }


@torch.no_grad()
def probed(method: Any, shown: WorldRecipe) -> dict[str, float]:
    """Return how much of the place a linear probe reads from true and from predicted embeddings."""
    world, skip, blocks = learning_world(shown), shown.method.frame_skip, shown.planning.horizon
    made = shown.data.behaviour(world, 3 * HELD_OUT + torch.arange(NUM_PROBED), skip * blocks)
    imagined = imagine(Learned(method, world.render), made, skip)
    thin = made.every(skip)
    position = {"position": thin.of(world.factors(thin.states)["position"])}
    found = read_factors(imagined, position)[1][0]
    return {"true": found.true, "predicted": found.predicted[-1]}


def cells_of(given: argparse.Namespace) -> dict[str, Any]:
    """Return what computes each cell."""
    cells: dict[str, Any] = {}
    for seed in range(given.seeds):
        for background in given.backgrounds:
            for arm in given.arms:
                learnt = "texture" if background == "unseen" else background
                recipe = recipe_of(arm, learnt, seed, given.steps)
                shown = recipe if background != "unseen" else before_another(recipe)
                run = Run(given.out / "runs" / f"{arm}-{learnt}-steps={given.steps}-seed={seed}")
                name = f"{arm}-{background}-steps={given.steps}-seed={seed}-{split_of(given)}-n={given.episodes}"
                cells[name] = partial(cell, recipe, shown, run, given)
    return cells


def before_another(recipe: WorldRecipe) -> WorldRecipe:
    """Return a recipe before a texture that its training does not show."""
    world: Any = recipe.data.world
    return replace(recipe, data=replace(recipe.data, world=replace(world, texture=world.texture + 1)))


def split_of(given: argparse.Namespace) -> str:
    """Return the manifest's split."""
    return "test" if given.final else "dev"


def rows(records: Mapping[str, Any], given: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the table: a row for each training before each background."""
    table = []
    for name in records:
        arm, background, seed = parts_of(name)
        beside = {"none": name.replace(f"-{background}-", "-none-"), "pixels": name.replace(arm, "pixels", 1)}
        reached = torch.tensor(records[name]["reached"])
        row = {"arm": arm, "background": background, "seed": seed, "ends": success(reached)}
        for against, other in beside.items():
            if other in records and other != name:
                row[f"from {against}"] = paired_shares(reached, torch.tensor(records[other]["reached"]))
        table.append(row | {"probe": records[name]["probe"], "seconds": records[name]["seconds"]})
    return table


def parts_of(name: str) -> tuple[str, str, int]:
    """Return arm, background and seed of a cell's name."""
    head, _, tail = name.partition("-steps=")
    arm, _, background = head.rpartition("-")
    return arm, background, int(tail.split("-seed=")[1].split("-")[0])


def shown(value: Interval) -> str:
    """Return a share, or a difference of shares, in points."""
    return f"{100 * value.value:5.1f} [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def floors(given: argparse.Namespace) -> str:
    """Return what random actions and the straight line reach; no background changes that."""
    any_cell = next(iter(run_grid(cells_of(given), given.out).values()))
    return "; ".join(f"{arm['arm']} {shown(Interval(**arm['ends']))}" for arm in any_cell["arms"] if arm["is_floor"])


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read what to compute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=["embeddings", "pixels"])
    parser.add_argument("--backgrounds", nargs="+", choices=BACKGROUNDS, default=list(BACKGROUNDS))
    parser.add_argument("--final", action="store_true", help="take the test manifest")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/noisy-tv"))
    return parser.parse_args(argv)


def main() -> None:
    """Compute what is missing and print the table."""
    given = arguments()
    torch.set_num_threads(1)
    records = run_grid(cells_of(given), given.out, print)
    print(f"{split_of(given)} manifest, {given.episodes} episodes, {given.steps} steps; floors: {floors(given)}")
    for row in rows(records, given):
        differences = "  ".join(f"{key} {shown(row[key])}" for key in ("from none", "from pixels") if key in row)
        probe = f"R2 {row['probe']['true']:.3f}, predicted {row['probe']['predicted']:.3f}"
        print(f"{row['background']:8} {row['arm']:15} seed {row['seed']}  {shown(row['ends'])}  {probe}  {differences}")


if __name__ == "__main__":
    main()
