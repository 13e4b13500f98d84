"""Set the planners side by side on one trained model: how often goals are reached, and what a decision costs.

    jepakit train two-rooms-fixed
    OMP_NUM_THREADS=1 python benchmarks/planners.py --run runs/two-rooms-fixed --episodes 100

One model, one cost (the run's own: the steps to go learned from time, and latent distance), one horizon, the episodes
of the development manifest; each planner with the settings below, none of which was chosen on these episodes. The
policy is learned from the same held-out trajectories as the cost. Success is counted after the last step, `comes` if
the goal was ever reached; intervals are Wilson's, of paired differences from `cem` Newcombe's. Seconds are those of
this machine, 50 episodes planned for at once. One line of JSON ends it; `--out` keeps it too.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepakit.evaluation.manifest import find_manifest
from jepakit.evaluation.paired_shares import paired_shares
from jepakit.evaluation.reaching import RandomPolicy, ReachingArm, play_arm
from jepakit.hub import load
from jepakit.nn.policy import GoalPolicyConfig
from jepakit.planning import ICEM, MPPI, Amortised, GradientPlanner, Proposed
from jepakit.planning.control import Control, Planner
from jepakit.planning.learning import learn_policy
from jepakit.planning.plan import Cost
from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.feeds import HELD_OUT, learning_world
from jepakit.recipes.reaching import embedded_trajectories, planner_of, read_cost
from jepakit.storage import Run, config_from_dict

AT_ONCE = 50


def policy_of(method: Any, recipe: WorldRecipe, num_steps: int) -> Any:
    """Learn a policy from the trajectories from which the cost was learned; an action is what was done on average."""
    learned, skip, first = recipe.planning.learned, recipe.method.frame_skip, 2 * HELD_OUT
    z = embedded_trajectories(method, recipe, learned.num_trajectories, learned.num_frames, first).flatten(2)
    ids = torch.arange(first, first + learned.num_trajectories)
    made = recipe.data.behaviour(learning_world(recipe), ids, skip * (learned.num_frames - 1)).every(skip)
    action = made.action / skip
    config = GoalPolicyConfig(embedding_dim=z.shape[-1], action_dim=action.shape[-1])
    return learn_policy(z, action, config, max_gap=learned.num_frames - 1, num_steps=num_steps)


def planners(recipe: WorldRecipe, cost: Cost, policy: Any) -> dict[str, Planner]:
    """Return each planner under its name; what they share is the recipe's."""
    planning = recipe.planning
    shared: dict[str, Any] = {"horizon": planning.horizon, "cost": cost}
    drawn = shared | {"num_samples": planning.num_samples, "std": planning.std, "colour": planning.colour}
    cem = planner_of(planning, cost)
    amortised = Amortised(**shared, policy=policy)
    return {
        "cem": cem,
        "icem": ICEM(**drawn, num_elites=planning.num_elites, num_iterations=planning.num_iterations),
        "mppi": MPPI(**drawn, num_iterations=planning.num_iterations),
        "gradient": GradientPlanner(**shared, num_samples=8, num_iterations=planning.num_samples // 4),
        "amortised": amortised,
        "amortised + cem": Proposed(planner=cem, proposal=amortised),
    }


def arm(name: str, world: Any, ids: Tensor, act_for: Any, num_steps: int, num_decisions: int) -> ReachingArm:
    """Play all episodes, some at a time."""
    parts = []
    for some in ids.split(AT_ONCE):
        start, goal = world.task(some)
        parts.append(play_arm(name, world, start, goal, act_for(world.render(goal), some), num_steps, num_decisions))
    return parts[0].joined(parts[1:])


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Play every planner, and return what there is to tell."""
    run = Run(Path(args.run))
    recipe = config_from_dict(WorldRecipe, run.config())
    method = load(args.run).method
    world, _, _, ids = find_manifest(recipe.data.world, "dev")[1].tasks(recipe.data.world, args.episodes)
    begin = time.perf_counter()
    policy = policy_of(method, recipe, args.policy_steps)
    told: dict[str, Any] = {"policy_seconds": round(time.perf_counter() - begin, 1)}
    planning = recipe.planning
    num_decisions = -(-args.steps // (planning.hold * planning.every))
    arms = {}
    for name, planner in planners(recipe, read_cost(planning, run), policy).items():

        def act_for(goal: Tensor, some: Tensor, planner: Planner = planner) -> Control:
            return Control(planner, method, goal, some, every=planning.every, hold=planning.hold)

        arms[name] = arm(name, world, ids, act_for, args.steps, num_decisions)
        told[name] = arms[name].to_json()
        against = paired_shares(arms[name].reached[:, -1], arms["cem"].reached[:, -1])
        told[name]["against_cem"] = asdict(against) if name != "cem" else None
        print(line(told[name]), flush=True)
    low, high = (torch.from_numpy(edge).float() for edge in (method.action_space.low, method.action_space.high))
    floor = arm(
        "random policy", world, ids, lambda _, some: RandomPolicy(low, high, some, planning.hold), args.steps, 1
    )
    told["random policy"] = floor.to_json()
    print(line(told["random policy"]), flush=True)
    return told


def line(row: dict[str, Any]) -> str:
    """Return one row of the table."""
    ends, comes = row["ends"], row["comes"]
    shares = (
        f"{100 * each['value']:5.1f} [{100 * each['low']:.1f}, {100 * each['high']:.1f}]" for each in (ends, comes)
    )
    return f"{row['arm']:<16} {'   '.join(shares)}   {1e3 * row['seconds_per_decision']:8.2f} ms"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read what to play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="runs/two-rooms-fixed")
    for name, default in {"episodes": 100, "steps": 200, "policy-steps": 2000}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path)
    return parser.parse_args(argv)


def main() -> None:
    """Play, print a table and one line of JSON."""
    args = arguments()
    print(f"{'planner':<16} {'ends':<22} {'comes':<22} seconds a decision of an episode")
    told = report(args)
    text = json.dumps({"run": str(args.run), "episodes": args.episodes, "steps": args.steps, "measured": told})
    if args.out is not None:
        args.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
