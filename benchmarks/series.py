"""ETTh1: forecasts from frozen embeddings beside linear models, repetition and raw-value prediction, whichever wins.

    python benchmarks/series.py --data DATA                       # the development part, one seed
    python benchmarks/series.py --data DATA --final --seeds 3     # the test part, once all choices are made
    python benchmarks/series.py --data DATA --recipes series-ijepa series-band series-future      # kinds of mask

DATA holds etth1.csv. Protocol of DLinear: 8,640 hours to learn from, 2,880 for choices, 2,880 to be tested on, windows
of 336 hours, channels standardised by the first part, every hour forecast. Encoders see patches of 24 hours of one
channel; `series-band` is `series-ijepa` whose masks hide stretches of time in all channels. All arms of a seed are
scored on the same windows. `--hours` also tells the quarter of the day in which a window ends, from pooled embeddings,
on windows with gaps, without channels and under noise. A rerun computes what is missing.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from jepakit.data import Labelled
from jepakit.data.record import Record
from jepakit.evaluation import EvaluationConfig
from jepakit.evaluation.forecasting import ForecastArm, windows
from jepakit.masking import BandMask
from jepakit.recipes import SeriesData, SignalRecipe, find_recipe
from jepakit.recipes.divided import Probing
from jepakit.recipes.forecasting import HORIZONS, Scale, encoder_head, forecast_with
from jepakit.recipes.grid import run_grid
from jepakit.recipes.pipeline import train
from jepakit.recipes.scoring import score
from jepakit.recipes.signal_splits import fitted_recipe, parts_of, record_of
from jepakit.training.progress import Lines
from jepakit.views import SERIES_CORRUPTIONS

NUM_ROWS, LENGTH, PATCH = 14400, 336, 24
QUARTERS = ("night", "morning", "afternoon", "evening")
BAND = BandMask(grid=(1, LENGTH // PATCH), target_fraction=0.43, num_targets=2)


def recipe_for(name: str, data: Path, seed: int, num_steps: int) -> SignalRecipe:
    """Return a recipe on ETTh1 with the windows of the protocol; health at the middle and the end."""
    recipe: Any = find_recipe("series-ijepa" if name == "series-band" else name)()
    method = replace(
        recipe.method,
        encoder=replace(recipe.method.encoder, image_size=(1, LENGTH), patch_size=(1, PATCH)),
        preprocess=replace(recipe.method.preprocess, length=LENGTH),
    )
    method = replace(method, mask=BAND) if name == "series-band" else method
    series = replace(recipe.data, train=str(data / "etth1.csv"), num_rows=NUM_ROWS, length=LENGTH)
    training = replace(
        recipe.training, num_steps=num_steps, batch_size=32, warmup_steps=num_steps // 10, health_every=num_steps // 2
    )
    return fitted_recipe(replace(recipe, recipe=name, method=method, data=series, training=training, seed=seed))


def trained(recipe: SignalRecipe, out: Path) -> Any:
    """Train one recipe, or read what was trained, and return the method in eval mode with its seconds."""
    result = train(recipe, out, Lines())
    result.result.require_whole()
    return result.method.eval(), result.result.seconds


def cell(recipes: Sequence[SignalRecipe], out: Path, final: bool, hours: bool) -> dict[str, Any]:
    """Train the recipes of one seed, and forecast with all of them, a random start and the floors."""
    data = recipes[0].data
    record = record_of(data)
    scale = Scale.of(record.values[:, slice(*parts_of(data, len(record))["train"])])
    arms: dict[str, ForecastArm] = {}
    told: dict[str, Any] = {"seconds": {}, "hours": {}}
    for recipe in recipes:
        method, seconds = trained(recipe, out / f"{recipe.recipe}-seed={recipe.seed}")
        arms[recipe.recipe] = encoder_head(method, scale)
        told["seconds"][recipe.recipe] = seconds
        if hours:
            told["hours"][recipe.recipe] = score(method, hour_probing(record, data, final), hour_rule(final)).to_json()
    start = recipes[0].method.build(seed=recipes[0].seed, num_steps=1).eval()
    arms["random init"] = replace(encoder_head(start, scale), is_floor=True)
    return told | {"forecast": forecast_with(arms, record, scale, data, final=final, horizons=HORIZONS).record}


def hour_rule(final: bool) -> EvaluationConfig:
    """Return the rule by which the quarter of the day is told from pooled features."""
    return EvaluationConfig(split="test" if final else "dev", probes=("ridge",), corruptions=SERIES_CORRUPTIONS)


def hour_probing(record: Record, data: SeriesData, final: bool) -> Probing:
    """Return windows with the quarter of the day in which they end: those of the scored part end 25 hours apart."""
    parts = parts_of(data, len(record))
    return Probing(
        _quarters(record, parts["train"], data.length, 5),
        _quarters(record, parts["test" if final else "dev"], data.length, 25),
        "test" if final else "dev",
        [],
    )


def _quarters(record: Record, part: tuple[int, int], length: int, every: int) -> Labelled:
    first = torch.arange(part[0], part[1] - length + 1, every)
    hour = [int(record.stamps[start + length - 1].split()[1][:2]) for start in first.tolist()]
    return Labelled(windows(record.values, first, length), torch.tensor(hour) // 6, QUARTERS)


def cells_of(given: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what computes each seed."""
    tag = f"{'test' if given.final else 'dev'}-steps={given.steps}{'-hours' if given.hours else ''}"
    names = "+".join(given.recipes).replace("+", ".")
    return {
        f"{names}-seed={seed}-{tag}": partial(
            cell,
            [recipe_for(name, given.data, seed, given.steps) for name in given.recipes],
            given.out / f"runs-steps={given.steps}",
            given.final,
            given.hours,
        )
        for seed in range(given.seeds)
    }


def print_forecasts(records: Sequence[dict[str, Any]]) -> None:
    """Print every arm at each horizon, the least error first, and who wins."""
    for horizon in HORIZONS:
        errors: dict[str, dict[str, list[dict[str, Any]]]] = {"mse": {}, "mae": {}}
        for record in records:
            for row in record["forecast"]["forecasts"]:
                if row["horizon"] == horizon:
                    errors[row["measure"]].setdefault(row["arm"], []).append(row)
        means = {arm: fmean(row["value"] for row in rows) for arm, rows in errors["mse"].items()}
        print(f"\n{horizon} hours ahead: mean squared error over seeds, each seed with its 95% interval; mean absolute")
        for arm in sorted(means, key=lambda name: means[name]):
            each = ", ".join(f"{r['value']:.3f} [{r['low']:.3f}, {r['high']:.3f}]" for r in errors["mse"][arm])
            print(f"  {arm:30} {means[arm]:.3f}  {each}   {fmean(r['value'] for r in errors['mae'][arm]):.3f}")
        print(f"  {min(means, key=lambda name: means[name])} wins")
        _print_differences(records, horizon)


def _print_differences(records: Sequence[dict[str, Any]], horizon: int) -> None:
    """Print each learned arm's squared error less another arm's, seed by seed."""
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        for row in record["forecast"]["differences"]:
            if row["horizon"] == horizon:
                pairs.setdefault((row["arm"], row["against"]), []).append(row)
    for (arm, other), rows in pairs.items():
        each = ", ".join(f"{r['value']:+.3f} [{r['low']:+.3f}, {r['high']:+.3f}]" for r in rows)
        print(f"    {arm} - {other}: {each}")


def print_hours(records: Sequence[dict[str, Any]]) -> None:
    """Print how well the quarter of the day is told, clean and at each severity of each corruption."""
    for name in records[0]["hours"]:
        print(f"\n{name}: quarter of the day in which a window ends, ridge on pooled features, mean over seeds")
        told = [record["hours"][name] for record in records]
        for row in zip(*(evaluation["scores"] for evaluation in told), strict=True):
            print(f"  clean         {row[0]['arm']:12} {100 * fmean(s['value'] for s in row):5.1f}")
        for curve in zip(*(evaluation["robustness"] for evaluation in told), strict=True):
            means = [fmean(c["accuracy"][i]["value"] for c in curve) for i in range(len(curve[0]["severity"]))]
            print(f"  {curve[0]['kind']:13} {curve[0]['arm']:12} " + " ".join(f"{100 * mean:5.1f}" for mean in means))


def main() -> None:
    """Train what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", default=["series-ijepa", "series-values"])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--hours", action="store_true", help="also tell the quarter of the day, under corruption")
    parser.add_argument("--final", action="store_true", help="score the test part")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/series"))
    given = parser.parse_args()
    records = list(run_grid(cells_of(given), given.out, print).values())
    print_forecasts(records)
    if given.hours:
        print_hours(records)


if __name__ == "__main__":
    main()
