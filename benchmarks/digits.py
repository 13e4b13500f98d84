"""Digits with few labels: what the demo's method gains over its floors, three seeds, on the test split.

    python benchmarks/digits.py                     # about 5 minutes on 2 cores; a rerun reads what it has

30% stratified test (split seed 0), never seen by pretraining; one probe rule (ridge on k labels a class, its penalty by
leave-one-out) for all rows; 100 paired label draws. Choices were made on the development split, cut from the rest.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from jepakit.evaluation import EvaluationConfig
from jepakit.recipes import find_recipe
from jepakit.recipes.grid import run_grid
from jepakit.recipes.pipeline import train
from jepakit.recipes.scoring import score
from jepakit.recipes.splits import read_probing
from jepakit.training.progress import Lines


def cell(recipe_name: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train one seed and score it on the test split."""
    recipe = replace(find_recipe(recipe_name)(), seed=seed)
    trained = train(recipe, folder / "runs" / f"{recipe_name}-{seed}", Lines())
    trained.result.require_whole()
    probing = read_probing(trained.sources, recipe.data, channels=1, num_workers=0, final=True)
    assert probing is not None
    config = EvaluationConfig(split="test", probes=("ridge", "knn", "kshot"))
    evaluation = score(trained.method.eval(), probing, config)
    return {"seconds": trained.result.seconds, "evaluation": evaluation.to_json()}


def main() -> None:
    """Print a table: each probe and arm, mean over seeds, and the smallest lower bound of the paired gain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="digits-transform")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/digits"))
    arguments = parser.parse_args()
    cells = {
        f"{arguments.recipe}-seed={seed}": lambda seed=seed: cell(arguments.recipe, seed, arguments.out)
        for seed in range(arguments.seeds)
    }
    records = list(run_grid(cells, arguments.out, print).values())
    scores = [record["evaluation"]["scores"] for record in records]
    seconds = ", ".join(f"{record['seconds']:.0f}" for record in records)
    print(f"\n{arguments.recipe}, seconds of training: {seconds}")
    for row in zip(*scores, strict=True):
        values = [score["value"] for score in row]
        print(f"  {row[0]['name']:9} {row[0]['arm']:22} {100 * sum(values) / len(values):5.1f}  ({_list(values)})")
    for row in zip(*(record["evaluation"]["gains"] for record in records), strict=True):
        low = min(gain["low"] for gain in row)
        print(
            f"  {row[0]['name']:9} gain over {row[0]['against']}: "
            f"{100 * sum(g['value'] for g in row) / len(row):+.1f} points, smallest lower bound {100 * low:+.1f}"
        )


def _list(values: list[float]) -> str:
    return ", ".join(f"{100 * value:.1f}" for value in values)


if __name__ == "__main__":
    main()
