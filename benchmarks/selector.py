"""Ask whether a number that needs no labels can choose between runs: its rank correlation with a probe's accuracy.

    python benchmarks/selector.py                   # about 12 minutes on one core; a rerun reads what it has
    python benchmarks/selector.py --methods DIR     # and the runs of cifar10.py --recipe all --out DIR, if it has run

Three methods on the digits, each with nine settings (learning rate and strength of the regularizer, a tenth to
tenfold), trained briefly. Each run's last health measurement on held-out images without labels stands against the
accuracy of 5 labels a class on the development split. Within a method the question is which setting to take; over all
methods it is which run. A selector is offered only where both are high.
"""

import argparse
import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from jepakit.evaluation import EvaluationConfig
from jepakit.evaluation.selection import spearman
from jepakit.recipes import ImageRecipe, find_recipe
from jepakit.recipes.grid import run_grid
from jepakit.recipes.pipeline import train
from jepakit.recipes.scoring import score
from jepakit.recipes.splits import read_probing
from jepakit.storage import Run, read_json

METHODS = {
    "digits-transform": "sigreg_weight",
    "digits-lejepa": "sigreg_weight",
    "digits-vicreg": "covariance_weight",
}
FACTORS = (0.1, 1.0, 10.0)
NUM_STEPS = 150
MEASURES = ("rankme", "participation_ratio", "alpha_req", "nesum", "lidar", "alignment", "uniformity", "sigreg")


def recipe_for(name: str, rate: float, strength: float) -> ImageRecipe:
    """Return a brief training with another learning rate and another strength of the regularizer."""
    recipe = find_recipe(name)()
    method: Any = recipe.method
    weight = getattr(method, METHODS[name])
    training = replace(
        recipe.training,
        num_steps=NUM_STEPS,
        learning_rate=rate * recipe.training.learning_rate,
        warmup_steps=NUM_STEPS // 10,
        health_every=NUM_STEPS,
    )
    return replace(recipe, method=replace(method, **{METHODS[name]: strength * weight}), training=training)


def cell(recipe: ImageRecipe, out: Path) -> dict[str, Any]:
    """Train once; return the label-free measures of the encoder and the accuracy with 5 labels a class."""
    trained = train(recipe, out)
    trained.result.require_whole()
    probing = read_probing(trained.sources, recipe.data, channels=1, num_workers=0, final=False)
    assert probing is not None
    config = EvaluationConfig(split="dev", probes=("kshot",), shots=(5,))
    scores = score(trained.method.eval(), probing, config).scores
    accuracy = next(s.value for s in scores if s.arm == "jepa")
    health = Run(out).metrics("health")[-1]
    return {"accuracy": accuracy, "healthy": health["verdict"], "measures": health["spaces"]["encoder"]}


def main() -> None:
    """Print, for each measure, its rank correlation with accuracy within each method and over all runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/selector"))
    parser.add_argument("--methods", type=Path, help="folder of records of cifar10.py")
    given = parser.parse_args()
    out, cells = given.out, {}
    for name, rate, strength in itertools.product(METHODS, FACTORS, FACTORS):
        key = f"{name}-rate={rate}-strength={strength}"
        cells[key] = partial(cell, recipe_for(name, rate, strength), out / "runs" / key)
    records = run_grid(cells, out, print)
    for key, record in records.items():
        print(f"{key:48} {100 * record['accuracy']:5.1f}")
    chosen = {name: [r for key, r in records.items() if key.startswith(name)] for name in METHODS}
    chosen["all these"] = list(records.values())
    if given.methods is not None:
        chosen["cifar10.py"] = [of_method(read_json(path)) for path in sorted(given.methods.glob("small-*.json"))]
    print(f"\n{'rank correlation of':22}" + "".join(f"{name:>20}" for name in chosen))
    for measure in MEASURES:
        print(f"{measure:22}" + "".join(f"{correlation(part, measure):20.2f}" for part in chosen.values()))


def of_method(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of cifar10.py in the form of ours: its accuracy is the linear probe's."""
    scores = record["evaluation"]["scores"]
    accuracy = next(s["value"] for s in scores if (s["name"], s["arm"]) == ("ridge", "jepa"))
    return {"accuracy": accuracy, "measures": record["health"]["spaces"]["encoder"]}


def correlation(records: list[dict[str, Any]], measure: str) -> float:
    """Return how well a measure ranks runs as their accuracy does."""
    known = [r for r in records if r["measures"].get(measure) is not None]
    if len(known) < 2:
        return float("nan")
    measured = torch.tensor([float(r["measures"][measure]) for r in known])
    return spearman(measured, torch.tensor([r["accuracy"] for r in known]))


if __name__ == "__main__":
    main()
