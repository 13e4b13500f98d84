"""Free Spoken Digit: sounds learned without labels, then probed on frozen pooled features, beside log-mel floors.

    python benchmarks/audio.py --data DATA                       # scored on a fifth of recordings 5 to 49
    python benchmarks/audio.py --data DATA --final --seeds 3     # the official test split: recordings 0 to 4
    python benchmarks/audio.py --data DATA --final --by speaker  # each speaker in turn never heard in training

DATA holds fsdd.parquet (columns `audio`, encoded bytes, `label`, `speaker` and `index`). Probes are linear (ridge): on
all labels, and on 10 a class over 100 draws. Floors: random initial weights (BatchNorm as it comes), the log-mel
spectrogram itself, and statistics of it: mean, deviation, least, largest and change of each band. A rerun computes what
is missing.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from jepakit.evaluation import EvaluationConfig, evaluate_arms
from jepakit.recipes import AudioData, SignalRecipe, find_recipe
from jepakit.recipes.grid import run_grid
from jepakit.recipes.pipeline import train
from jepakit.recipes.scoring import network_arm, probe_inputs
from jepakit.recipes.signal_floors import signal_arms
from jepakit.recipes.splits import open_sources, read_probing
from jepakit.training.progress import Lines
from jepakit.types import UserError
from jepakit.views import SOUND_CORRUPTIONS

RECIPES = ("audio-transform", "audio-ijepa", "audio-values", "audio-wave")
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
OFFICIAL = ("0", "1", "2", "3", "4")
FLOORS = {"raw values": "log-mel", "statistics": "log-mel statistics"}
ROBUST_PROBE = "ridge"


def data_of(recipe: SignalRecipe, path: Path, by: str, final: bool) -> AudioData:
    """Return how the recordings are divided.

    Args:
        recipe: Says rate and length.
        path: The parquet file.
        by: `index`, or the name of the speaker who is left out.
        final: Without it the development split of an unheard speaker is of another unheard speaker.
    """
    assert isinstance(recipe.data, AudioData)
    if by == "index":
        return replace(recipe.data, train=str(path), test_column="index", test_values=OFFICIAL)
    group = None if final else "speaker"
    return replace(recipe.data, train=str(path), test_column="speaker", test_values=(by,), group=group)


def recipe_for(name: str, seed: int, by: str, given: argparse.Namespace) -> SignalRecipe:
    """Return a recipe on the recordings, perhaps of another length of training."""
    recipe = find_recipe(name)()
    if not isinstance(recipe, SignalRecipe) or not isinstance(recipe.data, AudioData):
        raise UserError(f"The recipe {name} does not learn sounds; those that do are {', '.join(RECIPES)}.")
    training = recipe.training
    if given.train_steps:
        steps = given.train_steps
        training = replace(training, num_steps=steps, warmup_steps=steps // 10, health_every=0)
    data = data_of(recipe, given.data / "fsdd.parquet", by, given.final)
    return replace(recipe, seed=seed, data=data, training=training)


def cell(recipe: SignalRecipe, out: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Train one recipe and score it beside its random start."""
    before = time.process_time()
    trained = train(recipe, out, Lines())
    trained.result.require_whole()
    told = {"seconds": trained.result.seconds, "cpu_seconds": time.process_time() - before}
    method = trained.method.eval()
    start = recipe.method.build(seed=recipe.seed, num_steps=1).eval()
    arms = {"jepa": (method, False), "random init": (start, True)}

    def arms_of(inputs: Any, config: EvaluationConfig) -> dict[str, Any]:
        return {name: network_arm(network, inputs, config, is_floor) for name, (network, is_floor) in arms.items()}

    return told | scores(recipe, arms_of, given)


def floors(recipe: SignalRecipe, given: argparse.Namespace) -> dict[str, Any]:
    """Score what has no seed: the spectrogram and its statistics."""

    def arms_of(inputs: Any, config: EvaluationConfig) -> dict[str, Any]:
        return {FLOORS[name]: arm for name, arm in signal_arms(recipe.method.preprocess, inputs).items()}

    return scores(recipe, arms_of, given)


def scores(
    recipe: SignalRecipe, arms_of: Callable[[Any, EvaluationConfig], dict[str, Any]], given: argparse.Namespace
) -> dict[str, Any]:
    """Probe arms; robustness is of the probe on all labels, fitted on clean sounds."""
    probing = read_probing(open_sources(recipe.data), recipe.data, 1, recipe.training.num_workers, final=given.final)
    assert probing is not None  # the recordings have labels
    config = EvaluationConfig(
        split="test" if given.final else "dev",
        probes=("ridge", "kshot"),
        shots=(10,),
        corruptions=SOUND_CORRUPTIONS if given.robustness else (),
    )
    arms = arms_of(probe_inputs(recipe.method, probing, config), config)
    evaluation = evaluate_arms(arms, probing.train.labels, probing.test.labels, len(probing.train.class_names), config)
    return {"evaluation": evaluation.to_json()}


def cells_of(given: argparse.Namespace) -> dict[str, dict[str, Callable[[], dict[str, Any]]]]:
    """Return, for the floors and each recipe, what computes each seed, or each speaker left out."""
    bys = SPEAKERS if given.by == "speaker" else ("index",)
    tag = ("test" if given.final else "dev") + ("-robust" if given.robustness else "")
    shown = recipe_for("audio-transform", 0, bys[0], given)
    rows: dict[str, dict[str, Callable[[], dict[str, Any]]]] = {
        "floors": {f"floors-{by}-{tag}": partial(floors, recipe_for(shown.recipe, 0, by, given), given) for by in bys}
    }
    for name in given.recipe:
        rows[name] = {}
        for by in bys:
            for seed in range(given.seeds):
                recipe = recipe_for(name, seed, by, given)
                run = f"{name}-{by}{'' if given.final or by == 'index' else '-dev'}-{recipe.training.num_steps}-{seed}"
                rows[name][f"{run}-{tag}"] = partial(cell, recipe, given.out / "runs" / run, given)
    return rows


def print_row(name: str, records: Sequence[dict[str, Any]]) -> None:
    """Print every probe and arm: the mean over seeds or speakers, then each with its interval."""
    print(f"\n{name}")
    if "seconds" in records[0]:
        for what in ("seconds", "cpu_seconds"):
            print(f"  {what} of training: {', '.join(f'{record[what]:.0f}' for record in records)}")
    evaluations = [record["evaluation"] for record in records]
    for part in ("scores", "gains"):
        for row in zip(*(evaluation[part] for evaluation in evaluations), strict=True):
            arm = row[0]["arm"] + (" over its random start" if part == "gains" else "")
            each = ", ".join(f"{100 * s['value']:.1f} [{100 * s['low']:.1f}, {100 * s['high']:.1f}]" for s in row)
            print(f"  {row[0]['name']:9} {arm:32} {100 * fmean(s['value'] for s in row):5.1f}  {each}")
    for row in zip(*(evaluation["robustness"] for evaluation in evaluations), strict=True):
        means = [fmean(curve["accuracy"][i]["value"] for curve in row) for i in range(len(row[0]["severity"]))]
        if row[0]["probe"] == ROBUST_PROBE:
            along = " ".join(f"{100 * mean:5.1f}" for mean in means)
            print(
                f"  {row[0]['kind']:9} {row[0]['arm']:32} {100 * fmean(c['clean']['value'] for c in row):5.1f} {along}"
            )


def arguments(typed: Sequence[str] | None = None) -> argparse.Namespace:
    """Read what was typed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", nargs="+", default=["audio-transform"], help="recipes of sounds")
    parser.add_argument("--by", choices=("index", "speaker"), default="index")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--train-steps", type=int, default=0, help="instead of the recipe's own number")
    parser.add_argument("--final", action="store_true", help="score the test split")
    parser.add_argument("--robustness", action="store_true", help="corrupt test sounds too")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/audio"))
    return parser.parse_args(typed)


def report(given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Compute what is missing, print the table, and return its records."""
    rows = {name: list(run_grid(cells, given.out, print).values()) for name, cells in cells_of(given).items()}
    for name, records in rows.items():
        print_row(name, records)
    return rows


def main() -> None:
    """Train what is missing and print the table."""
    report(arguments())


if __name__ == "__main__":
    main()
