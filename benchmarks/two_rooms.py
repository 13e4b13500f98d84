"""Reach the opposite room of TwoRooms: EB-JEPA's specification, 500 held-out episodes, three trainings, beside floors.

    python benchmarks/two_rooms.py --recipe two-rooms-fixed            # development manifest, 200 episodes: for choices
    python benchmarks/two_rooms.py --recipe two-rooms-fixed --final    # test manifest, 500 episodes, once all are made
    python benchmarks/two_rooms.py --recipe two-rooms-random --final

An episode is 200 steps; it succeeds where the dot is within 4.5 pixels of the goal after the last of them. No label is
used. Shown for each training: its seconds (of training, of refining the predictor, of the learned cost), the share of
episodes with Wilson's interval at the end and ever on the way, seconds of deciding an episode, and the floors on the
same episodes. A rerun computes what is missing, and an interrupted training goes on.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from jepakit.recipes import WorldRecipe, find_recipe
from jepakit.recipes.episodes import evaluate_world
from jepakit.recipes.grid import run_grid
from jepakit.recipes.preparing import prepare
from jepakit.storage import Run
from jepakit.training.progress import Lines


def cell(recipe: WorldRecipe, run: Run, split: str, episodes: int | None) -> dict[str, Any]:
    """Train one seed, learn its cost, and reach for the goals of a manifest."""
    ready = prepare(recipe, run, Lines())
    found = evaluate_world(ready.method, recipe, ready.cost, {}, split=split, num_episodes=episodes)
    return {"seconds": ready.seconds, "arms": found.record["arms"], "gains": found.record["gains"]}


def main() -> None:
    """Print a row for each training, and its floors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="two-rooms-fixed")
    parser.add_argument("--final", action="store_true", help="the test manifest instead of the development manifest")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--episodes", type=int, help="only so many of the manifest's")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/two-rooms"))
    given = parser.parse_args()
    split, cells = "test" if given.final else "dev", {}
    for seed in range(given.seeds):
        recipe: Any = replace(find_recipe(given.recipe)(), seed=seed)
        run = Run(given.out / "runs" / f"{given.recipe}-seed={seed}")
        name = f"{given.recipe}-seed={seed}-{split}" + (f"-n={given.episodes}" if given.episodes else "")
        cells[name] = partial(cell, recipe, run, split, given.episodes)
    for name, record in run_grid(cells, given.out, print).items():
        seconds = record["seconds"]
        parts = ", ".join(f"{part} {seconds[part]:.0f} s" for part in seconds)
        print(f"\n{name}: {parts}, in all {sum(seconds.values()):.0f} s")
        for arm in record["arms"]:
            ends, comes = (_interval(arm[part]) for part in ("ends", "comes"))
            pace = f"{arm['seconds_per_episode']:.2f} s to decide an episode"
            print(f"  {arm['arm']:24} at the end {ends}   ever {comes}   {'' if arm['is_floor'] else pace}")


def _interval(share: dict[str, float]) -> str:
    return f"{100 * share['value']:5.1f}% [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"


if __name__ == "__main__":
    main()
