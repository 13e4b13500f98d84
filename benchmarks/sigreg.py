"""Compare SIGReg's forward and backward pass with the textbook formula: time, peak memory, error against float64.

    OMP_PROC_BIND=close .venv/bin/python benchmarks/sigreg.py

The textbook materialises (samples, slices, knots) and leaves the rest to autograd. Each pass draws its directions: ours
through `SIGReg`, the textbook through `torch.randn`. Times are medians of interleaved passes after a warm-up (so load
from elsewhere meets all variants alike), with `--threads` threads. Peak memory is the largest sum of live allocations
that torch's allocator reports during one pass beyond its inputs; beside it, for the eager variants on a Linux CPU,
stands the growth of a fresh process's resident set. Errors are root mean squares over seeds, of the value and of the
gradient's norm, relative to the textbook in float64. `OMP_PROC_BIND=close` keeps two threads on two cores: without it
some kernels put both on one, and every variant then waits for the scheduler.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from jepakit.objectives import SIGReg, sliced_epps_pulley

Pass = Callable[[Tensor, int], Tensor]
T_MAX = 3.0


def textbook(z: Tensor, directions: Tensor, num_knots: int) -> Tensor:
    """Return the statistic over N as the literature writes it: every cosine and sine of every knot is stored."""
    t = torch.linspace(0, T_MAX, num_knots, dtype=z.dtype, device=z.device)
    weights = torch.full_like(t, 2 * T_MAX / (num_knots - 1))
    weights[0] = weights[-1] = T_MAX / (num_knots - 1)
    phi = torch.exp(-0.5 * t.square())
    angle = (z[:, 0] @ directions.T).unsqueeze(-1) * t
    error = (angle.cos().mean(0) - phi).square() + angle.sin().mean(0).square()
    return (error @ (weights * phi)).mean()


def passes(args: argparse.Namespace) -> dict[str, Pass]:
    """Return each variant as a function of (embeddings, step)."""
    regularizer = SIGReg(num_slices=args.slices, num_knots=args.knots, t_max=T_MAX)
    compiled_textbook, compiled = torch.compile(textbook), torch.compile(sliced_epps_pulley)

    def drawn(z: Tensor, step: int) -> Tensor:
        generator = torch.Generator(z.device).manual_seed(step)
        directions = torch.randn(args.slices, z.shape[-1], generator=generator, device=z.device)
        return directions / directions.norm(dim=1, keepdim=True)

    return {
        "textbook": lambda z, step: textbook(z, drawn(z, step), args.knots),
        "jepakit": regularizer,
        "textbook compiled": lambda z, step: compiled_textbook(z, drawn(z, step), args.knots),
        "jepakit compiled": lambda z, step: compiled(
            z, regularizer.directions(step, z), num_knots=args.knots, t_max=T_MAX
        ),
    }


def embeddings(args: argparse.Namespace, seed: int = 0) -> Tensor:
    """Return (samples, 1, dim) standard normal embeddings that ask for a gradient."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(args.samples, 1, args.dim, generator=generator).to(args.device).requires_grad_()


def run(variant: Pass, z: Tensor, step: int) -> None:
    """Do one forward and backward pass, and wait for it."""
    z.grad = None
    variant(z, step).backward()
    if z.device.type == "cuda":
        torch.cuda.synchronize()


def median_ms(variants: dict[str, Pass], args: argparse.Namespace) -> dict[str, float]:
    """Return the median time of each variant in milliseconds, over interleaved passes."""
    z = embeddings(args)
    times: dict[str, list[float]] = {name: [] for name in variants}
    for step in range(args.repeats + 2):
        for name, variant in variants.items():
            start = time.perf_counter()
            run(variant, z, step)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values[2:]) for name, values in times.items()}


def peak_mb(variant: Pass, args: argparse.Namespace) -> float:
    """Return the largest sum of live allocations of one pass in MB, inputs not counted."""
    z = embeddings(args)
    run(variant, z, 0)
    z.grad = None
    if args.device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run(variant, z, 1)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run(variant, z, 1)
    live = peak = 0
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak / 1e6


def resident_mb(name: str, args: argparse.Namespace) -> float:
    """Return by how much one pass raises the peak resident set of a fresh process, in MB."""
    command = [sys.executable, __file__, "--resident", name, *sys.argv[1:]]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def print_resident(args: argparse.Namespace) -> None:
    """Print this process's growth in peak resident set over one pass, after a small pass has loaded all code."""
    variant = passes(args)[args.resident]
    small = argparse.Namespace(**{**vars(args), "samples": 8})
    run(variant, embeddings(small), 0)
    z = embeddings(args)
    before = peak_resident_kib()
    run(variant, z, 1)
    print((peak_resident_kib() - before) * 1024 / 1e6)


def peak_resident_kib() -> int:
    """Return this process's peak resident set; `getrusage` would count the parent's before it became this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def errors(args: argparse.Namespace, num_seeds: int = 4) -> dict[str, dict[str, float]]:
    """Return the root mean square errors of value and gradient of both eager forms, relative to float64."""
    functions = {
        "textbook": lambda z, directions: textbook(z, directions, args.knots),
        "jepakit": lambda z, directions: sliced_epps_pulley(z, directions, num_knots=args.knots, t_max=T_MAX),
    }
    squares = {name: {"value": 0.0, "gradient": 0.0} for name in functions}
    regularizer = SIGReg(num_slices=args.slices)
    for seed in range(num_seeds):
        z = embeddings(args, seed)
        directions = regularizer.directions(seed, z)
        exact_z = z.detach().double().requires_grad_()
        exact, exact_grad = 0.0, torch.zeros_like(exact_z)
        for part in directions.double().split(64):  # the textbook in float64, a few slices at a time
            value = textbook(exact_z, part, args.knots) * len(part) / args.slices
            exact_grad += torch.autograd.grad(value, exact_z)[0]
            exact += value.item()
        for name, function in functions.items():
            value = function(z, directions)
            grad = torch.autograd.grad(value, z)[0]
            squares[name]["value"] += (value.item() / exact - 1) ** 2 / num_seeds
            squares[name]["gradient"] += ((grad - exact_grad).norm() / exact_grad.norm()).item() ** 2 / num_seeds
    return {name: {key: square**0.5 for key, square in parts.items()} for name, parts in squares.items()}


def arguments() -> argparse.Namespace:
    """Read the size of the problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("samples", 1024), ("dim", 128), ("slices", 1024), ("knots", 17)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--eager", action="store_true", help="leave the compiled variants out")
    parser.add_argument("--resident", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, print a table, the ratios and one line of JSON."""
    args = arguments()
    torch.set_num_threads(args.threads)
    if args.resident:
        print_resident(args)
        return
    variants = {name: f for name, f in passes(args).items() if not (args.eager and name.endswith("compiled"))}
    times, error = median_ms(variants, args), errors(args)
    peaks = {name: peak_mb(variant, args) for name, variant in variants.items()}
    resident = {name: resident_mb(name, args) for name in ("textbook", "jepakit") if args.device == "cpu"}
    print(f"{'variant':<18} {'ms':>8} {'peak MB':>8} {'resident MB':>11}")
    for name in variants:
        print(f"{name:<18} {times[name]:8.1f} {peaks[name]:8.1f} {resident.get(name, float('nan')):11.1f}")
    ratios = {
        "times faster, eager": times["textbook"] / times["jepakit"],
        "times less peak memory, eager": peaks["textbook"] / peaks["jepakit"],
        "error of the value over the textbook's": error["jepakit"]["value"] / error["textbook"]["value"],
        "error of the gradient over the textbook's": error["jepakit"]["gradient"] / error["textbook"]["gradient"],
    }
    if not args.eager:
        ratios["times faster, compiled over eager"] = times["jepakit"] / times["jepakit compiled"]
        ratios["times faster, compiled over textbook compiled"] = times["textbook compiled"] / times["jepakit compiled"]
    for name, value in ratios.items():
        print(f"{value:8.2f} {name}")
    print(json.dumps({"ms": times, "peak_mb": peaks, "resident_mb": resident, "errors": error, "ratios": ratios}))


if __name__ == "__main__":
    main()
