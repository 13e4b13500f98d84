"""Train the video recipes on moving digits and read from their frozen encoders which digits there are, where, how fast.

    OMP_NUM_THREADS=1 python benchmarks/video_digits.py --steps 500 --seeds 3 --out runs/video-digits --final

Arms are the recipes, all trained for as many steps of as many clips, and floors: the same encoder before training, and
raw pixels. Read by ridge regression: both digits (front and behind) from the mean of all tokens; position and velocity
of both from the mean of the tokens of a moment in the middle of a clip. Raw pixels are those of means over parts of a
clip, for the digits, and of the two frames of the moment. Clips for tests show scans of other writers; `seen` draws
pairs and speeds as training does, `unseen speed` and `unseen pair` differ in that alone.

Foretelling: the first half of a clip is shown, and embeddings of the next two moments are predicted. Their energy over
that of persistence (the last moment seen, at the same place) and of the mean over clips, below 1 where prediction
helps; in the space of the run's own targets.

Intervals of digits are Wilson's over clips, those of energies over clips too; seeds are shown apart. Runs that are
there are read, so the same command goes on.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.data import DigitClips
from jepakit.evaluation import fit_ridge
from jepakit.evaluation.factor_probe import explained, fit_factors
from jepakit.evaluation.intervals import over_repeats, wilson
from jepakit.hub import load
from jepakit.masking import FutureMask
from jepakit.recipes import find_recipe, train
from jepakit.recipes.clip_floors import clip_arms
from jepakit.recipes.data import VideoData
from jepakit.recipes.video_splits import digit_clips
from jepakit.storage import Run

ARMS = ("video-vjepa", "video-future", "video-pixels")
PARTS = ("seen", "unseen speed", "unseen pair")
_MOMENT = 4
"""Tubelet whose tokens tell position and velocity; a clip has eight."""


def trained(name: str, seed: int, num_steps: int, out: Path) -> Any:
    """Return an arm's method, trained or as it was saved, and the seconds of its training."""
    recipe: Any = find_recipe(name)()
    pace = {"num_steps": num_steps, "warmup_steps": num_steps // 10, "health_every": num_steps // 2, "num_workers": 0}
    recipe = replace(recipe, seed=seed, training=replace(recipe.training, **pace))
    path = out / f"{name}-{seed}"
    saved = Run(path).checkpoint_state() if (path / "config.json").exists() else None
    if saved is None or saved["step"] < num_steps:
        train(recipe, path)
    return load(path).method


def clips_of(source: DigitClips) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the clips of a split, and what is true of them at the moment that is read."""
    video = torch.cat([source.pairs.frames(ids, source.num_frames) for ids in source.ids.split(64)])
    motion = source.pairs.motion(source.ids, source.num_frames)
    frame = 2 * _MOMENT
    true = {"position": motion.position[:, frame].flatten(1), "velocity": motion.velocity[:, frame].flatten(1)}
    return video, true | {"digits": motion.label}


@torch.no_grad()
def features(method: Any, video: Tensor) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"]]:
    """Return the mean of all tokens, and the mean of those of the moment."""
    whole, moment = [], []
    for part in video.split(64):
        tokens = method.encode(method.preprocess(part), tokens=True).float()
        whole.append(tokens.mean(dim=1))
        moment.append(tokens.unflatten(1, method.encoder.grid)[:, _MOMENT].mean(dim=(1, 2)))
    return torch.cat(whole), torch.cat(moment)


def raw_features(method: Any, video: Tensor) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"]]:
    """Return pixels of means over parts of a clip, and of the two frames of the moment."""
    from jepakit.evaluation import Inputs

    ids = torch.arange(len(video))
    arm = clip_arms(method.preprocess, Inputs(train=video, test=video[:1], train_ids=ids, test_ids=ids[:1]))
    frames = method.preprocess(video[:, 2 * _MOMENT : 2 * _MOMENT + 2])
    return arm["raw pixels"].train[:, 0], frames.flatten(1)


def read(made: Any, learned: tuple[Tensor, dict[str, Tensor]], asked: dict[str, Any]) -> dict[str, Any]:
    """Fit probes to the clips to learn from and score them on each part.

    Args:
        made: Makes features of clips.
        learned: Clips, and what is true of them.
        asked: The same of each part.
    """
    whole, moment = made(learned[0])
    digits = learned[1]["digits"]
    probes = [fit_ridge(whole, digits[:, place], 10) for place in (0, 1)]
    factors = {name: learned[1][name] for name in ("position", "velocity")}
    reading = fit_factors(moment[:, None], factors)
    told: dict[str, Any] = {}
    for part, (video, true) in asked.items():
        whole, moment = made(video)
        right = torch.stack([probe.predict(whole) == true["digits"][:, i] for i, probe in enumerate(probes)], dim=1)
        values = reading(moment[:, None])
        told[part] = {
            "front": interval(wilson(int(right[:, 0].sum()), len(right))),
            "behind": interval(wilson(int(right[:, 1].sum()), len(right))),
            **{name: {"value": float(explained(true[name], values[name]))} for name in values},
        }
    return told


@torch.no_grad()
def foretold(method: Any, asked: dict[str, Any], learned: Tensor) -> dict[str, Any]:
    """Return the energy of foretold embeddings over that of persistence and of the mean, on each part."""
    grid = method.encoder.grid
    hidden = FutureMask(grid=grid, horizons=(1, 2), seen=(0.5, 0.5))(torch.arange(1), 0)
    places, last = hidden.target_idx[0], grid[0] // 2 - 1
    usual = torch.cat([method.target(method.preprocess(part)) for part in learned[:512].split(64)]).mean(dim=0)
    told: dict[str, Any] = {}
    for part, (video, _) in asked.items():
        energies: dict[str, list[Tensor]] = {"model": [], "persistence": [], "mean": []}
        for some in video.split(64):
            x = method.preprocess(some)
            tokens = method.target(x)
            everyone = replace(
                hidden,
                context_idx=hidden.context_idx.expand(len(x), -1),
                target_idx=hidden.target_idx.expand(len(x), -1, -1),
            )
            prediction = method.answers(x, everyone, tokens)
            z = tokens[:, places]
            seen = tokens.unflatten(1, grid)[:, last].flatten(1, 2)[:, None].expand_as(z)
            guesses = {"model": prediction.z_hat.view_as(z), "persistence": seen, "mean": usual[places].expand_as(z)}
            for name, guess in guesses.items():
                energies[name].append((guess - z).square().mean(dim=(1, 2, 3)))
        mean = {name: torch.cat(values) for name, values in energies.items()}
        told[part] = {
            f"over {name}": interval(over_repeats(mean["model"] / mean[name].mean(), "test items"))
            for name in ("persistence", "mean")
        }
    return told


def interval(found: Any) -> dict[str, float]:
    """Return value and bounds."""
    return {"value": found.value, "low": found.low, "high": found.high}


def main() -> None:
    """Train, read, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500, help="updates of each training, of 16 clips")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each arm")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--out", type=Path, default=Path("runs/video-digits"), help="where runs are kept")
    parser.add_argument("--final", action="store_true", help="the test split, once all is chosen")
    told = parser.parse_args()
    data: VideoData = find_recipe("video-vjepa")().data  # type: ignore[assignment]
    learned = clips_of(digit_clips(data, "probe"))
    split = "test" if told.final else "dev"
    asked = {part: clips_of(digit_clips(data, split, part)) for part in PARTS}
    records = []
    for seed in range(told.seeds):
        for name in told.arms:
            start = time.monotonic()
            method = trained(name, seed, told.steps, told.out)
            record = {"arm": name, "seed": seed, "seconds": round(time.monotonic() - start, 1)}
            record |= {"read": read(lambda video, m=method: features(m, video), learned, asked)}
            if name != "video-pixels":
                record |= {"foretold": foretold(method, asked, learned[0])}
            show(record)
            records.append(record)
        fresh = method.config.build(seed=seed, num_steps=1).eval()
        floors = {"random init": lambda video, m=fresh: features(m, video)}
        if seed == 0:
            floors["raw pixels"] = lambda video, m=fresh: raw_features(m, video)
        for name, made in floors.items():
            record = {"arm": name, "seed": seed, "read": read(made, learned, asked)}
            show(record)
            records.append(record)
    print(json.dumps({"arguments": vars(told) | {"out": str(told.out)}, "split": split, "records": records}))


def show(record: dict[str, Any]) -> None:
    """Print what was read, a line a part."""
    for part, scores in record["read"].items():
        words = [f"{name} {100 * score['value']:5.1f}" for name, score in scores.items()]
        for name, score in record.get("foretold", {}).get(part, {}).items():
            words.append(f"{name} {score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]")
        print(f"{record['arm']:13s} seed {record['seed']}  {part:13s}", "  ".join(words), flush=True)


if __name__ == "__main__":
    main()
