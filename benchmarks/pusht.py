"""Push PushT's T to where a picture shows it, by LeWM's protocol and CLEAR-LeWM's filters, beside published figures.

    OMP_NUM_THREADS=2 python benchmarks/pusht.py --out pusht.json              # development windows, for choices
    OMP_NUM_THREADS=2 python benchmarks/pusht.py --seeds 3 --final --out pusht-final.json

Needs `pip install 'jepakit[envs]'` (gym-pusht). Trajectories of a scripted, noisy behaviour (`worlds.block_pusher`) are
collected once into `--data`, in as many processes as cores. LeWM at a laptop's size, near that of `swm-two-room`, and
EB-JEPA learn from them, once for each seed, which is one of weights and order alone (`--runs`). Start and goal are
25 steps apart on a held-out trajectory, 50 steps are allowed; success is disc and T together less than 20 of 512 units
and the T less than 20 degrees from the goal, ever, or after the last step (`ends`). CEM: 300 candidates, 30 elites, 30
rounds, five blocks of five actions, all done before the next search; the first standard deviation is that of the data's
actions, as it is where actions are normalised. `jepakit.evaluation.push_windows` tells the filters, of which `pushed`
is ours.

On the same episodes: a random policy, doing nothing, LeWM before an encoder that stays as it was drawn, and the
trajectory's own actions, which are the ceiling. The published figures are of other weights, another size (ViT-tiny at
224 pixels, hours on a GPU), other trajectories and 50 to 300 episodes of their own. A rerun goes on where it stopped:
with collecting, training and playing. Intervals are Wilson's, of all seeds together over episodes and seeds. Each line
is written to `--out` as it comes.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepakit.data import RecordedClips, Recording, read_compact
from jepakit.evaluation.episodes import success
from jepakit.evaluation.manifest import SEEDS
from jepakit.evaluation.push_windows import FILTERS, PushWindows, chosen, push_windows
from jepakit.evaluation.reaching import RandomPolicy, play_arm
from jepakit.evaluation.windows import BUDGET, GAP, LATEST_START
from jepakit.methods import EBJEPAWorldConfig, LeWMConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.planning import CEM, LatentDistance
from jepakit.planning.control import Control
from jepakit.recipes.grid import run_grid
from jepakit.recipes.swm import swm_two_room
from jepakit.storage import Episode, Run, config_to_dict, write_trajectories
from jepakit.training import Trainer, TrainingConfig
from jepakit.training.monitor import Monitor
from jepakit.training.progress import Lines
from jepakit.views import Preprocess
from jepakit.worlds import BlockPusher, PushT, collect
from jepakit.worlds.env_push_t import NEAR, TURN, apart

AT_ONCE = 50
"""Episodes played side by side."""

PART = 25
"""Episodes of a part of what is collected, which is written whole or not at all."""

NUM_HEALTH = 512
PUBLISHED = {
    "published": {"LeWM (its authors, 50 episodes)": 96.0},
    "moderate": {"LeWM (CLEAR-LeWM)": 86.3, "random policy (CLEAR-LeWM)": 4.0},
    "strict": {"LeWM (CLEAR-LeWM)": 70.3, "random policy (CLEAR-LeWM)": 5.0},
}
METHODS = ("LeWM", "EB-JEPA", "random encoder")
"""The last is LeWM before an encoder that stays as it was drawn."""


def collected(name: str, seed: int, num: int, num_steps: int, args: argparse.Namespace) -> Recording:
    """Return the trajectories of a seed, collected where they are not there yet."""
    folder = args.data / f"{name}-{num}x{num_steps}"
    parts, begin = folder.with_name(f".{folder.name}.parts"), time.perf_counter()
    tasks = [(parts / f"{first:06d}", seed, first, min(first + PART, num), num_steps) for first in range(0, num, PART)]
    if not folder.exists():
        missing = [task for task in tasks if not task[0].exists()]
        for done, _ in enumerate(_spread(collect_part, missing, args.workers), start=1):
            print(f"{name}: {done} of {len(missing)} parts, {time.perf_counter() - begin:.0f} s", flush=True)
        write_trajectories(folder, _episodes([task[0] for task in tasks]), description={"seed": seed})
        shutil.rmtree(parts)
    recording = read_compact(folder)
    print(f"{name}: {len(recording)} trajectories of {num_steps} steps; {moved(recording)}", flush=True)
    return recording


def collect_part(task: tuple[Path, int, int, int, int]) -> None:
    """Collect some trajectories and write them; the work of one process."""
    path, seed, first, end, num_steps = task
    world = PushT(seed=seed)
    write_trajectories(path, collect(world, BlockPusher(), torch.arange(first, end), num_steps, at_once=PART))
    world.close()


def _spread(work: Callable[[Any], None], tasks: list[Any], workers: int) -> Iterator[None]:
    if workers == 1:
        yield from map(work, tasks)
        return
    alone = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), **alone) as pool:
        yield from pool.map(work, tasks)


def _episodes(folders: list[Path]) -> Iterator[Episode]:
    for folder in folders:
        part = read_compact(folder)
        yield from (part.episode(index) for index in range(len(part)))


def moved(recording: Recording) -> str:
    """Return in words how often the T moves, in a step and in the 25 steps of a window."""
    assert recording.proprio is not None
    place, shares = recording.proprio.unflatten(0, (len(recording), -1)), []
    for steps, near, turn in ((1, 0.5, 0.01), (GAP, NEAR, TURN)):
        before, after = place[:, :-steps, 2:], place[:, steps:, 2:]
        far, angle = apart(*(torch.nn.functional.pad(part, (2, 0)) for part in (before, after)))
        shares.append(float(((far >= near) | (angle >= turn)).float().mean()))
    return f"the T moves in {shares[0]:.0%} of steps, by what counts in {shares[1]:.0%} of windows of {GAP} steps"


def settings(name: str, args: argparse.Namespace) -> tuple[LeWMConfig | EBJEPAWorldConfig, TrainingConfig]:
    """Return a method and its training: LeWM of `swm-two-room`, or EB-JEPA with the weights of `two-rooms-random`."""
    recipe, steps = swm_two_room(), args.train_steps
    assert isinstance(recipe.method, LeWMConfig)
    look = Preprocess(image_size=64, channels=3, mean=(0.97, 0.98, 0.97), std=(0.1, 0.07, 0.08))
    training = replace(recipe.training, num_steps=steps, warmup_steps=min(50, steps // 5), precision="bf16")
    encoder = FrameNetConfig(image_size=64, in_channels=3, patch_size=4, dim=128)
    if name != "EB-JEPA":
        return replace(recipe.method, encoder=encoder, preprocess=look), training
    method = EBJEPAWorldConfig(
        encoder=encoder,
        preprocess=look,
        dynamics=ResidualDynamicsConfig(hidden_dim=384, depth=3),
        action_low=(-1.0, -1.0),
        action_high=(1.0, 1.0),
        frame_skip=recipe.method.frame_skip,
        rollout_steps=3,
        variance_weight=1.0,
        covariance_weight=0.25,
        slowness_weight=0.25,
        inverse_weight=0.5,
        inverse_gaps=(1, 3),
    )
    return method, replace(training, learning_rate=3e-3)


def learned(name: str, seed: int, recording: Recording, held_out: Recording, args: argparse.Namespace) -> Any:
    """Return the method that learned from a recording, trained in its run directory as far as it is not."""
    (config, training), learns = settings(name, args), name != "random encoder"
    run = Run(args.runs / f"{name.replace(' ', '-')}-seed-{seed}")
    method = config.build(seed=seed, num_steps=training.num_steps)
    method.encoder.requires_grad_(learns)
    seen = replace(recording, proprio=None)  # places are for evaluation alone
    clips = RecordedClips(seen, training.batch_size, 4, config.frame_skip, seed)
    some = torch.linspace(0, int(held_out.lengths.sum()) - 1, NUM_HEALTH).long()
    monitor = Monitor(method.preprocess(held_out.frames(some[:, None])[:, 0]), num_settling=training.warmup_steps)
    what = {"recipe": "push-t", "method": config, "training": training, "seed": seed, "learns": learns}
    with run.locked():
        run.claim(config_to_dict(what | {"data": {"trajectories": len(recording), "frames": len(recording.action)}}))
        Trainer(method, training, run, clips.from_step, monitor=monitor, progress=Lines()).fit().require_whole()
    return method.eval()


def searching(method: Any, over: str, std: float, args: argparse.Namespace) -> Callable[[Any, Tensor], Control]:
    """Return what makes a search act: towards pictures of goals, for these episodes."""
    num = GAP // args.hold
    search = {"num_samples": args.samples, "num_elites": args.elites, "num_iterations": args.rounds, "colour": 0.0}
    cost = LatentDistance(over=over, root=True)
    planner = CEM(horizon=num, std=std, cost=cost, precision="bf16", **search)
    return lambda goal, ids: Control(planner, method, goal.frames, ids, every=num, hold=args.hold)


def played(windows: PushWindows, index: Tensor, act_for: Callable[[Any, Tensor], Any]) -> dict[str, Any]:
    """Play some windows; returns for each whether the goal was ever reached, and at the end, and the seconds."""
    world = PushT(seed=windows.seed, draw_every=GAP)  # nobody looks between two searches
    arms = []
    for some in index.split(AT_ONCE):
        start, goal = windows.begin(world, some)
        arms.append(play_arm("", world, start, goal, act_for(goal, some), BUDGET, BUDGET // GAP))
    world.close()
    arm = arms[0].joined(arms[1:])
    reached = {"comes": arm.reached.any(dim=1).tolist(), "ends": arm.reached[:, -1].tolist()}
    return {"index": index.tolist()} | reached | {"seconds": round(arm.played.seconds, 2)}


def floors(windows: PushWindows) -> Mapping[str, Callable[[Any, Tensor], Any]]:
    """Return what acts without having learned anything, and the trajectory's own actions."""
    one = torch.ones(2)

    def own(_: Any, some: Tensor) -> Callable[[Any], Tensor]:
        step = iter(windows.own(some).unbind(dim=1))
        return lambda _: next(step)

    return {
        "random policy": lambda _, some: RandomPolicy(-one, one, some),
        "doing nothing": lambda _, some: lambda _: torch.zeros(len(some), 2),
        "own actions": own,
    }


def report(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Collect, train and play; returns a row for each seed, filter and arm, and one of all seeds together."""
    split = "test" if args.final else "dev"
    held_out = collected(f"held-out-{split}", SEEDS[split], args.held_out, LATEST_START + GAP, args)
    windows = push_windows(held_out, SEEDS[split])
    passes = windows.passes()
    picked = chosen(passes, args.episodes)  # too few are told before anything is trained
    recording = collected("training", 0, args.trajectories, args.steps, args)
    index, std = torch.cat(list(picked.values())).unique(), args.std or float(recording.action.std())
    folder = args.runs / "played" / f"{split}-{args.episodes}-of-{args.held_out}"
    search = f"{args.samples}x{args.rounds}-hold={args.hold}-std={std:.3f}"
    rows: list[dict[str, Any]] = []

    def tell(record: Mapping[str, Any], seed: int | str, arm: str) -> None:
        for clean, some in picked.items():
            rows.append(row_of(record, some, {"seed": seed, "filter": clean, "arm": arm}, passes[clean]))
            told(rows[-1], args.out)

    for arm, act_for in floors(windows).items():
        name = arm.replace(" ", "-")
        tell(run_grid({name: lambda act=act_for: played(windows, index, act)}, folder)[name], "-", arm)
    for seed in range(args.seeds):
        for title in args.methods:
            method = learned(title, seed, recording, held_out, args)
            for over in ("last", "mean"):
                name = f"{title.replace(' ', '-')}-{over}-seed={seed}-{search}"
                act_for = searching(method, over, std, args)
                record = run_grid({name: lambda act=act_for: played(windows, index, act)}, folder, print)[name]
                tell(record, seed, f"{title}, {over}")
    return rows + together(rows, args.out)


def row_of(record: Mapping[str, Any], some: Tensor, about: dict[str, Any], passes: Tensor) -> dict[str, Any]:
    """Return the row of an arm under a filter, from what it did in all episodes."""
    places = torch.searchsorted(torch.tensor(record["index"]), some)
    reached = {kind: torch.tensor(record[kind])[places] for kind in ("comes", "ends")}
    shares = {kind: asdict(success(part)) for kind, part in reached.items()}
    seconds = round(record["seconds"] / len(record["index"]), 3)
    return about | {"kept": round(float(passes.float().mean()), 3)} | shares | {"seconds_per_episode": seconds}


def together(rows: list[dict[str, Any]], out: Path | None) -> list[dict[str, Any]]:
    """Return a row of all seeds for each filter and arm that was played with several."""
    joined = []
    for clean in FILTERS:
        for arm in dict.fromkeys(row["arm"] for row in rows):
            some = [row for row in rows if (row["filter"], row["arm"]) == (clean, arm)]
            if len(some) > 1:
                shares = {kind: asdict(_pooled([row[kind] for row in some])) for kind in ("comes", "ends")}
                joined.append({"seed": "all", "filter": clean, "arm": arm} | shares)
                told(joined[-1], out)
    return joined


def _pooled(parts: list[dict[str, Any]]) -> Any:
    num = sum(part["n"] for part in parts)
    count = round(sum(part["value"] * part["n"] for part in parts))
    return success(torch.arange(num) < count)


def told(row: dict[str, Any], out: Path | None) -> None:
    """Print a row and keep it."""
    shares = (
        f"{100 * row[kind]['value']:5.1f} [{100 * row[kind]['low']:.1f}, {100 * row[kind]['high']:.1f}]"
        for kind in ("comes", "ends")
    )
    print(f"{row['seed']!s:<4} {row['filter']:<10} {row['arm']:<21} {'   '.join(shares)}", flush=True)
    if out is not None:
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read what to collect, to train and to play."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"seeds": 1, "episodes": 100, "held-out": 300, "trajectories": 1000, "steps": 100, "train-steps": 3000}
    search = {"samples": 300, "elites": 30, "rounds": 30}
    for name, default in (sizes | search).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--hold", type=int, choices=(1, GAP // 5), default=1, help="steps for which an action is held")
    parser.add_argument("--std", type=float, help="first standard deviation; that of the data's actions by default")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--data", type=Path, default=Path("runs/pusht-data"))
    parser.add_argument("--runs", type=Path, default=Path("runs/pusht"))
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(argv)


def main() -> None:
    """Collect, train, play, and print our figures beside the published ones."""
    args = arguments()
    print("seed filter     arm                   ever within 20 units   after the last step")
    report(args)
    for clean, figures in PUBLISHED.items():
        for name, value in figures.items():
            print(f"{'-':<4} {clean:<10} {value:5.1f}   {name}, as published")


if __name__ == "__main__":
    main()
