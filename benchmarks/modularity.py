"""Keep a trained encoder, learn the predictor anew for another action space, and say what that saves.

    OMP_NUM_THREADS=1 python benchmarks/modularity.py --source runs/two-rooms-fixed    # minutes of one core

In `Turned` rooms an action is turned by 90 degrees and halved before the dot moves: the same pictures, other actions.
The source is a run of `two-rooms-fixed`, trained first where there is none. Three arms see the same clips in one order:

    taken      the source's encoder, frozen, and its learned cost, which reads embeddings alone; a fresh predictor
    scratch    encoder, predictor and cost from scratch
    as it was  the source with its old predictor, told the new actions: the floor, nothing is learned

A cell is a training of so many steps, with a schedule of its own: success on the first episodes of the development
manifest (Wilson's interval; the same starts and goals, in turned rooms), and a probe of the place, fitted to true
embeddings of held-out trajectories and read on others, of z and of z_hat up to 48 actions ahead (R2). What a probe
reads from z is kept by the encoder, what it does not is dropped, and what it reads from z and not from z_hat is
mispredicted. The frames are those of the clips seen, the seconds those of training. One line of JSON ends it; a rerun
computes what is missing.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.evaluation.imagination import drift, imagine, read_factors
from jepakit.evaluation.manifest import find_manifest
from jepakit.evaluation.probed_world import Learned
from jepakit.evaluation.reaching import play_arm
from jepakit.hub import load
from jepakit.methods import EBJEPAWorldConfig
from jepakit.planning.plan import Cost
from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.feeds import HELD_OUT
from jepakit.recipes.grid import run_grid
from jepakit.recipes.pipeline import train
from jepakit.recipes.reaching import control_of, learn_cost, read_cost
from jepakit.recipes.two_rooms import two_rooms_fixed
from jepakit.storage import Run
from jepakit.worlds import TwoRooms, Wandering
from jepakit.worlds.trajectories import Trajectories

GAIN = 0.5
BUDGETS = {"taken": (100, 400), "scratch": (100, 400, 800)}
_AHEAD = 48
"""Actions that are imagined: a plan's length."""


@dataclass(frozen=True)
class Turned(TwoRooms):
    """TwoRooms whose actions are turned by 90 degrees and halved before the dot moves."""

    def step(self, state: Any, action: Float[Tensor, "b 2"]) -> Any:
        """Move every dot."""
        return super().step(state, GAIN * torch.stack((-action[:, 1], action[:, 0]), dim=1))


@dataclass(frozen=True)
class Retold(Wandering):
    """Wander as ever, and tell what was done in the actions of `Turned`."""

    def __call__(self, world: TwoRooms, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
        """Return the trajectories of these ids."""
        made = super().__call__(TwoRooms(world.layout, world.seed), ids, num_steps)
        return Trajectories(made.states, torch.stack((made.action[..., 1], -made.action[..., 0]), dim=-1) / GAIN)


def recipe_of(arm: str, steps: int, args: argparse.Namespace) -> WorldRecipe:
    """Return the training of an arm."""
    recipe = two_rooms_fixed()
    method = cast(EBJEPAWorldConfig, recipe.method)
    low, high = (tuple(edge / GAIN for edge in edges) for edges in (method.action_low, method.action_high))
    method = replace(method, action_low=low, action_high=high, freeze_encoder=arm == "taken")
    training = replace(recipe.training, num_steps=steps, warmup_steps=min(50, steps // 5), health_every=0)
    search = replace(recipe.planning, num_samples=64, num_elites=8, num_iterations=3)
    learned = replace(search.learned, num_trajectories=args.trajectories, num_steps=args.head_steps)
    return replace(
        recipe,
        recipe=f"turned-{arm}",
        method=method,
        data=replace(recipe.data, world=Turned(), behaviour=Retold()),
        training=training,
        planning=replace(search, learned=learned),
        encoder_from=str(args.source) if arm == "taken" else None,
        seed=args.seed,
    )


def trained(arm: str, steps: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train an arm for so many steps and measure it."""
    recipe, run = recipe_of(arm, steps, args), Run(args.out / "runs" / f"{arm}-{steps}-seed={args.seed}")
    done = train(recipe, run.path)
    method = done.method.eval()
    if arm == "scratch":
        learn_cost(method, recipe, run)
    cost = read_cost(recipe.planning, run if arm == "scratch" else Run(args.source))
    seen = steps * recipe.training.batch_size * recipe.data.num_frames
    return {"arm": arm, "steps": steps, "frames": seen, "seconds": done.result.seconds} | measured(
        method, recipe, cost, args
    )


def as_it_was(args: argparse.Namespace) -> dict[str, Any]:
    """Measure the source without any learning."""
    recipe = recipe_of("taken", 1, args)
    method = load(args.source).method
    method.config = recipe.method  # the bounds of the new actions, so that the search is the same
    cost = read_cost(recipe.planning, Run(args.source))
    return {"arm": "as it was", "steps": 0, "frames": 0, "seconds": 0.0} | measured(method, recipe, cost, args)


@torch.no_grad()
def measured(method: Any, recipe: WorldRecipe, cost: Cost, args: argparse.Namespace) -> dict[str, Any]:
    """Return how often goals are reached, and what probes read of z and z_hat."""
    _, manifest = find_manifest(TwoRooms(), "dev")
    plain, start, goal, ids = manifest.tasks(TwoRooms(), args.episodes)
    world = Turned(seed=plain.seed)
    act = control_of(recipe.planning, method, cost, world.render(goal), ids)
    arm = play_arm("jepa", world, start, goal, act, recipe.planning.num_steps, 1)
    others = Turned(seed=recipe.seed)
    held_out = Retold()(others, 4 * HELD_OUT + torch.arange(args.probed), _AHEAD)
    imagined = imagine(Learned(method, others.render), held_out, method.frame_skip)
    thin = held_out.every(method.frame_skip)
    _, scores = read_factors(imagined, {"position": thin.of(thin.states.position)})
    told = arm.to_json()
    return {
        "ends": told["ends"],
        "comes": told["comes"],
        "probe": {score.factor: {"z": score.true, "z_hat": score.predicted} for score in scores},
        "drift": [asdict(row) for row in drift(imagined)],
    }


def shown(cells: Mapping[str, Any]) -> None:
    """Print a line for each cell."""
    print(f"{'arm':<10} {'steps':>5} {'frames':>9} {'seconds':>7}  {'ends':<22} R2 of z, of z_hat at 4 and 48 actions")
    for cell in cells.values():
        ends, read = cell["ends"], cell["probe"]["position"]
        interval = f"{ends['value']:.0%} [{ends['low']:.0%}, {ends['high']:.0%}]"
        print(
            f"{cell['arm']:<10} {cell['steps']:>5} {cell['frames']:>9,} {cell['seconds']:>7.0f}  {interval:<22} "
            f"{read['z']:.3f} {read['z_hat'][0]:.3f} {read['z_hat'][-1]:.3f}"
        )


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read what to keep, and how much to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path("runs/two-rooms-fixed"))
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/modularity"))
    parser.add_argument("--seed", type=int, default=1, help="another than the source's")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--probed", type=int, default=200, help="held-out trajectories, half to fit and half to score")
    parser.add_argument("--trajectories", type=int, default=1000, help="from which a cost is learned from scratch")
    parser.add_argument("--head-steps", type=int, default=1000, help="updates of that cost")
    parser.add_argument("--budgets", type=int, nargs="*", help="steps, instead of each arm's own")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(argv)


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Train what is to be trained, and return every cell."""
    if not Run(args.source).checkpoint_path().exists():
        source = two_rooms_fixed()
        train(source, args.source)
        learn_cost(load(args.source).method, source, Run(args.source))
    cells = {f"as-it-was-seed={args.seed}": partial(as_it_was, args)}
    for arm, budgets in BUDGETS.items():
        for steps in args.budgets or budgets:
            cells[f"{arm}-{steps}-seed={args.seed}"] = partial(trained, arm, steps, args)
    return run_grid(cells, args.out / "cells", partial(print, flush=True))


def main() -> None:
    """Measure, print a table and one line of JSON."""
    args = arguments()
    torch.set_num_threads(args.threads)
    cells = report(args)
    shown(cells)
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    print(json.dumps({"arguments": settings, "cells": cells}))


if __name__ == "__main__":
    main()
