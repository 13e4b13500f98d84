"""Reach goals in stable-worldmodel's TwoRoom by LeWM's protocol, without pre-solved episodes, beside published figures.

    OMP_NUM_THREADS=2 python benchmarks/swm_protocol.py --seeds 3 --out swm.json

Trains the recipe `swm-two-room` once for each seed (`--runs` keeps the runs; a rerun goes on from them) and plays the
same episodes with each: start and goal are 25 steps apart on a held-out trajectory of the noisy expert, 50 steps are
allowed, success is less than 16 of 224 pixels from the goal, ever (the reference stops there), or after the last step
(`ends`). `jepakit.evaluation.windows` tells the filters. Beside the model stands a random policy on the same episodes;
the published figures are of other weights, another size (ViT-tiny at 224 pixels, hours on a GPU), the reference's
physics and its own 50 or 100 episodes. Without `--final` the episodes are those for choices. Intervals are Wilson's, of
all seeds together over episodes and seeds. Each line is written to `--out` as it comes.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepakit.evaluation.episodes import success
from jepakit.evaluation.reaching import RandomPolicy, ReachingArm, play_arm
from jepakit.evaluation.windows import BUDGET, FILTERS, Windows, windows
from jepakit.planning.costs import LatentDistance
from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.pipeline import train
from jepakit.recipes.reaching import control_of
from jepakit.recipes.swm import swm_two_room

AT_ONCE = 50
PUBLISHED = {
    "published": {"LeWM (its authors, 50 episodes)": 87.0, "random policy (le-wm issue 101)": 26.0},
    "moderate": {"LeWM (CLEAR-LeWM)": 84.0, "random policy (CLEAR-LeWM)": 6.7},
    "strict": {"LeWM (CLEAR-LeWM)": 58.3, "random policy (CLEAR-LeWM)": 1.7},
}


def played(name: str, episodes: Windows, act_for: Any) -> ReachingArm:
    """Play all episodes, some at a time."""
    parts, world = [], episodes.world
    for some in torch.arange(len(episodes.ids)).split(AT_ONCE):
        start, goal = (state.at(state.position[some]) for state in (episodes.start, episodes.goal))
        act = act_for(world.render(goal), episodes.ids[some])
        parts.append(play_arm(name, world, start, goal, act, BUDGET, 2))
    return parts[0].joined(parts[1:])


def arms_of(method: Any, recipe: WorldRecipe, episodes: Windows) -> list[ReachingArm]:
    """Return what the model and a random policy reach, the model by the distance at the last step and by the mean."""
    low, high = (torch.from_numpy(edge).float() for edge in (method.action_space.low, method.action_space.high))
    arms = [
        played(f"jepa, {over}", episodes, lambda goal, ids, over=over: _acting(method, recipe, over, goal, ids))
        for over in ("last", "mean")
    ]
    return [*arms, played("random policy", episodes, lambda _, ids: RandomPolicy(low, high, ids))]


def _acting(method: Any, recipe: WorldRecipe, over: str, goal: Tensor, ids: Tensor) -> Any:
    return control_of(recipe.planning, method, LatentDistance(over=over), goal, ids)


def report(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Train and play; returns a row for each seed, filter and arm, and one of all seeds together."""
    rows: list[dict[str, Any]] = []
    together: dict[tuple[str, str], list[Tensor]] = {}
    for seed in range(args.seeds):
        recipe = swm_two_room()
        recipe = replace(recipe, seed=seed, training=replace(recipe.training, num_steps=args.train_steps))
        method = train(recipe, args.runs / f"seed-{seed}").method.eval()
        for clean in FILTERS:
            episodes = windows(recipe.data.world, args.episodes, clean=clean, split="test" if args.final else "dev")
            for arm in arms_of(method, recipe, episodes):
                rows.append({"seed": seed, "filter": clean, "kept": round(episodes.kept, 3)} | arm.to_json())
                together.setdefault((clean, arm.name), []).append(arm.reached)
                told(rows[-1], args.out)
    for (clean, name), reached in together.items():
        joined = torch.cat(reached)
        ends, comes = (asdict(success(part)) for part in (joined[:, -1], joined.any(dim=1)))
        rows.append({"seed": "all", "filter": clean, "arm": name, "ends": ends, "comes": comes})
        told(rows[-1], args.out)
    return rows


def told(row: dict[str, Any], out: Path | None) -> None:
    """Print a row and keep it."""
    shares = (
        f"{100 * row[kind]['value']:5.1f} [{100 * row[kind]['low']:.1f}, {100 * row[kind]['high']:.1f}]"
        for kind in ("comes", "ends")
    )
    print(f"{row['seed']!s:<4} {row['filter']:<10} {row['arm']:<14} {'   '.join(shares)}", flush=True)
    if out is not None:
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read what to train and to play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"seeds": 1, "episodes": 100, "train-steps": swm_two_room().training.num_steps}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--runs", type=Path, default=Path("runs/swm-protocol"))
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(argv)


def main() -> None:
    """Train, play, and print our figures beside the published ones."""
    args = arguments()
    print("seed filter     arm            ever within 16 px     after the last step")
    report(args)
    for clean, figures in PUBLISHED.items():
        for name, value in figures.items():
            print(f"{'-':<4} {clean:<10} {value:5.1f}   {name}, as published")


if __name__ == "__main__":
    main()
