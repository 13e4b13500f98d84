"""Plan through a long maze: flat search against subgoals from a coarse time scale, at equal planning time.

    OMP_NUM_THREADS=1 python benchmarks/hierarchy.py --by gaps --mazes 14 16 40
    OMP_NUM_THREADS=1 python benchmarks/hierarchy.py --by gaps --choose        # on the episodes for choices

The recipe `point-maze` is trained: a world model of one maze without loops, from pixels and roaming (the same command
again goes on), then its cost and a coarse level. Episodes of 192 steps are tasks in that maze, between cells 18 to 30
cells of walking apart. Each maze is a training of its own, and the last table is of all of them. All arms have the same
fine model and the same cost (`--by`: steps to go learned from shortest ways or from time gaps, and latent distance) and
plan anew as often; every flat arm is given as many candidates as make a decision of it cost what a hierarchical one
costs. That is measured before, and again while episodes are played: arms take turns, batch by batch, so that load from
elsewhere meets all alike. Seconds are those of the CPU. The floor acts at random. One line of JSON ends it.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from jepakit.evaluation.episodes import play, success
from jepakit.evaluation.intervals import bootstrap
from jepakit.evaluation.paired_shares import paired_shares
from jepakit.evaluation.reaching import RandomPolicy
from jepakit.planning import CEM, Control, Hierarchical
from jepakit.planning.control import Planner
from jepakit.recipes import find_recipe
from jepakit.recipes.coarse import learn_coarse_level, read_coarse_level
from jepakit.recipes.config import CoarsePlanning, Planning, WorldRecipe
from jepakit.recipes.feeds import learning_world
from jepakit.recipes.preparing import prepare
from jepakit.recipes.reaching import planner_of
from jepakit.storage import Run
from jepakit.training.progress import Lines

FIRST = {"choose": 10_000, "report": 20_000}
"""First ids of the episodes: those on which settings are chosen, and those that are reported."""


SUBGOALS = CoarsePlanning(
    num_blocks=8,
    num_trajectories=2000,
    num_frames=100,
    num_steps=3000,
    num_samples=96,
    num_elites=12,
    num_iterations=4,
)
"""The coarse level: the best found on the episodes for choices."""


@dataclass
class Arm:
    """Hold a way of acting and what came of it.

    Args:
        name: What it is, the same in every maze.
        planner: What searches; None acts at random, or is of several mazes.
        ends: For each episode whether it ends at its goal.
        comes: The step at which it first came there; one more than there are steps if it never did.
        seconds: CPU seconds of deciding.
        decisions: Decisions of all episodes.
    """

    name: str
    planner: Planner | None
    ends: list[Tensor]
    comes: list[Tensor]
    seconds: float = 0.0
    decisions: int = 0


class Timed:
    """Act, and count the CPU seconds that it takes."""

    def __init__(self, act: Callable[[Any], Tensor]):
        self.act, self.seconds = act, 0.0

    def __call__(self, seen: Any) -> Tensor:
        """Return the next action of every episode."""
        begin = time.process_time()
        action = self.act(seen)
        self.seconds += time.process_time() - begin
        return action


def play_some(arm: Arm, method: Any, world: Any, planning: Planning, ids: Tensor, num_steps: int) -> None:
    """Play these episodes and add what came of them to an arm."""
    start, goal = world.task(ids)
    if arm.planner is None:
        low, high = (torch.from_numpy(edge).float() for edge in (method.action_space.low, method.action_space.high))
        act = Timed(RandomPolicy(low, high, ids, planning.hold))
    else:
        wanted = world.render(goal)
        act = Timed(Control(arm.planner, method, wanted, ids, every=planning.every, hold=planning.hold))
    reached = []

    def distance(state: Any) -> Tensor:
        reached.append(world.reached(state, goal))
        far: Tensor = world.distance(state, goal)
        return far

    play(world, start, act, num_steps, distance)
    arm.ends.append(reached[-1])
    there = torch.stack(reached)
    arm.comes.append(torch.where(there.any(dim=0), there.int().argmax(dim=0), num_steps + 1))
    arm.seconds += act.seconds
    arm.decisions += len(ids) * -(-num_steps // (planning.every * planning.hold))


def seconds_of(planner: Planner, method: Any, world: Any, planning: Planning, ids: Tensor) -> float:
    """Return the CPU seconds of a decision, the least of three, in a batch as it is played."""
    start, goal = world.task(ids)
    seen, wanted, took = world.render(start), world.render(goal), []
    for _ in range(3):
        act = Timed(Control(planner, method, wanted, ids, every=planning.every, hold=planning.hold))
        act(seen)
        took.append(act.seconds / len(ids))
    return min(took)


def matched(planner: CEM, wanted: float, measure: Callable[[Planner], float]) -> CEM:
    """Return the search with as many candidates as cost `wanted` seconds a decision."""
    for _ in range(3):
        share = wanted / measure(planner)
        planner = replace(planner, num_samples=max(2 * planner.num_elites, round(planner.num_samples * share)))
    return planner


def arms_of(method: Any, planning: Planning, cost: Any, coarse: Any, horizons: list[int], measure: Any) -> list[Arm]:
    """Return the hierarchical arm, flat ones that cost as much, and the floor."""
    both = planner_of(planning, cost, coarse=coarse)
    assert isinstance(both, Hierarchical)
    wanted = measure(both)
    arms = [Arm("hierarchical", both, [], [])]
    for horizon in horizons:
        flat = replace(planner_of(planning, cost), horizon=horizon)  # type: ignore[type-var]
        flat = matched(flat, wanted, measure)
        print(f"flat, {horizon} actions: {flat.num_samples} candidates")
        arms.append(Arm(f"flat, {horizon} actions", flat, [], []))
    return [*arms, Arm("random policy", None, [], [])]


def record_of(arms: list[Arm]) -> dict[str, Any]:
    """Return what there is to tell: shares with Wilson's interval, paired differences from the first arm."""
    told = []
    for arm in arms:
        ends, comes = torch.cat(arm.ends), torch.cat(arm.comes)
        gain = paired_shares(torch.cat(arms[0].ends), ends) if arm is not arms[0] else None
        sooner = bootstrap(comes.double() - torch.cat(arms[0].comes).double()) if arm is not arms[0] else None
        told.append(
            {
                "arm": arm.name,
                "ends": asdict(success(ends)),
                "mean_first_step": round(float(comes.double().mean()), 2),
                "hierarchical_ends_more": gain and asdict(gain),
                "hierarchical_steps_sooner": sooner and asdict(sooner),
                "cpu_ms_per_decision": round(1000 * arm.seconds / arm.decisions, 2),
            }
        )
    return {"arms": told}


def show(record: dict[str, Any]) -> None:
    """Print a line for each arm."""
    for arm in record["arms"]:
        ends, gain, sooner = arm["ends"], arm["hierarchical_ends_more"], arm["hierarchical_steps_sooner"]
        words = f"{arm['arm']:18s} ends {ends['value']:.3f} [{ends['low']:.3f}, {ends['high']:.3f}], first there after "
        words += f"{arm['mean_first_step']:.1f} steps, {arm['cpu_ms_per_decision']:.1f} ms a decision"
        if gain:
            words += f"; hierarchical ends {gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] more often, "
            words += f"is there {sooner['value']:+.1f} [{sooner['low']:+.1f}, {sooner['high']:+.1f}] steps sooner"
        print(words, flush=True)


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Return what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/point-maze"))
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=25)
    parser.add_argument("--horizons", type=int, nargs="+", default=[6, 12, 24], help="of the flat arms")
    parser.add_argument("--mazes", type=int, nargs="+", default=[16], help="seeds of mazes, and of all else there")
    parser.add_argument("--by", choices=["paths", "gaps"], default="paths", help="from what the cost is learned")
    parser.add_argument("--choose", action="store_true", help="play the episodes on which settings are chosen")
    return parser.parse_args(given)


def learned(recipe: WorldRecipe, folder: Path) -> tuple[Any, Any, Any]:
    """Return the trained method, the cost and the coarse level of a run, learned first where they are not there yet."""
    run = Run(folder)
    ready = prepare(recipe, run, Lines())
    if not run.file("coarse").exists():
        learn_coarse_level(ready.method, recipe, run)
    return ready.method, ready.cost, read_coarse_level(ready.method, recipe, run)


def recipe_of(by: str, seed: int = 16) -> WorldRecipe:
    """Return the recipe in a maze, with a coarse level and a cost of either kind."""
    recipe = cast(WorldRecipe, find_recipe("point-maze")())
    planning = replace(recipe.planning, horizon=6, coarse=SUBGOALS, learned=replace(recipe.planning.learned, by=by))
    if by == "gaps":
        planning = replace(planning, distance_weight=2.0, distance_root=False)
    return replace(recipe, planning=planning, seed=seed)


def played(recipe: WorldRecipe, folder: Path, args: argparse.Namespace) -> list[Arm]:
    """Play every arm in one maze, batch by batch in turn."""
    method, cost, coarse = learned(recipe, folder)
    planning, world, first = recipe.planning, learning_world(recipe), FIRST["choose" if args.choose else "report"]
    batches = torch.arange(first, first + args.episodes).split(args.at_once)

    def measure(planner: Planner) -> float:
        return seconds_of(planner, method, world, planning, batches[0])

    arms = arms_of(method, planning, cost, coarse, args.horizons, measure)
    for ids in batches:
        for arm in arms:
            play_some(arm, method, world, planning, ids, planning.num_steps)
    return arms


def together(mazes: list[list[Arm]]) -> list[Arm]:
    """Return the arms of all mazes as one."""
    return [
        Arm(
            same[0].name,
            None,
            [part for arm in same for part in arm.ends],
            [part for arm in same for part in arm.comes],
            sum(arm.seconds for arm in same),
            sum(arm.decisions for arm in same),
        )
        for same in zip(*mazes, strict=True)
    ]


def main(given: list[str] | None = None, recipe: WorldRecipe | None = None) -> dict[str, Any]:
    """Train, play and tell."""
    args, mazes, told = arguments(given), [], {}
    for seed in args.mazes:
        trained = recipe_of(args.by, seed) if recipe is None else replace(recipe, seed=seed)
        mazes.append(played(trained, args.run / f"{args.by}-{seed}", args))
        told[f"maze {seed}"] = record_of(mazes[-1])
        print(f"maze {seed}", flush=True)
        show(told[f"maze {seed}"])
    told["all"] = record_of(together(mazes))
    print("all mazes")
    show(told["all"])
    print(json.dumps(told | {"episodes": args.episodes, "choose": args.choose}))
    return told


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
