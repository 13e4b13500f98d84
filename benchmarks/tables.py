"""Tables: T-JEPA's embeddings beside raw features, random init, predicted values and gradient-boosted trees.

    python benchmarks/tables.py                                    # development split: for choices
    python benchmarks/tables.py --final                            # test split, once
    python benchmarks/tables.py --tables mine.csv --labels y       # another table
    python benchmarks/tables.py --tables digits --arms ijepa values

Every arm meets the same splits, probes and label draws; seeds are those of weights, masks and order. Boosted trees take
the place of every probe. A rerun reads what is there.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from jepakit.evaluation import EvaluationConfig, Interval, extract, over_repeats, robustness_curves
from jepakit.evaluation.arms import Arm
from jepakit.evaluation.probes import Outcome, fit_probes, probe_arm
from jepakit.evaluation.table import chance_accuracy
from jepakit.health import measure
from jepakit.recipes import find_recipe
from jepakit.recipes.config import SignalRecipe
from jepakit.recipes.divided import Probing
from jepakit.recipes.grid import run_grid
from jepakit.recipes.pipeline import train
from jepakit.recipes.scoring import corruptions_of, feasible, network_arm, probe_inputs, raw_arms
from jepakit.recipes.signal_splits import fitted_recipe
from jepakit.recipes.splits import open_sources, read_probing

ARMS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "ijepa": ("table-ijepa", {}, True),
    "ijepa-no-reg": ("table-ijepa", {}, False),
    "layer": ("table-ijepa", {"target_norm": "layer"}, True),
    "layer-no-reg": ("table-ijepa", {"target_norm": "layer"}, False),
    "values": ("table-values", {}, True),
}
"""Recipe, what is set otherwise, and whether there is a [REG] token; `layer` has the published form of targets."""
FLOORS = ("raw features", "boosted trees")


def recipe_of(arm: str, table: str, labels: str, seed: int) -> SignalRecipe:
    """Return the recipe of an arm, fitted to a table."""
    name, settings, reg = ARMS[arm]
    recipe: Any = find_recipe(name)()
    method = replace(recipe.method, **settings)
    recipe = replace(recipe, seed=seed, data=replace(recipe.data, train=table, labels=labels))
    if not reg:
        preprocess = replace(method.preprocess, reg=False)
        encoder = replace(method.encoder, image_size=preprocess.shape)
        mask = replace(method.mask, num_always=0)
        method = replace(method, preprocess=preprocess, encoder=encoder, mask=mask)
    return fitted_recipe(replace(recipe, method=method))


def cell(arm: str, table: str, labels: str, seed: int, folder: Path, final: bool) -> dict[str, Any]:
    """Train one seed and score it beside its own random start."""
    recipe = recipe_of(arm, table, labels, seed)
    trained = train(recipe, folder / f"{Path(table).stem}-{arm}-{seed}")
    trained.result.require_whole()
    method = trained.method.eval()
    probing, config = _probing(recipe, final)
    config = feasible(replace(config, corruptions=corruptions_of(method)), probing)
    inputs = probe_inputs(method, probing, config)
    untrained = recipe.method.build(seed=seed, num_steps=1).eval()
    arms = {arm: network_arm(method, inputs, config), "random init": network_arm(untrained, inputs, config)}
    laid_end_to_end = {
        f"{name}, tokens end to end": _tokens_arm(network, inputs)
        for name, network in ((arm, method), ("random init", untrained))
    }
    tokens = extract(partial(method.encode, tokens=True), inputs.test, method.preprocess)
    return scored(arms | laid_end_to_end, probing, config) | {
        "seconds": trained.result.seconds,
        "health": measure({"encoder": tokens})["encoder"],
    }


def floors(table: str, labels: str, final: bool) -> dict[str, Any]:
    """Score raw features and boosted trees, which no seed changes."""
    recipe: Any = recipe_of("ijepa", table, labels, 0)
    method = recipe.method.build(seed=0, num_steps=1).eval()
    probing, config = _probing(recipe, final)
    config = feasible(replace(config, corruptions=corruptions_of(method)), probing)
    record = scored(raw_arms(method, probe_inputs(method, probing, config), 0), probing, config)
    chance = chance_accuracy(probing.train.labels, probing.test.labels, len(probing.train.class_names))
    sizes = {"train": len(probing.train), "test": len(probing.test), "features": len(recipe.data.columns)}
    return record | {"chance": chance, "sizes": sizes}


def _probing(recipe: Any, final: bool) -> tuple[Probing, EvaluationConfig]:
    probing = read_probing(open_sources(recipe.data), recipe.data, 0, 0, final=final)
    assert probing is not None, "a table with classes is needed"
    config = EvaluationConfig(
        split="test" if final else "dev", probes=("ridge", "knn", "kshot"), shots=(5,), num_draws=30
    )
    return probing, config


def _tokens_arm(method: Any, inputs: Any) -> Arm:
    """Return tokens laid end to end, as T-JEPA's published heads take them."""
    train, test = (
        extract(partial(method.encode, tokens=True), part, method.preprocess).flatten(1)
        for part in (inputs.train, inputs.test)
    )
    return Arm(train=train[:, None], test=test, layer="last", pooling="tokens end to end")


def scored(arms: Mapping[str, Arm], probing: Probing, config: EvaluationConfig) -> dict[str, Any]:
    """Return which test items each arm gets right under each probe, and its curves under corruption."""
    labels, asked, num = probing.train.labels, probing.test.labels, len(probing.train.class_names)
    outcomes, curves = {}, []
    for name, arm in arms.items():
        fitted = fit_probes(arm, labels, num, config)
        found = probe_arm(arm, fitted, labels, asked, num, config)
        outcomes[name] = {probe: outcome.correct.int().tolist() for probe, outcome in found.items()}
        if arm.corrupted is not None:
            chance = chance_accuracy(labels, asked, num)
            predict = {"ridge": fitted["ridge"].predict}
            for curve in robustness_curves(name, predict, arm.test, arm.corrupted, asked, chance, config.corruptions):
                points = [curve.clean.value, *(point.value for point in curve.accuracy)]
                curves.append({"arm": name, "kind": curve.kind, "accuracy": points})
    return {"outcomes": outcomes, "curves": curves}


def over_seeds(correct: list[list[list[int]]]) -> Interval:
    """Return the mean accuracy with its interval over seeds; of one seed that over test items or label draws."""
    if len(correct) == 1:
        return Outcome(torch.tensor(correct[0]).bool()).interval()
    return over_repeats(torch.tensor(correct, dtype=torch.float64).mean(dim=(1, 2)), "seeds")


def show(table: str, records: Mapping[str, Any], arms: list[str], seeds: int) -> None:
    """Print a table's scores, who wins, and the curves."""
    base = records[f"{table}-floors"]
    by_arm = {arm: [records[f"{table}-{arm}-{seed}"] for seed in range(seeds)] for arm in arms}
    probes = list(base["outcomes"]["raw features"])
    print(f"\n{table}: {base['sizes']}, chance {100 * base['chance']:.1f}")
    print(f"  {'':48}" + "".join(f"{probe:>22}" for probe in probes))
    for name in FLOORS:
        cells = [Outcome(torch.tensor(base["outcomes"][name][probe]).bool()).interval() for probe in probes]
        print(f"  {name:48}" + "".join(_cell(interval) for interval in cells))
    rows = {name: (by_arm[arms[0]], name) for name in ("random init", "random init, tokens end to end")}
    rows |= {f"{arm}{end}": (by_arm[arm], f"{arm}{end}") for arm in arms for end in ("", ", tokens end to end")}
    for name, (of_arm, key) in rows.items():
        cells = [over_seeds([r["outcomes"][key][probe] for r in of_arm]) for probe in probes]
        print(f"  {name:48}" + "".join(_cell(interval) for interval in cells))
    for probe in probes:
        for arm in arms:
            _verdict(arm, probe, base, by_arm[arm])
    for arm, of_arm in by_arm.items():
        health = {k: sum(r["health"][k] for r in of_arm) / seeds for k in ("rankme", "group_rankme", "across_share")}
        seconds = sum(r["seconds"] for r in of_arm) / seeds
        print(f"  {arm:40} {', '.join(f'{k} {v:.2f}' for k, v in health.items())}, {seconds:.0f} s of training")
    _curves(base, by_arm)


def _cell(interval: Interval) -> str:
    low, high = max(0.0, interval.low), min(1.0, interval.high)
    return f"{100 * interval.value:8.1f} [{100 * low:5.1f},{100 * high:5.1f}]"


def _verdict(arm: str, probe: str, base: Mapping[str, Any], of_arm: list[Any]) -> None:
    """Say in words who wins under a probe: an arm of each seed against each floor, paired item by item."""
    for floor in FLOORS:
        other = Outcome(torch.tensor(base["outcomes"][floor][probe]).bool())
        gains = [Outcome(torch.tensor(r["outcomes"][arm][probe]).bool()).gain_over(other) for r in of_arm]
        value = 100 * sum(gain.value for gain in gains) / len(gains)
        wins, losses = sum(gain.low > 0 for gain in gains), sum(gain.high < 0 for gain in gains)
        words = (
            f"{floor} win over {arm}"
            if value < 0
            else f"{arm} wins over {floor}"
            if value > 0
            else f"{arm} and {floor} are even"
        )
        certain = f"beyond the interval in {max(wins, losses)} of {len(gains)} seeds"
        print(f"  {probe}: {words}, {value:+.1f} points; {certain}")


def _curves(base: Mapping[str, Any], by_arm: Mapping[str, list[Any]]) -> None:
    for kind in dict.fromkeys(curve["kind"] for curve in base["curves"]):
        print(f"  {kind}, linear probe, clean and severity 1 to 5")
        for name in FLOORS:
            _curve(name, [c["accuracy"] for c in base["curves"] if (c["arm"], c["kind"]) == (name, kind)])
        for name, key in (("random init", next(iter(by_arm))), *((arm, arm) for arm in by_arm)):
            lines = [c["accuracy"] for r in by_arm[key] for c in r["curves"] if (c["arm"], c["kind"]) == (name, kind)]
            _curve(name, lines)


def _curve(name: str, lines: list[list[float]]) -> None:
    print(f"    {name:20}" + "".join(f"{100 * sum(point) / len(point):7.1f}" for point in zip(*lines, strict=True)))


def main() -> None:
    """Run the grid and print a table for each table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=["breast_cancer", "wine", "digits"])
    parser.add_argument("--labels", default="auto")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/tables"))
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    told = parser.parse_args()
    out = told.out / ("test" if told.final else "dev")
    cells: dict[str, Any] = {}
    for table in told.tables:
        name = Path(table).stem
        cells[f"{name}-floors"] = partial(floors, table, told.labels, told.final)
        for seed in range(told.seeds):
            for arm in told.arms:
                cells[f"{name}-{arm}-{seed}"] = partial(
                    cell, arm, table, told.labels, seed, told.out / "runs", told.final
                )
    records = run_grid(cells, out, print)
    for table in told.tables:
        show(Path(table).stem, records, told.arms, told.seeds)


if __name__ == "__main__":
    main()
