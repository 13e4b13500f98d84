"""Time a decision of the planner at LeWM's size: kept keys and values against the same function written plainly.

    python benchmarks/planner_speed.py --threads 2

Six blocks of 192 numbers, 16 heads of 64, an MLP of 2048 and a head of 2048; CEM with 300 candidates, 5 steps and 30
iterations. Embeddings and goal are given, so that nothing but the search is timed. The variants:

    kept        jepakit's predictor: the past's keys and values once an episode, each new frame's once
    kept bf16   the same under bf16 autocast (`precision="bf16"`); costs, candidates and statistics stay in float32
    plain       the same function with nothing kept: the whole sequence recomputed under the band at every step, joined
                anew for each; its plans after one round of the search are checked to be the same
    window      LeWM's own form, another function: the last 3 frames recomputed at every step, joined anew

`--history` frames were seen. Times are of interleaved rounds, so that load from elsewhere meets all alike; printed are
the median, the ratio to `kept` as the median over rounds with its smallest and largest, the number of operations, and
what the matrix products alone take at the speed measured for their shapes (the floor). One line of JSON ends it.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jepakit.nn.causal_dynamics import CausalDynamics, CausalDynamicsConfig
from jepakit.planning import CEM, LatentDistance, Plan

DIM, ACTION, WINDOW = 192, 10, 3
Rollout = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True)
class Past:
    """Hold embeddings and actions of what was seen: the state of a predictor that keeps nothing else."""

    z: Tensor
    action: Tensor

    def expand(self, num_samples: int) -> "Past":
        """Return it as it is: candidates are told apart by their actions."""
        return self

    def select(self, index: Tensor) -> "Past":
        """Return the episodes at these places."""
        return Past(self.z[index], self.action[index])


@dataclass(frozen=True)
class Imagined:
    """Let a predictor stand for a world model whose observations and goals are embeddings already."""

    begin: Callable[[Tensor, Tensor], Any]
    forward: Rollout
    precision: str = "fp32"

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return a cube of actions."""
        return gymnasium.spaces.Box(-1.0, 1.0, (ACTION,), np.float32)

    def observe(self, observation: tuple[Tensor, Tensor]) -> Any:
        """Return the predictor's state after embeddings and actions."""
        return self.begin(*observation)

    def rollout(self, state: Any, actions: Tensor) -> Tensor:
        """Return what is predicted, as one token a step."""
        return self.forward(state, actions)[..., None, :]

    def encode_goal(self, goal: Tensor) -> Tensor:
        """Return the goal."""
        return goal


def plain_pass(model: CausalDynamics, z: Tensor, action: Tensor, is_rotary: bool = True) -> Tensor:
    """Return what follows every frame of a sequence (b, t, d), written as a textbook does, from the model's weights."""
    condition = F.silu(model.action.fc2(F.silu(model.action.fc1(action.to(z.dtype)))))
    frames = torch.arange(z.shape[1])
    back = frames[:, None] - frames
    hidden = (back < 0) | (back >= WINDOW)
    x, width = z, z.shape[-1]
    weights = model.modulation.weight.split(6 * width), model.modulation.bias.split(6 * width)
    for block, weight, bias in zip(model.blocks, *weights, strict=True):
        shift, scale, gate, shift2, scale2, gate2 = F.linear(condition, weight, bias).chunk(6, dim=-1)
        entering = F.layer_norm(x, (width,), eps=1e-6) * (1 + scale) + shift
        made = block.qkv(entering).view(*x.shape[:2], 3, block.num_heads, block.head_dim)
        query, key, value = made.permute(2, 0, 3, 1, 4)
        if is_rotary:
            query, key = turned(query, frames), turned(key, frames)
        score = (query @ key.transpose(-1, -2)) * block.head_dim**-0.5
        found = score.masked_fill(hidden, -torch.inf).softmax(dim=-1) @ value
        x = x + gate * block.proj(found.transpose(1, 2).reshape(*x.shape[:2], -1))
        entering = F.layer_norm(x, (width,), eps=1e-6) * (1 + scale2) + shift2
        x = x + gate2 * block.fc2(F.gelu(block.fc1(entering)))
    return model.head(model.norm(x).flatten(0, 1)).view_as(z)


def turned(x: Tensor, frames: Tensor) -> Tensor:
    """Turn pairs of channels (2i, 2i + 1) of queries or keys by their frame's angle."""
    half = x.shape[-1] // 2
    angle = frames.double()[:, None] * 10000.0 ** -(torch.arange(half).double() / half)
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., 0::2], x[..., 1::2]
    return torch.stack((first * cosine - second * sine, second * cosine + first * sine), dim=-1).flatten(-2)


def plain_rollout(model: CausalDynamics, past: Past, actions: Tensor, window: int | None = None) -> Tensor:
    """Return predictions (b, s, t, d); each step recomputes the sequence, or its last frames, joined anew."""
    b, s, horizon, _ = actions.shape
    z = past.z[:, None].expand(b, s, -1, -1).flatten(0, 1)
    done = past.action[:, None].expand(b, s, -1, -1).flatten(0, 1)
    for step in range(horizon):
        done = torch.cat((done, actions[:, :, step].flatten(0, 1)[:, None]), dim=1)
        seen, told = (z, done) if window is None else (z[:, -window:], done[:, -window:])
        z = torch.cat((z, plain_pass(model, seen, told, window is None)[:, -1:]), dim=1)
    return z[:, -horizon:].unflatten(0, (b, s))


def variants(model: CausalDynamics) -> dict[str, Imagined]:
    """Return each form of the predictor as a world model."""
    return {
        "kept": Imagined(model.begin, model.rollout),
        "plain": Imagined(Past, lambda past, actions: plain_rollout(model, past, actions)),
        "window": Imagined(Past, lambda past, actions: plain_rollout(model, past, actions, WINDOW)),
        "kept bf16": Imagined(model.begin, model.rollout, "bf16"),
    }


def predictor(args: argparse.Namespace) -> CausalDynamics:
    """Build a predictor of LeWM's size whose every part does something."""
    torch.manual_seed(0)
    model = CausalDynamics(CausalDynamicsConfig(window=WINDOW, depth=args.depth), DIM, ACTION).eval()
    with torch.no_grad():
        model.modulation.weight.normal_(std=0.02)
    return model


def decide(world: Imagined, args: argparse.Namespace, decision: int) -> Plan:
    """Make one decision."""
    generator = torch.Generator().manual_seed(decision)
    seen = torch.randn(1, args.history, DIM, generator=generator)
    done = torch.rand(1, args.history - 1, ACTION, generator=generator)
    goal = torch.randn(1, 1, DIM, generator=generator)
    cem = CEM(
        horizon=args.horizon,
        num_samples=args.candidates,
        num_elites=max(2, args.candidates // 10),
        num_iterations=args.iterations,
        cost=LatentDistance(over="last"),
        precision=world.precision,
    )
    return cem(world, (seen, done), goal, decision=decision)


def frames_passed(name: str, args: argparse.Namespace) -> int:
    """Return how many frames go through the blocks for each candidate; the shared past counts for nothing."""
    if name.startswith("kept"):
        return args.horizon
    longest = args.history + args.horizon
    return sum(min(n, WINDOW) if name == "window" else n for n in range(args.history, longest))


def products(model: CausalDynamics) -> list[tuple[int, int]]:
    """Return the shapes (in, out) of the matrix products that a frame goes through, those of attention left out."""
    linears = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    return [(layer.in_features, layer.out_features) for layer in linears]


def floor_s(shapes: list[tuple[int, int]], rows: int) -> float:
    """Return the seconds that these products take for so many rows, each the median of a few on its own."""
    total = 0.0
    for shape in set(shapes):
        x, layer = torch.randn(rows, shape[0]), torch.nn.Linear(*shape).requires_grad_(False)
        times = []
        for _ in range(9):
            start = time.perf_counter()
            layer(x)
            times.append(time.perf_counter() - start)
        total += statistics.median(times[2:]) * shapes.count(shape)
    return total


def measured(worlds: dict[str, Imagined], args: argparse.Namespace) -> dict[str, list[float]]:
    """Return the seconds of each variant's decisions, round by round."""
    times: dict[str, list[float]] = {name: [] for name in worlds}
    for decision in range(args.rounds + 1):
        for name, world in worlds.items():
            start = time.perf_counter()
            decide(world, args, decision)
            times[name].append(time.perf_counter() - start)
    return {name: each[1:] for name, each in times.items()}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the size of the problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = {"candidates": 300, "horizon": 5, "iterations": 30, "history": 3, "rounds": 5, "depth": 6, "threads": 2}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--only", nargs="*", help="these variants beside `kept`")
    parser.add_argument("--quick", action="store_true", help="a small search, to see that everything runs")
    args = parser.parse_args(argv)
    if args.quick:
        args.candidates, args.iterations, args.rounds, args.depth = 8, 2, 1, 1
    return args


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, and return what there is to tell."""
    model = predictor(args)
    worlds = {k: w for k, w in variants(model).items() if args.only is None or k == "kept" or k in args.only}
    if "plain" in worlds:
        one_round = argparse.Namespace(**{**vars(args), "iterations": 1})  # over many, rounding swaps near-equal elites
        ours, theirs = (decide(worlds[name], one_round, 0) for name in ("kept", "plain"))
        torch.testing.assert_close(ours.actions, theirs.actions, rtol=1e-2, atol=1e-3)
    times, shapes = measured(worlds, args), products(model)
    rounds = args.candidates * args.iterations
    told = {}
    for name in worlds:
        passed = frames_passed(name, args)
        ratios = [other / own for other, own in zip(times[name], times["kept"], strict=True)]
        told[name] = {
            "seconds": statistics.median(times[name]),
            "times_kept": [statistics.median(ratios), min(ratios), max(ratios)],
            "gflop": 2e-9 * sum(a * b for a, b in shapes) * passed * rounds,
        }
    told["kept"]["floor_s"] = floor_s(shapes, args.candidates) * args.horizon * args.iterations
    return told


def main() -> None:
    """Measure, print a table and one line of JSON."""
    args = arguments()
    torch.set_num_threads(args.threads)
    told = report(args)
    print(f"{'variant':<10} {'s':>8} {'GFLOP':>8}   times kept (median, smallest, largest)")
    for name, row in told.items():
        ratio = " ".join(f"{value:6.2f}" for value in row["times_kept"])
        print(f"{name:<10} {row['seconds']:8.2f} {row['gflop']:8.0f}   {ratio}")
    print(f"floor of kept's matrix products: {told['kept']['floor_s']:.2f} s")
    print(json.dumps({"arguments": vars(args), "measured": told}))


if __name__ == "__main__":
    main()
