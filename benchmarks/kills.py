"""Kill a run outright twenty times at random moments, each time followed by the same command: nothing may be lost.

    python benchmarks/kills.py                 # about 5 minutes on 2 cores

The run is a recipe on the bundled digits, started by `jepakit train`, with a checkpoint every other step. The moments
are drawn from a seed: some fall into imports and decoding, most into training and the writing of checkpoints. After
each kill the last checkpoint must be whole and no older than any seen before. At the end weights, optimizer state and
logged losses must be those of a run that nobody disturbed, bit for bit.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import torch

from jepakit.random import Stream
from jepakit.storage import Run


def main() -> int:
    """Print a line for each kill and the result; returns 1 where something was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="digits-transform")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/kills"))
    chosen = parser.parse_args()
    shutil.rmtree(chosen.out, ignore_errors=True)
    whole, killed = Run(chosen.out / "undisturbed"), Run(chosen.out / "killed")
    begins_s, lasts_s = follow(start(chosen.recipe, chosen.steps, whole), whole)
    earliest_s = 0.6 * begins_s
    window_s = 0.4 * begins_s + 1.5 * lasts_s / chosen.kills  # so that the kills are spread over the whole run
    draws = Stream(chosen.seed, "kills").uniform(0, torch.arange(chosen.kills), 1)[:, 0]
    moments = earliest_s + window_s * draws
    lost, step = 0, -1
    for number, moment_s in enumerate(moments.tolist(), start=1):
        process = start(chosen.recipe, chosen.steps, killed)
        seen = watch(process, killed, moment_s)
        if process.poll() is not None:
            print(f"the run ended before kill {number}; give more --steps")
            return 1
        process.kill()
        process.wait()
        left = step_of(killed)
        lost += left < max(seen, step)
        step = left
        print(
            f"kill {number:2} after {moment_s:5.2f} s: {'no checkpoint yet' if left < 0 else f'step {left}'}",
            flush=True,
        )
    follow(start(chosen.recipe, chosen.steps, killed), killed)
    differing = differences(whole, killed)
    state = f"differ in {', '.join(differing[:4])}" if differing else "are bit-equal to those of the undisturbed run"
    print(f"{chosen.kills} kills, {lost} lost checkpoints; final weights, optimizer state and logged losses {state}.")
    return 1 if lost or differing else 0


def start(recipe: str, steps: int, run: Run) -> "subprocess.Popen[bytes]":
    """Start the one command."""
    settings = {"num-steps": steps, "warmup-steps": 0, "health-every": 0, "log-every": 2, "save-every-s": 0.0}
    options = [word for name, value in settings.items() for word in (f"--training.{name}", str(value))]
    command = [sys.executable, "-m", "jepakit", "train", recipe, "--out", str(run.path), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def watch(process: "subprocess.Popen[bytes]", run: Run, seconds: float) -> int:
    """Look at the last checkpoint for so long, or until the process ends; returns the latest step seen."""
    seen, end = -1, time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        seen = max(seen, step_of(run))
        time.sleep(0.005)
    return seen


def follow(process: "subprocess.Popen[bytes]", run: Run) -> tuple[float, float]:
    """Let a process end; returns seconds to its first checkpoint, and from there to its last one."""
    begin, first, last = time.monotonic(), 0.0, 0.0
    step = step_of(run)
    while process.poll() is None:
        now = step_of(run)
        if now > step:
            last = time.monotonic() - begin
            first, step = first or last, now
        time.sleep(0.02)
    if process.returncode != 0:
        raise SystemExit(f"the command left with status {process.returncode}; run it by hand to see why")
    return first, last - first


def step_of(run: Run) -> int:
    """Return the step of the last checkpoint, which must be whole at any moment; -1 where there is none."""
    state = run.checkpoint_state()
    return -1 if state is None else int(state["step"])


def differences(one: Run, other: Run) -> list[str]:
    """Return the names of tensors and logged values in which two finished runs differ."""
    (a, _), (b, _) = one.load_checkpoint() or ({}, {}), other.load_checkpoint() or ({}, {})
    differing = [
        name for name in sorted(a.keys() | b.keys()) if name not in a or name not in b or not a[name].equal(b[name])
    ]
    losses = [[(row["step"], row["loss"]) for row in run.metrics("train")] for run in (one, other)]
    return differing + (["the logged losses"] if losses[0] != losses[1] else [])


if __name__ == "__main__":
    sys.exit(main())
