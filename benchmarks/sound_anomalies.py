"""Anomalies put into spoken digits: how well surprise finds them, beside floors that listen to loudness and change.

    python benchmarks/sound_anomalies.py --data DATA --seeds 3            # development recordings, for every choice
    python benchmarks/sound_anomalies.py --data DATA --seeds 3 --final    # recordings 0 to 4, after all choices

DATA holds fsdd.parquet. Held-out digits of one speaker stand one after the other, each digit in one recording of 3.2
seconds alone. In each two places are drawn, where 0.16 s are changed: noise, a dropout, a tone, another pitch or a
piece of another speaker. What is judged is 0.32 s around, with the change and without; the number is the area under the
ROC curve, with a bootstrap over recordings. Calibrated on held-out sounds of the training (half of them on the
development part, whose recordings are of the other half). Arms: values, I-JEPA, values without training, the loudness
of a frame against its recording's, the change of a log-mel spectrum. Each has six settings of which the development
part chooses one by the mean over kinds and seeds. A line of JSON for each seed ends it.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.data import ParquetAudio, Subset, places_in_whole, whole_of
from jepakit.data.record import Record, Seconds
from jepakit.evaluation.anomalies import Seen, calibrate_patches
from jepakit.evaluation.detection import Scores, auroc
from jepakit.evaluation.watching import Watcher
from jepakit.random import Stream
from jepakit.recipes import find_recipe
from jepakit.recipes.anomalies import alarms, end_to_end, watch
from jepakit.recipes.config import SignalRecipe
from jepakit.recipes.data import AudioData
from jepakit.recipes.pipeline import train
from jepakit.recipes.signal_splits import open_signals
from jepakit.training.progress import Lines
from jepakit.views import MelPreprocess

RECIPES = ("audio-values", "audio-ijepa")
UNTRAINED = "audio-values without training"
RATE, LENGTH, CHANGED = 8000, 25_600, 1280
"""Samples a second, of a recording, and of an anomaly; half as many on either side of it are judged too."""
FRAME = 80
"""Samples of the moments on which all arms are compared."""
FADE = 40
"""Samples over which a change comes and goes, so that no click tells it."""
PLACES = 2
RATES = (0.01, 0.02, 0.05, 0.1)
DECIBELS = {"noise": 0.0, "tone": 0.0}
"""Power of what is added, against that of the recording."""
SPEED = 1.5
KINDS = ("noise", "dropout", "tone", "pitch", "splice")

Arm = Callable[[Float[Tensor, "b t"]], Mapping[str, Float[Tensor, "b f"]]]
"""Score every frame of recordings, by each of an arm's settings."""
ASKED: dict[str, tuple[int, ...]] = {"moment": (0,), "row": (1,), "both": (0, 1)}
OVER: dict[str, Callable[[Tensor], Tensor]] = {
    "highest": lambda score: score.nan_to_num(nan=-torch.inf).amax(dim=1),
    "mean": lambda score: score.nanmean(dim=1),
}
CHOSEN = {
    "audio-values": "row, highest",
    "audio-ijepa": "row, highest",
    UNTRAINED: "moment, mean",
    "loudness": "over 2, mean",
    "change of spectrum": "over 1, mean",
}
"""Each arm's setting, from the development part."""


@dataclass(frozen=True)
class Recordings:
    """Hold recordings, one for each place that is changed, another speaker's beside each, and which they are."""

    values: Float[Tensor, "b t"]
    others: Float[Tensor, "b t"]
    begin: Int[Tensor, " b"]
    recording: Int[Tensor, " b"]


def recipe_for(name: str, args: argparse.Namespace) -> SignalRecipe:
    """Return a recipe on the recordings, of which 0 to 4 of each speaker and digit are the test."""
    recipe = cast(SignalRecipe, find_recipe(name)())
    data = replace(
        cast(AudioData, recipe.data),
        train=str(args.data / "fsdd.parquet"),
        test_column="index",
        test_values=tuple("01234"),
        num_health=args.held_out,
    )
    training = recipe.training
    if args.steps:
        training = replace(training, num_steps=args.steps, warmup_steps=args.steps // 10, health_every=0)
    return replace(recipe, seed=args.seed, data=data, training=training)


def strung(source: Any, seed: int) -> tuple[Float[Tensor, "n t"], list[str]]:
    """Return recordings of one speaker's sounds, each used once, and their speakers."""
    index = places_in_whole(source, torch.arange(len(source)))
    speakers = cast(ParquetAudio, whole_of(source)).values("speaker")
    found: list[Tensor] = []
    of: list[str] = []
    for speaker in sorted(set(speakers)):
        own = [i for i, place in enumerate(index.tolist()) if speakers[place] == speaker]
        order = Stream(seed, f"sounds/{speaker}").permutation(0, len(own)).tolist()
        sound = torch.cat([source.read(own[i])[0] for i in order]) if own else torch.zeros(0)
        found += [part for part in sound.split(LENGTH) if len(part) == LENGTH]
        of += [str(speaker)] * (len(found) - len(of))
    return torch.stack(found), of


def recordings_of(source: Any, seed: int) -> Recordings:
    """String sounds together and draw what is changed: a place in each half of each recording."""
    values, speakers = strung(source, seed)
    num = len(values)
    stretch = (LENGTH - 2 * CHANGED) // PLACES
    at = Stream(seed, "places").integers(0, torch.arange(num), PLACES, stretch) + torch.arange(PLACES) * stretch
    turn = Stream(seed, "others").integers(0, torch.arange(num), PLACES, num)
    strangers = [[i for i in range(num) if speakers[i] != one] for one in speakers]
    drawn = zip(strangers, turn.tolist(), strict=True)
    other = torch.tensor([[others[k % len(others)] for k in row] for others, row in drawn])
    which = torch.arange(num).repeat_interleave(PLACES)
    return Recordings(values[which], values[other.flatten()], at.flatten() + CHANGED // 2, which)


def inject(kind: str, given: Recordings, seed: int) -> Float[Tensor, "b t"]:
    """Return recordings with an anomaly each, faded in and out; a piece of another is as loud as what it replaces."""
    b, t = given.values.shape
    power = given.values.square().mean(dim=1, keepdim=True)
    u = Stream(seed, f"sound/{kind}").uniform(0, torch.arange(b), 2)
    time = torch.arange(t) - given.begin[:, None]
    loud = (power * 10.0 ** (DECIBELS.get(kind, 0.0) / 10.0)).sqrt()
    added = {
        "noise": lambda: loud * Stream(seed, "sound/white").normal(0, torch.arange(b), t),
        "tone": lambda: loud * 2**0.5 * (2 * torch.pi * (300.0 + 2700.0 * u[:, :1]) * time / RATE).sin(),
    }
    changed = {
        "dropout": lambda: torch.zeros_like(given.values),
        "pitch": lambda: faster(given.values, time),
        "splice": lambda: given.others,
    }
    inside = ((time + 1).clamp(0, FADE) / FADE) * ((CHANGED - time).clamp(0, FADE) / FADE)
    if kind in added:
        return given.values + inside * added[kind]()
    new = changed[kind]()
    is_in = (inside > 0).float()
    as_loud = (((given.values * is_in).square().sum(1) / (new * is_in).square().sum(1).clamp_min(1e-9)).sqrt())[:, None]
    return given.values * (1 - inside) + inside * new * (as_loud if kind == "splice" else 1.0)


def faster(values: Float[Tensor, "b t"], time: Int[Tensor, "b t"]) -> Float[Tensor, "b t"]:
    """Return sounds whose time runs faster from the moment 0 on: later, higher ones, between samples interpolated."""
    place = (torch.arange(values.shape[1]) + (SPEED - 1.0) * time).clamp(0, values.shape[1] - 1)
    low = place.long().clamp_max(values.shape[1] - 2)
    share = place - low
    return values.gather(1, low) * (1 - share) + values.gather(1, low + 1) * share


def surprise_arm(watcher: Watcher, clean: Seen) -> Arm:
    """Return the arm of a masked method, calibrated on clean sounds."""
    calibrations = {name: calibrate_patches([_of(clean, kinds)]) for name, kinds in ASKED.items()}

    def score(values: Float[Tensor, "b t"]) -> Mapping[str, Float[Tensor, "b f"]]:
        seen = watcher.all(list(values[:, None]))
        return {
            name: torch.stack([calibrations[name].scored(_of(one, kinds)).score for one in seen]).repeat_interleave(
                watcher.width // FRAME, dim=1
            )
            for name, kinds in ASKED.items()
        }

    return score


def _of(seen: Seen, kinds: tuple[int, ...]) -> Seen:
    return replace(seen, energy=seen.energy[:, list(kinds)])


def loudness(values: Float[Tensor, "b t"]) -> Mapping[str, Float[Tensor, "b f"]]:
    """Return how many deviations of its recording's frames the loudness of a frame in decibels is off, either way."""

    def of(frames: int) -> Tensor:
        power = values.unflatten(1, (-1, frames * FRAME)).square().mean(dim=2)
        level = 10 * (power + 1e-8).log10()
        std, mean = torch.std_mean(level, dim=1, keepdim=True)
        return ((level - mean) / std).abs().repeat_interleave(frames, dim=1)

    return {f"over {frames}": of(frames) for frames in (2, 4, 8)}


def change(values: Float[Tensor, "b t"]) -> Mapping[str, Float[Tensor, "b f"]]:
    """Return how much louder or quieter the bands of a log-mel spectrum became over so many frames of 20 ms."""
    mel = MelPreprocess(rate=RATE, length=values.shape[1], num_mels=32, hop_s=0.02)(values[:, None])[:, 0]

    def of(frames: int) -> Tensor:
        moved = (mel[:, :, frames:] - mel[:, :, :-frames]).square().mean(dim=1)
        return F.pad(moved, (frames, 0), value=torch.nan).repeat_interleave(2, dim=1)

    return {f"over {frames}": of(frames) for frames in (1, 2, 4)}


def scored(arm: Arm, given: Recordings, seed: int) -> dict[str, dict[str, Scores]]:
    """Return what an arm's settings say of judged stretches with each kind of anomaly and without."""
    moment = torch.arange(LENGTH // FRAME) * FRAME + FRAME // 2 - given.begin[:, None]
    is_judged = (moment >= -CHANGED // 2) & (moment < CHANGED + CHANGED // 2)

    def judged(values: Tensor) -> dict[str, Tensor]:
        found = {name: torch.where(is_judged, score, torch.nan) for name, score in arm(values).items()}
        return {f"{name}, {over}": by(score) for name, score in found.items() for over, by in OVER.items()}

    without = judged(given.values)
    with_ = {kind: judged(inject(kind, given, seed)) for kind in KINDS}
    return {name: {kind: (with_[kind][name], without[name]) for kind in KINDS} for name in without}


def report(args: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing, score every arm, and return all numbers of one seed."""
    recipes = {name: recipe_for(name, args) for name in args.recipe}
    data = cast(AudioData, recipes[args.recipe[0]].data)
    sources = open_signals(replace(data, length=4 * data.length))
    half = len(sources.health) // 2
    first, second = (Subset(sources.health, part) for part in torch.arange(2 * half).split(half))
    clean = end_to_end(sources.health if args.final else first, data)
    given = recordings_of(sources.test if args.final else second, args.seed)
    watchers = {}
    for name, recipe in recipes.items():
        trained = train(recipe, args.out / str(args.seed) / name, Lines())
        trained.result.require_whole()
        watchers[name] = watcher_of(trained.method.eval(), data)
    values = recipes["audio-values"]
    watchers[UNTRAINED] = watcher_of(values.method.build(seed=values.seed, num_steps=1).eval(), data)
    arms: dict[str, Arm] = {name: surprise_arm(one, one(clean.values)) for name, one in watchers.items()}
    arms |= {"loudness": loudness, "change of spectrum": change}
    tried = {}
    for name, arm in arms.items():
        print(f"scoring {name}", flush=True)
        tried[name] = scored(arm, given, args.seed)
    pairs = tuple(("audio-values", arm) for arm in arms if arm != "audio-values")
    kinds = {}
    for kind in KINDS:
        areas, gains = auroc({arm: tried[arm][CHOSEN[arm]][kind] for arm in arms}, given.recording, pairs)
        kinds[kind] = {arm: _ends(area) for arm, area in areas.items()}
        kinds[kind] |= {f"values less {pair[1]}": _ends(gain) for pair, gain in gains.items()}
    whole = [Record(one[None], ("sound",), Seconds(LENGTH, 1 / RATE), 1 / RATE) for one in given.values[::PLACES]]
    return {
        "split": "test" if args.final else "dev",
        "seed": args.seed,
        "recordings": len(whole),
        "kinds": kinds,
        "tried": {} if args.final else {arm: _means(each, given) for arm, each in tried.items()},
        "alarms": {name: _alarms(watchers[name], clean, whole) for name in args.recipe},
    }


def watcher_of(method: Any, data: AudioData) -> Watcher:
    """Return what looks at sounds by all kinds of questions that a setting reads."""
    return Watcher(method, data.length, ("moment", "row"))


def _means(each: Mapping[str, Mapping[str, Scores]], given: Recordings) -> dict[str, float]:
    """Return the mean area over kinds of each setting."""
    areas = {name: auroc(of_kinds, given.recording, num_resamples=1)[0] for name, of_kinds in each.items()}
    return {name: fmean(area.value for area in one.values()) for name, one in areas.items()}


def _ends(one: Any) -> list[float]:
    return [round(part, 3) for part in (one.value, one.low, one.high)]


def _alarms(watcher: Watcher, clean: Record, recordings: list[Record]) -> dict[str, list[float]]:
    """Return the share of stretches that `jepakit surprise` marks in recordings in which nothing is wrong."""
    usual = Watcher(watcher.method, watcher.length)
    calibration = calibrate_patches([usual(clean.values)])
    return {
        f"{rate:g}": _ends(alarms([watch(usual, calibration, one, rate) for one in recordings], watcher.length))
        for rate in RATES
    }


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/sound-anomalies"))
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--recipe", nargs="+", default=RECIPES, choices=RECIPES)
    parser.add_argument("--steps", type=int, default=0, help="of training; 0 for as many as the recipe says")
    parser.add_argument("--held-out", type=int, default=256, help="sounds that training does not hear")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    return parser.parse_args(given)


def main() -> None:
    """Print every arm by kind of anomaly, each seed with its interval, and a line of JSON for each seed."""
    args = arguments()
    told = [report(argparse.Namespace(**vars(args) | {"seed": args.seed + i})) for i in range(args.seeds)]
    for part in ("kinds", "alarms"):
        for kind, arms in told[0][part].items():
            print(kind)
            for arm in arms:
                each = [one[part][kind][arm] for one in told]
                print(f"  {arm:42} {fmean(one[0] for one in each):6.3f}  {each}")
    for arm, settings in told[0]["tried"].items():
        mean = {name: round(fmean(one["tried"][arm][name] for one in told), 3) for name in settings}
        print(f"{arm}: best {max(mean, key=lambda name: mean[name])} of {mean}")
    for one in told:
        print(json.dumps(one))


if __name__ == "__main__":
    main()
