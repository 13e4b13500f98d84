"""Measure how fast every embedded world steps and draws, and how fast TwoRooms makes clips to learn from.

    .venv/bin/python benchmarks/worlds.py

Steps and frames a second are those of the fastest of `--rounds` interleaved rounds after a warm-up (load from elsewhere
only ever slows a round), with `--threads` threads (one has the least overhead), `--batch` episodes at once and random
actions. The last line is TwoRooms as in training: batches of `--clips` clips of `--frames` frames, wandered through and
drawn, and whether that reaches the 50,000 frames a second that this project asks of two cores.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch

from jepakit.worlds import (
    BouncingBalls,
    Distracted,
    PointMaze2D,
    PushDisc,
    Reacher2D,
    SWMTwoRoom,
    TwoRooms,
    World,
)
from jepakit.worlds.stream import AHEAD, ClipStream
from jepakit.worlds.wandering import Wandering

ASKED = 50_000
WORLDS: dict[str, World] = {
    "TwoRooms": TwoRooms("random"),
    "SWMTwoRoom": SWMTwoRoom(),
    "SWMTwoRoom, 224 px": SWMTwoRoom(image_size=224),
    "PointMaze2D": PointMaze2D(),
    "PushDisc": PushDisc(),
    "Reacher2D": Reacher2D(),
    "BouncingBalls": BouncingBalls(),
    "BouncingBalls, screen": BouncingBalls(screen_width=16.0),
    "TwoRooms, noise": Distracted(TwoRooms("random"), "noise"),
    "TwoRooms, texture": Distracted(TwoRooms("random"), "texture"),
}


def calls(world: World, batch: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return a step and a drawing of this many episodes, a few random steps after their start."""
    space = world.action_space
    low, high = torch.as_tensor(space.low), torch.as_tensor(space.high)
    state = world.start(torch.arange(batch))
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        action = low + (high - low) * torch.rand(batch, *space.shape, generator=generator)
        state = world.step(state, action)
    return lambda: world.step(state, action), lambda: world.render(state)


def clips(args: argparse.Namespace) -> Callable[[], object]:
    """Return the making of TwoRooms' clips, of as many batches a call as are wandered for at once."""
    batches = ClipStream(TwoRooms("random"), Wandering(), args.clips, args.frames).from_step(0)

    def make() -> None:
        for _ in range(AHEAD):
            next(batches)

    return make


def seconds(call: Callable[[], object], at_least: float) -> float:
    """Return how long a call takes, on average over as many as fill this time."""
    begin, num = time.perf_counter(), 0
    while time.perf_counter() - begin < at_least:
        call()
        num += 1
    return (time.perf_counter() - begin) / num


def arguments() -> argparse.Namespace:
    """Read how much to do at once, and for how long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--clips", type=int, default=32, help="of a batch of TwoRooms")
    parser.add_argument("--frames", type=int, default=17, help="of a clip of TwoRooms")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=0.1, help="of each measurement")
    return parser.parse_args()


def main() -> None:
    """Measure, print a line for each world and for TwoRooms' clips, and one of JSON."""
    args = arguments()
    torch.set_num_threads(args.threads)
    measured = {name: calls(world, args.batch) for name, world in WORLDS.items()}
    measured["clips"] = (clips(args),)  # type: ignore[assignment]
    for each in measured.values():
        for call in each:
            call()
    rounds = [
        {name: [seconds(call, args.seconds) for call in each] for name, each in measured.items()}
        for _ in range(args.rounds)
    ]
    rates = {
        name: [args.batch / min(done[name][i] for done in rounds) for i in range(len(measured[name]))]
        for name in measured
    }
    made = rates.pop("clips")[0] / args.batch * AHEAD * args.clips * args.frames
    print(f"{'world':<22} {'steps/s':>10} {'frames/s':>9}   {args.threads} threads, {args.batch} episodes")
    for name, (steps, frames) in rates.items():
        print(f"{name:<22} {steps:10,.0f} {frames:9,.0f}")
    verdict = "reached" if made >= ASKED else "missed"
    print(f"TwoRooms, wandered through and drawn: {made:,.0f} frames/s; {ASKED:,} on two cores: {verdict}")
    print(json.dumps({"threads": args.threads, "batch": args.batch, "rates": rates, "two_rooms_clips": made}))


if __name__ == "__main__":
    main()
