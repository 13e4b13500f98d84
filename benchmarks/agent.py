"""Let agents live that plan while they collect, and agents that never do, and compare how many goals they reach.

    OMP_NUM_THREADS=1 python benchmarks/agent.py                 # about 10 minutes of one free core

Both arms live through the same rounds of the recipe `maze-agent`: as many episodes of the same starts, as many frames,
as many updates of the same networks, the same search and the same goals, in layouts that no episode is collected in.
They differ in `planned`, the share of a later round's episodes in which the agent acts by plan; the first round is the
same, and is lived once. A third arm (`--arms roams`) never plans either, but its actions change slowly (`Roaming()`)
from the first round on: random collection that is told how to get about.

A cell is the record of a life: SEED and arm. A table of success after each round follows, and the paired difference of
each arm from random collection over seeds (Student's t). The seeds of settings tried before (100 and above) are none of
those reported. A rerun computes what is missing, and goes on with a life that was cut short.
"""

import argparse
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float

from jepakit.evaluation.intervals import over_repeats, paired
from jepakit.recipes.agent import AgentRecipe, live, mind_of, round_of
from jepakit.recipes.agents import maze_agent
from jepakit.recipes.episodes import evaluate_unseen
from jepakit.recipes.grid import run_grid
from jepakit.storage import Run, config_to_dict
from jepakit.worlds import Roaming

ARMS = ("random", "plans", "roams")
QUICK = {"num_rounds": 2, "num_episodes": 2, "num_tasks": 2}


def recipe_of(arm: str, seed: int, quick: bool = False) -> AgentRecipe:
    """Return the life of an arm."""
    recipe = maze_agent()
    learner = replace(recipe.learner, seed=seed)
    if arm == "roams":
        learner = replace(learner, data=replace(learner.data, behaviour=Roaming()))
    if quick:
        learner = replace(learner, training=replace(learner.training, num_steps=2, warmup_steps=0, batch_size=4))
        recipe = replace(recipe, **QUICK)  # type: ignore[arg-type]
    return replace(recipe, learner=learner, **({} if arm == "plans" else {"planned": 0.0}))


def life(arm: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Live, or go on living; the first round of an arm that plans is that of the one that does not."""
    recipe, run = recipe_of(arm, seed, args.quick), Run(args.out / "lives" / f"{arm}-{seed}")
    first, shared = round_of(Run(args.out / "lives" / f"random-{seed}"), 1), round_of(run, 1)
    if arm == "plans" and first.file("round.json").exists() and not shared.path.exists():
        run.path.mkdir(parents=True, exist_ok=True)
        run.claim(config_to_dict(recipe))
        shutil.copytree(first.path, shared.path)
    rounds = live(recipe, run.path)
    mind = mind_of(recipe, run, recipe.num_rounds)
    found, by_chance = evaluate_unseen(mind[0], recipe.learner, mind[1], {}, args.tasks)
    last = {"reached": found.reached.int().tolist(), "by_chance": by_chance.int().tolist()}
    return {"arm": arm, "seed": seed, "rounds": rounds, "last": last}


def success(cells: Mapping[str, Any], arm: str, seeds: list[int]) -> Float[torch.Tensor, "seeds rounds"]:
    """Return the share of goals reached after each round; after the last, of the longer list of goals."""
    lives = [cells[f"{arm}-{seed}"] for seed in seeds]
    early = [[told["ends"]["value"] for told in life["rounds"][:-1]] for life in lives]
    return torch.tensor([[*rounds, share(life["last"]["reached"])] for rounds, life in zip(early, lives, strict=True)])


def share(reached: list[int]) -> float:
    """Return the share of ones."""
    return sum(reached) / len(reached)


def table(cells: Mapping[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Print success after each round, and return it with what is paired over seeds."""
    told: dict[str, Any] = {"success": {}, "gain": {}}
    floor = success(cells, "random", args.seeds)
    for arm in ["random", *(arm for arm in args.arms if arm != "random")]:
        ours = success(cells, arm, args.seeds)
        told["success"][arm] = ours.tolist()
        print(f"{arm:<8}" + "".join(f"{value:8.1%}" for value in ours.mean(dim=0).tolist()))
        if arm == "random" or len(args.seeds) < 2:
            continue
        gains = {
            "after the last round": paired(ours[:, -1], floor[:, -1], "seeds"),
            "after all rounds but the first": paired(ours[:, 1:].mean(dim=1), floor[:, 1:].mean(dim=1), "seeds"),
            "from the first round to the last": over_repeats(ours[:, -1] - ours[:, 0], "seeds"),
        }
        told["gain"][arm] = {name: asdict(value) for name, value in gains.items()}
        for name, value in gains.items():
            print(f"  {name}: {value.value:+.1%} [{value.low:+.1%}, {value.high:+.1%}]")
    told["random_policy"] = share([hit for cell in cells.values() for hit in cell["last"]["by_chance"]])
    print(f"a random policy reaches {told['random_policy']:.1%}")
    return told


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read which lives to live, and where they are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--arms", nargs="*", choices=ARMS, default=["random", "plans"])
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/agent"))
    parser.add_argument("--tasks", type=int, default=100, help="goals of the agent that the last round leaves")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="two short rounds, to see that all of it runs")
    args = parser.parse_args(argv)
    args.tasks = 2 if args.quick else args.tasks
    return args


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Live every life, seed by seed, and compare them."""
    names = [(arm, seed) for seed in args.seeds for arm in ARMS if arm in {"random", *args.arms}]
    cells = {f"{arm}-{seed}": partial(life, arm, seed, args) for arm, seed in names}
    return table(run_grid(cells, args.out / "cells", partial(print, flush=True)), args)


def main() -> None:
    """Live, print a table and one line of JSON."""
    args = arguments()
    torch.set_num_threads(args.threads)
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    print(json.dumps({"arguments": settings} | report(args)))


if __name__ == "__main__":
    main()
