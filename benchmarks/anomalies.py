"""Anomalies put into ETTh1: how well surprise finds them, beside floors that need no training and a model of values.

    python benchmarks/anomalies.py --data DATA --seeds 3            # the development part, for every choice
    python benchmarks/anomalies.py --data DATA --seeds 3 --final    # the test part, after all choices

DATA holds etth1.csv. Stretches of the part are drawn, each with a judged window of 48 hours in its middle, where one
channel is changed (`jepakit.evaluation.injected`): a spike, a level shift, a frozen sensor, a lost correlation. An arm
scores the window with and without the change; its number is the area under the ROC curve over all of them, with a
bootstrap over weeks. Arms: the recipe `series-watch`, which predicts values; I-JEPA with its encoder, views and budget,
trained and untrained; a rolling z-score; the change over a few hours; the change over days. Each arm has six settings,
of which the development part chooses one by the mean over kinds and seeds; `--final` takes those in CHOSEN. A seed is
that of a training, of the stretches and of what is injected. Printed is the mean over seeds, between the lowest and the
highest end of their intervals. A line of JSON for each seed ends it.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.data.record import Record
from jepakit.evaluation.anomalies import Seen, calibrate_patches
from jepakit.evaluation.detection import Scores, auroc
from jepakit.evaluation.injected import ANOMALIES, SIZES, inject
from jepakit.evaluation.watching import Watcher
from jepakit.random import Stream
from jepakit.recipes import find_recipe
from jepakit.recipes.anomalies import alarms, part_of, watch
from jepakit.recipes.config import SignalRecipe
from jepakit.recipes.pipeline import train
from jepakit.recipes.signal_splits import fitted_recipe, record_of
from jepakit.training.progress import Lines

JUDGED = 48
DAY, WEEK = 24, 168
RATES = (0.01, 0.02, 0.05, 0.1)
NUM_ROWS = 14_400
"""Of the record: 20 months, as all who use ETTh1 take."""

Arm = Callable[[Float[Tensor, "b c t"]], Mapping[str, Float[Tensor, "b t"]]]
"""Score every moment of stretches, by each of an arm's settings."""

ASKED: dict[str, tuple[int, ...]] = {"moment": (0,), "row": (1,), "both": (0, 1)}
"""Which of the kinds of questions a setting reads."""

OVER: dict[str, Callable[[Tensor], Tensor]] = {
    "highest": lambda score: score.nan_to_num(nan=-torch.inf).amax(dim=1),
    "mean": lambda score: score.nanmean(dim=1),
}
"""How a judged window's number is made of those of its moments."""

CHOSEN = {
    "I-JEPA": "row, highest",
    "values": "row, mean",
    "random init": "row, mean",
    "rolling z-score": "past 24, highest",
    "persistence": "over 1, highest",
    "seasonal difference": "over 24, highest",
}
"""Each arm's setting, from the development part: the best mean over kinds and three seeds."""


@dataclass(frozen=True)
class Windows:
    """Hold stretches, those from which correlation is broken, the judged windows, and the week of each."""

    values: Float[Tensor, "b c t"]
    elsewhere: Float[Tensor, "b c t"]
    judged: Int[Tensor, "b 2"]
    week: Int[Tensor, " b"]

    @property
    def is_judged(self) -> Bool[Tensor, "b t"]:
        """Return which moments are judged."""
        time = torch.arange(self.values.shape[2])
        return (time >= self.judged[:, :1]) & (time < self.judged[:, 1:])


def windows_of(part: Record, num: int, length: int, seed: int) -> Windows:
    """Draw stretches of two windows' length, which begin at the same hour of the day."""
    ids = torch.arange(num)
    days = (len(part) - 2 * length) // DAY + 1
    begin, other = (Stream(seed, f"anomalies/{name}").integers(0, ids, 1, days)[:, 0] * DAY for name in ("at", "other"))
    first = length - JUDGED + Stream(seed, "anomalies/judged").integers(0, ids, 1, JUDGED)[:, 0]
    values, elsewhere = (
        torch.stack([part.values[:, at : at + 2 * length] for at in starts.tolist()]) for starts in (begin, other)
    )
    return Windows(values, elsewhere, torch.stack((first, first + JUDGED), dim=1), (begin + first) // WEEK)


def recipe_for(arm: str, args: argparse.Namespace) -> SignalRecipe:
    """Return an arm's recipe on ETTh1: sizes, steps and batches as asked for; that of I-JEPA with the other's views."""
    recipe: Any = find_recipe("series-watch")()
    if arm == "I-JEPA":
        method: Any = find_recipe("series-ijepa")().method
        recipe = replace(recipe, method=replace(method, encoder=recipe.method.encoder, augment=recipe.method.augment))
    training = replace(
        recipe.training,
        num_steps=args.steps,
        batch_size=args.batch_size,
        warmup_steps=args.steps // 10,
        health_every=args.steps,
    )
    data = replace(recipe.data, train=str(args.data / "etth1.csv"), num_rows=args.rows, length=args.length)
    return fitted_recipe(replace(recipe, training=training, data=data, seed=args.seed))


def untrained(recipe: SignalRecipe, windows: Float[Tensor, "b c t"]) -> Any:
    """Return a method as it is before training, the statistics of its whitening measured."""
    method: Any = recipe.method.build(seed=recipe.seed, num_steps=1)
    for part in windows.split(64):
        method.target(method.preprocess(part))  # in train mode running statistics move on
    return method.eval()


def surprise_arm(method: Any, length: int, clean: Record) -> Arm:
    """Return the arm of a masked method, calibrated on a clean part."""
    watcher = Watcher(method, length, ("moment", "row"))
    usual = watcher(clean.values)
    calibrations = {name: calibrate_patches([_of(usual, kinds)]) for name, kinds in ASKED.items()}

    def score(values: Float[Tensor, "b c t"]) -> Mapping[str, Float[Tensor, "b t"]]:
        seen = watcher.all(list(values))
        return {
            name: torch.stack([calibrations[name].scored(_of(one, kinds)).score for one in seen]).repeat_interleave(
                watcher.width, dim=1
            )
            for name, kinds in ASKED.items()
        }

    return score


def _of(seen: Seen, kinds: tuple[int, ...]) -> Seen:
    return replace(seen, energy=seen.energy[:, list(kinds)])


def z_score(clean: Record) -> Arm:
    """Return a rolling z-score: how many deviations of the last so many moments a value lies off their mean."""
    floor = 1e-3 * clean.values.std(dim=1)[:, None]

    def of(values: Float[Tensor, "b c t"], past: int) -> Float[Tensor, "b t"]:
        std, mean = torch.std_mean(values.unfold(2, past, 1)[:, :, :-1], dim=3)
        return F.pad(((values[:, :, past:] - mean).abs() / (std + floor)).amax(dim=1), (past, 0), value=torch.nan)

    return lambda values: {f"past {past}": of(values, past) for past in (12, 24, 48)}


def change(clean: Record, *hours: int) -> Arm:
    """Return the change over so many moments, in deviations of each channel's own such changes."""

    def of(values: Float[Tensor, "b c t"], over: int) -> Float[Tensor, "b t"]:
        usual = (clean.values[:, over:] - clean.values[:, :-over]).std(dim=1)[:, None]
        found = ((values[:, :, over:] - values[:, :, :-over]).abs() / usual).amax(dim=1)
        return F.pad(found, (over, 0), value=torch.nan)

    return lambda values: {f"over {over}": of(values, over) for over in hours}


def scored(arm: Arm, windows: Windows, seed: int) -> dict[str, dict[str, Scores]]:
    """Return what an arm's settings say of judged windows with each kind of anomaly and without."""
    ids = torch.arange(len(windows.values))

    def judged(values: Tensor) -> dict[str, Tensor]:
        found = {name: torch.where(windows.is_judged, score, torch.nan) for name, score in arm(values).items()}
        return {f"{name}, {over}": by(score) for name, score in found.items() for over, by in OVER.items()}

    without = judged(windows.values)
    found: dict[str, dict[str, Scores]] = {name: {} for name in without}
    for kind in ANOMALIES:
        with_ = judged(inject(kind, windows.values, windows.elsewhere, windows.judged, ids, seed).values)
        for name, score in with_.items():
            found[name][kind] = (score, without[name])
    return found


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing, score every arm, and return all numbers of one seed."""
    recipe = recipe_for("I-JEPA", args)
    record = record_of(recipe.data)
    parts = {name: part_of(recipe.data, record, name) for name in ("train", "dev", "test")}
    methods: dict[str, Any] = {}
    for arm in ("I-JEPA", "values"):
        trained = train(recipe_for(arm, args), args.out / str(args.seed) / arm, Lines())
        trained.result.require_whole()
        methods[arm] = trained.method.eval()
    starts = range(0, len(parts["train"]) - args.length, args.length // 4)
    some = torch.stack([parts["train"].values[:, at : at + args.length] for at in starts])
    methods["random init"] = untrained(recipe, some)
    windows = windows_of(parts["test" if args.final else "dev"], args.num, args.length, args.seed)
    clean = parts["dev"]
    arms = {arm: surprise_arm(method, args.length, clean) for arm, method in methods.items()} | {
        "rolling z-score": z_score(clean),
        "persistence": change(clean, 1, 2, 3),
        "seasonal difference": change(clean, 24, 48, 72),
    }
    tried = {}
    for name, arm in arms.items():
        print(f"scoring {name}", flush=True)
        tried[name] = scored(arm, windows, args.seed)
    means = {arm: {name: _mean(one, windows.week) for name, one in each.items()} for arm, each in tried.items()}
    kinds = {kind: _table({arm: tried[arm][CHOSEN[arm]][kind] for arm in tried}, windows.week) for kind in ANOMALIES}
    return {
        "split": "test" if args.final else "dev",
        "num": args.num,
        "sizes": SIZES,
        "judged": JUDGED,
        "tried": {} if args.final else means,
        "seed": args.seed,
        "kinds": kinds,
        "alarms": {arm: _alarms(methods[arm], args.length, parts) for arm in ("I-JEPA", "values")},
    }


def _mean(scores: Mapping[str, Scores], week: Tensor) -> float:
    found, _ = auroc(scores, week)
    return round(sum(one.value for one in found.values()) / len(found), 4)


def _table(scores: Mapping[str, Scores], week: Tensor) -> dict[str, Any]:
    """Return each arm's area, and by how much the JEPA's is above it."""
    others = tuple(("I-JEPA", arm) for arm in scores if arm != "I-JEPA")
    areas, gains = auroc(scores, week, others)
    return {
        arm: [round(part, 3) for part in (area.value, area.low, area.high)]
        + ([] if arm == "I-JEPA" else [round(part, 3) for part in _ends(gains["I-JEPA", arm])])
        for arm, area in areas.items()
    }


def _ends(one: Any) -> tuple[float, float, float]:
    return one.value, one.low, one.high


def _alarms(method: Any, length: int, parts: Mapping[str, Record]) -> dict[str, Any]:
    """Return the share of clean moments that are marked of the part that calibrated nothing."""
    watcher = Watcher(method, length)
    calibration = calibrate_patches([watcher(parts["dev"].values)])
    found = {rate: alarms([watch(watcher, calibration, parts["test"], rate)], length) for rate in RATES}
    return {f"{rate:g}": [round(part, 4) for part in _ends(one)] for rate, one in found.items()}


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/anomalies"))
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--num", type=int, default=200)
    parser.add_argument("--rows", type=int, default=NUM_ROWS)
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    return parser.parse_args(given)


def over_seeds(each: Sequence[Sequence[float]]) -> str:
    """Return the mean over seeds, between the lowest and highest ends of their intervals, then every seed's."""
    value, low, high = zip(*each, strict=True)
    return f"{fmean(value):6.3f} [{min(low):6.3f}, {max(high):6.3f}] ({', '.join(f'{one:.3f}' for one in value)})"


def main() -> None:
    """Print a table for each kind of anomaly, and everything as a line of JSON for each seed."""
    args = arguments()
    told = [report(argparse.Namespace(**vars(args) | {"seed": args.seed + i})) for i in range(args.seeds)]
    for kind in ANOMALIES:
        print(kind)
        for arm in CHOSEN:
            of_seeds = [one["kinds"][kind][arm] for one in told]
            gain = "" if arm == "I-JEPA" else f"   I-JEPA {over_seeds([numbers[3:] for numbers in of_seeds])}"
            print(f"  {arm:20} {over_seeds([numbers[:3] for numbers in of_seeds])}{gain}")
    for arm, rates in told[0]["alarms"].items():
        for rate in rates:
            print(f"{arm}, asked {rate}: {over_seeds([one['alarms'][arm][rate] for one in told])}")
    for arm, settings in told[0]["tried"].items():
        mean = {name: round(fmean(one["tried"][arm][name] for one in told), 4) for name in settings}
        print(f"{arm}: best {max(mean, key=lambda name: mean[name])} {mean}")
    for one in told:
        print(json.dumps(one))


if __name__ == "__main__":
    main()
