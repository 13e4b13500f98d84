"""Train a small world model in every embedded world and see whether what cannot happen surprises it.

    OMP_NUM_THREADS=1 python benchmarks/surprise.py --pairs 500 --split test

For each kind of violation (`jepakit.worlds.violations`): P(energy of the unlawful clip > energy of its lawful pair),
where a clip's energy is the mean over its frames of the score that `jepakit.evaluation.surprise` calibrates per
horizon, with Wilson's interval over pairs; the same for three floors (the untrained model; the trained encoder's
embeddings as if they did not move; pixels as if they did not change), each calibrated likewise; P(lawful clip > other
ordinary clip), wanted within 0.4 and 0.6; and, at a false-alarm rate of 1 % a moment, the share of violations marked at
their moment or the frame after. `alarms` is the rate at which other ordinary clips were marked. Changes of colour and
noise follow, with no target. Clips for calibration, comparison and pairs have ids that no training reaches.

`--save FOLDER` keeps the trained models there, one folder a world, and `--load FOLDER` takes them instead of training.
`--worlds` names some of the worlds; `--seed` another training. One line of JSON ends it.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jepakit.hub import load
from jepakit.methods.ebjepa_world import EBJEPAWorldConfig
from jepakit.methods.lewm import LeWMConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.remembering_dynamics import RememberingDynamicsConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.recipes.surprising import score_violations
from jepakit.views import Preprocess
from jepakit.worlds import BouncingBalls, PointMaze2D, PushDisc, Reacher2D, Roaming, SWMTwoRoom, TwoRooms
from jepakit.worlds.stream import ClipStream
from jepakit.worlds.violations import Setting, undisturbed
from jepakit.worlds.violations.pairs import FIRST
from jepakit.worlds.wandering import Wandering

RATE = 0.01
FIRST_OF = {"dev": FIRST, "test": FIRST << 1}
"""Ids of the clips on which choices are made, and of those whose results are reported."""
WALKED = 1.4
"""Bounds of an action of TwoRooms that a model is told of; steps of its data are at most 1.8 long."""


@dataclass(frozen=True)
class Case:
    """Say where, with which model, and how long it is trained.

    Args:
        setting: Clips.
        model: Makes the model's configuration from what all have in common.
        steps: Of training.
        bound: Largest part of an action.
    """

    setting: Setting
    model: Callable[..., EBJEPAWorldConfig | LeWMConfig]
    steps: int
    bound: float = 1.0


LIGHT: dict[str, Any] = {
    "variance_weight": 1.0,
    "covariance_weight": 0.25,
    "slowness_weight": 0.25,
    "inverse_weight": 0.5,
    "inverse_gaps": (1, 4),
}
"""Loss weights of `two-rooms-random`."""


def seeing(**common: Any) -> EBJEPAWorldConfig:
    """Return a model for worlds in which one picture tells what is to be known."""
    return EBJEPAWorldConfig(dynamics=ResidualDynamicsConfig(hidden_dim=256, depth=2), inverse_gaps=(1, 4), **common)


def mapping(encoder: FrameNetConfig, **common: Any) -> EBJEPAWorldConfig:
    """Return a model that remembers, half of whose numbers are for what never moves; with patches of 4 pixels."""
    dynamics, still = RememberingDynamicsConfig(hidden_dim=384), {"still_dim": 64, "still_weight": 1.0}
    return EBJEPAWorldConfig(encoder=finer(encoder), dynamics=dynamics, **LIGHT, **still, **common)


def touching(encoder: FrameNetConfig, **common: Any) -> EBJEPAWorldConfig:
    """Return a model that sees shapes: patches of 4 pixels."""
    dynamics = ResidualDynamicsConfig(hidden_dim=384, depth=3)
    return EBJEPAWorldConfig(encoder=finer(encoder), dynamics=dynamics, **LIGHT, **common)


def finer(encoder: FrameNetConfig) -> FrameNetConfig:
    """Return an encoder with smaller patches and a wider embedding."""
    return replace(encoder, patch_size=4, dim=128)


def watching(**common: Any) -> LeWMConfig:
    """Return a model for worlds in which nobody acts, so that inverse dynamics cannot tell it what to look at."""
    sizes = {"dim": 32, "projector_dim": 256, "num_slices": 256}
    dynamics = RememberingDynamicsConfig(hidden_dim=384)
    return LeWMConfig(dynamics=dynamics, motion_weight=0.09 * 128, **sizes, **common)


CASES: dict[str, Case] = {
    "TwoRooms": Case(Setting(TwoRooms("random"), Wandering(), 6, 4), seeing, 1200, bound=WALKED),
    "SWMTwoRoom": Case(Setting(SWMTwoRoom(), Roaming(), 6, 4), seeing, 350),
    "PointMaze2D": Case(Setting(PointMaze2D(), Roaming(), 8, 4), mapping, 5000),
    "PushDisc": Case(Setting(PushDisc(beside=1.0), Roaming(), 6, 4), touching, 6000),
    "Reacher2D": Case(Setting(Reacher2D(), Roaming(), 6, 4), seeing, 500),
    "BouncingBalls": Case(Setting(BouncingBalls(1, screen_width=24.0), undisturbed, 12, 3), watching, 3000),
}


def stream_of(case: Case, batch_size: int) -> ClipStream:
    """Return the clips of training."""
    setting = case.setting
    return ClipStream(setting.world, setting.behaviour, batch_size, setting.num_frames, setting.frame_skip)


def config_of(case: Case) -> EBJEPAWorldConfig | LeWMConfig:
    """Return the model of a world."""
    channels, size = case.setting.world.observation_space.shape[:2]
    seen = stream_of(case, 32).batch(0).frames.float().div(255.0).movedim(2, 0).flatten(1)
    common: dict[str, Any] = {
        "encoder": FrameNetConfig(image_size=size, in_channels=channels, dim=64),
        "preprocess": Preprocess(
            image_size=size,
            channels=channels,
            mean=tuple(seen.mean(dim=1).tolist()),
            std=tuple(seen.std(dim=1).tolist()),
        ),
        "action_low": (-case.bound, -case.bound),
        "action_high": (case.bound, case.bound),
        "frame_skip": case.setting.frame_skip,
        "rollout_steps": 4,
    }
    return case.model(**common)


def trained(case: Case, args: argparse.Namespace) -> nn.Module:
    """Train a model."""
    num_steps = args.steps or case.steps
    method = config_of(case).build(seed=args.seed, num_steps=1)
    groups = [
        {"params": group["params"], "weight_decay": 1e-2 if group["decay"] else 0.0} for group in method.param_groups()
    ]
    optimizer = torch.optim.AdamW(groups, lr=args.learning_rate)
    begin = time.process_time()
    for step, batch in stream_of(case, args.batch_size).from_step(0):
        share = step / num_steps
        if share >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = args.learning_rate * min(1.0, (step + 1) / 50) * min(1.0, 2.0 * (1.0 - share))
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            output = method(batch, step)
        output.loss.backward()
        nn.utils.clip_grad_norm_(method.parameters(), 1.0)
        optimizer.step()
    seconds = time.process_time() - begin
    print(f"  {step} steps in {seconds:.0f} s of the processor; prediction {float(output.terms['prediction']):.4f}")
    return method.eval()


def model_of(name: str, case: Case, args: argparse.Namespace) -> nn.Module:
    """Train a model, or take one that was trained before."""
    method = load(args.load / name).method if args.load else trained(case, args)
    if args.save:
        method.save_pretrained(args.save / name)  # type: ignore[operator]
    return method


def world_table(name: str, case: Case, args: argparse.Namespace) -> dict[str, Any]:
    """Train, calibrate and measure in one world."""
    print(name, flush=True)
    method = model_of(name, case, args)
    untrained = config_of(case).build(seed=args.seed, num_steps=1).eval()
    setting = replace(case.setting, first=FIRST_OF[args.split])
    told = score_violations(setting, method, untrained, args.pairs, max(args.pairs, 100), RATE)
    for kind, row in (told["kinds"] | told["looks"]).items():
        parts = row["arms"] | {"lawful": row["lawful"], "found": row["found"]}
        print(f"  {kind:<10} " + " ".join(f"{key} {shown(value)}" for key, value in parts.items()), flush=True)
    print(f"  alarms {told['alarms']:.2%}; measured in {told['seconds']:.0f} s", flush=True)
    return told


def shown(interval: Mapping[str, float]) -> str:
    """Return an interval in few characters."""
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read how long to train and what to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--steps", type=int, default=0, help="of training in each world, instead of its own number")
    parser.add_argument("--split", choices=list(FIRST_OF), default="dev", help="test: for results, once all is chosen")
    parser.add_argument("--pairs", type=int, default=500, help="of each kind, and ordinary clips")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--load", type=Path)
    parser.add_argument("--quick", action="store_true", help="two steps and a few pairs, to see that everything runs")
    args = parser.parse_args(argv)
    if args.quick:
        args.steps, args.pairs, args.batch_size = 2, 4, 4
    return args


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Measure in every world."""
    return {name: world_table(name, CASES[name], args) for name in args.worlds}


def main() -> None:
    """Measure, print a table and one line of JSON."""
    args = arguments()
    torch.set_num_threads(args.threads)
    told = report(args)
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(args).items()}
    print(json.dumps({"arguments": settings, "worlds": told}))


if __name__ == "__main__":
    main()
