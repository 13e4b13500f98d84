"""CIFAR-10: methods side by side by wall-clock, trained without labels, then probed on frozen pooled features.

    python benchmarks/cifar10.py --data DATA                      # 15 minutes, scored on the last 5,000 train images
    python benchmarks/cifar10.py --data DATA --final --seeds 3    # the test split, once all choices are made
    python benchmarks/cifar10.py --data DATA --final --seeds 3 --recipe all --seconds 300 --robustness

DATA holds cifar10-train.parquet and cifar10-test.parquet (columns `image`, encoded bytes, and `label`). A recipe's
number of steps is what its measured speed allows in `--seconds`, measured once and kept, so that all seeds take the
same steps. Features are at most 512 numbers from one forward pass: the mean token, and the mean tokens of the upper and
of the lower half. Floors: random initial weights (BatchNorm as it comes, and measured on images), raw pixels, random
convolutional features, as wide and 4,096 wide. A rerun computes what is missing; several at once (OMP_NUM_THREADS=1,
another `--first-seed` each) share the folder.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from jepakit.data import ImageDecoder, ParquetImages, Subset, read_labelled
from jepakit.evaluation import Arm, EvaluationConfig, Inputs, encoder_arm, evaluate_arms, pixels_arm
from jepakit.evaluation.random_features import random_conv_features
from jepakit.nn import BatchNorm
from jepakit.recipes import ImageRecipe, find_recipe
from jepakit.recipes.divided import Probing
from jepakit.recipes.grid import run_grid
from jepakit.recipes.pipeline import train
from jepakit.recipes.scoring import LAYER, POOLING, network_arm, patch_grid, probe_images
from jepakit.storage import Run
from jepakit.training.progress import Lines
from jepakit.views import CORRUPTIONS, Preprocess

NUM_DEV = 5000
NUM_ROBUST = 1000
NUM_STATISTICS = 1000
METHODS = ("small-transform", "small-lejepa", "small-vicreg", "small-ijepa", "small-ijepa-sigreg", "small-pixels")
SPEED_STEPS = 150
SHARE = 0.95
"""Of the seconds that go to steps; health, checkpoints and unsteady speed take the rest."""


def probing(data: Path, final: bool) -> Probing:
    """Return the probes' train and test images: the last 5,000 train images stand for the test split until `final`."""
    source = ParquetImages(data / "cifar10-train.parquet", labels=True)
    if final:
        test = read_labelled(ImageDecoder(ParquetImages(data / "cifar10-test.parquet", labels=True), 3, 32))[0]
        return Probing(read_labelled(ImageDecoder(source, 3, 32))[0], test, "test", [])
    cut = len(source) - NUM_DEV
    parts = (torch.arange(cut), torch.arange(cut, len(source)))
    learnt, asked = (read_labelled(ImageDecoder(Subset(source, part), 3, 32))[0] for part in parts)
    return Probing(learnt, asked, "dev", [])


def recipe_for(name: str, data: Path, seed: int, num_steps: int) -> ImageRecipe:
    """Return a recipe on CIFAR-10, of another length; a warm-up of a tenth, health at every quarter."""
    recipe = replace(find_recipe(name)(), seed=seed)
    training = replace(
        recipe.training, num_steps=num_steps, warmup_steps=num_steps // 10, health_every=-(-num_steps // 4)
    )
    images = replace(recipe.data, train=str(data / "cifar10-train.parquet"), labels="none")
    return replace(recipe, training=training, data=images)


def measured_speed(name: str, data: Path, out: Path) -> dict[str, float]:
    """Time a short training, without its first steps."""
    recipe = recipe_for(name, data, seed=0, num_steps=SPEED_STEPS)
    recipe = replace(recipe, training=replace(recipe.training, log_every=SPEED_STEPS // 3, health_every=0))
    train(recipe, out).result.require_whole()
    return {"seconds_per_step": Run(out).metrics("train")[-1]["seconds_per_step"]}


def network_arms(name: str, network: Any, is_floor: bool, images: Inputs, config: EvaluationConfig) -> dict[str, Arm]:
    """Return a network's arms: by the mean token, and by the mean token of each half."""
    if config.corruptions:  # a ViT is then shown fewer patches, which have no halves
        return {name: network_arm(network, images, config, is_floor)}
    return arms_of_halves(name, network, images, is_floor)


def arms_of_halves(name: str, network: Any, images: Inputs, is_floor: bool) -> dict[str, Arm]:
    """Return the arms of an image's mean token and of its upper and lower half's, from one forward pass."""
    assert 2 * network.encoder.embedding_dim <= 512, "features are to be at most 512 numbers"

    def encode(x: Tensor) -> Tensor:
        tokens: Tensor = network.encode(x, tokens=True)
        return tokens.unflatten(1, (2, -1)).mean(2).flatten(1)

    def mean(halves: Tensor) -> Tensor:
        return halves.unflatten(-1, (2, -1)).mean(-2)

    halves = encoder_arm(images, encode, network.preprocess, LAYER, "mean of each half", is_floor)
    whole = replace(halves, train=mean(halves.train), test=mean(halves.test), pooling=POOLING)
    return {name: whole, f"{name}, by halves": halves}


def floor_arms(images: Inputs, preprocess: Preprocess, widths: tuple[int, ...]) -> dict[str, Arm]:
    """Return the floors that know no method: raw pixels, and random convolutions of these widths."""
    arms = {"raw pixels": pixels_arm(images)}
    for width in widths:
        arms[f"random convolutions, {width} wide"] = encoder_arm(
            images,
            random_conv_features(width, 3),
            preprocess,
            layer="one random convolution",
            pooling="mean over quadrants",
            is_floor=True,
        )
    return arms


def cell(recipe: ImageRecipe, data: Path, out: Path, final: bool, robustness: bool) -> dict[str, Any]:
    """Train one recipe and score it; health is kept, for a look at what predicts accuracy."""
    trained = train(recipe, out, Lines())
    trained.result.require_whole()
    method = trained.method.eval()
    arms = partial(network_arms, "jepa", method, False)
    return {
        "seconds": trained.result.seconds,
        "images_per_s": trained.result.step * recipe.training.batch_size / trained.result.seconds,
        "health": Run(out).metrics("health")[-1],
        "evaluation": scores(arms, probing(data, final), patch_grid(method, 32), robustness),
    }


def random_cell(recipe: ImageRecipe, data: Path, final: bool, robustness: bool) -> dict[str, Any]:
    """Score an encoder as it was before training; recipes with one encoder and seed share its weights."""
    probed = probing(data, final)
    start = recipe.method.build(seed=recipe.seed, num_steps=1).eval()
    fresh = scores(partial(network_arms, "random init", start, True), probed, patch_grid(start, 32), robustness)
    measure_statistics(start.encoder, start.preprocess(probed.train.content[:NUM_STATISTICS]))
    name = "random init, measured"
    measured = scores(partial(network_arms, name, start, True), probed, patch_grid(start, 32), robustness)
    return {"evaluation": {key: fresh[key] + measured[key] for key in ("scores", "robustness")}}


@torch.no_grad()
def measure_statistics(encoder: torch.nn.Module, x: Tensor) -> None:
    """Give each BatchNorm of an untrained encoder the statistics of some images, as in the first step of training.

    Fresh ones assume mean 0 and variance 1. Which of the two starts is the higher floor depends on the network.
    """
    for module in encoder.modules():
        if isinstance(module, BatchNorm):
            module.momentum = None
    encoder.train()(x)
    encoder.eval()


def floors(preprocess: Preprocess, data: Path, final: bool, robustness: bool) -> dict[str, Any]:
    """Score what has no seed."""

    def arms(images: Inputs, config: EvaluationConfig) -> dict[str, Arm]:
        if config.corruptions:
            return {"raw pixels": pixels_arm(images)}
        return floor_arms(images, preprocess, (512,) if robustness else (512, 4096))

    return {"evaluation": scores(arms, probing(data, final), (8, 8), robustness)}


def scores(
    arms_of: Callable[[Inputs, EvaluationConfig], dict[str, Arm]],
    probed: Probing,
    grid: tuple[int, int],
    robustness: bool,
) -> dict[str, Any]:
    """Probe arms; for robustness the probes fitted on all clean train images see the first test images corrupted."""
    config = EvaluationConfig(split="dev" if probed.split == "dev" else "test", probes=("ridge", "knn"))
    num_classes = len(probed.train.class_names)
    arms = arms_of(probe_images(probed, config), config)
    evaluation = evaluate_arms(arms, probed.train.labels, probed.test.labels, num_classes, config).to_json()
    if robustness:
        config = replace(config, probes=("ridge",), corruptions=CORRUPTIONS)
        asked = probed.test.select(torch.arange(NUM_ROBUST))
        few = replace(probed, train=probed.train.select(torch.arange(1)), test=asked)
        corrupted = {
            name: replace(arm, train=arms[name].train)
            for name, arm in arms_of(probe_images(few, config, grid), config).items()
        }
        curves = evaluate_arms(corrupted, probed.train.labels, asked.labels, num_classes, config)
        evaluation["robustness"] = curves.to_json()["robustness"]
    return evaluation


def num_steps_for(name: str, given: argparse.Namespace) -> int:
    """Return as many steps as the measured speed of a recipe allows."""
    key = f"speed-{name}"
    speed = run_grid({key: lambda: measured_speed(name, given.data, given.out / "speed" / name)}, given.out, print)
    return int(SHARE * given.seconds / speed[key]["seconds_per_step"])


def cells_of(name: str, given: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what computes each seed of a recipe, as long as its measured speed allows."""
    num_steps = num_steps_for(name, given)
    cells: dict[str, Callable[[], dict[str, Any]]] = {}
    for seed in seeds_of(given):
        recipe = recipe_for(name, given.data, seed, num_steps)
        run = given.out / "runs" / f"{name}-steps={num_steps}-seed={seed}"
        cells[f"{run.name}-{tag_of(given)}"] = partial(cell, recipe, given.data, run, given.final, given.robustness)
    return cells


def random_cells(names: Sequence[str], given: argparse.Namespace) -> dict[str, dict[str, Callable[[], dict[str, Any]]]]:
    """Return, for each kind of encoder among the recipes, what computes each seed of its random start."""
    cells: dict[str, dict[str, Callable[[], dict[str, Any]]]] = {}
    for name in names:
        encoder = type(find_recipe(name)().method.encoder).__name__.removesuffix("Config")
        cells.setdefault(encoder, {}).update(
            {
                f"random-{encoder}-seed={seed}-{tag_of(given)}": partial(
                    random_cell, recipe_for(name, given.data, seed, 1), given.data, given.final, given.robustness
                )
                for seed in seeds_of(given)
            }
        )
    return cells


def seeds_of(given: argparse.Namespace) -> range:
    """Return the seeds asked for."""
    return range(given.first_seed, given.first_seed + given.seeds)


def tag_of(given: argparse.Namespace) -> str:
    """Return what tells apart the records of one training."""
    return ("test" if given.final else "dev") + ("-robust" if given.robustness else "")


def print_recipe(name: str, records: list[dict[str, Any]]) -> None:
    """Print every probe and arm of a recipe: the mean over seeds, then each seed with its interval."""
    if "seconds" in records[0]:
        seconds = ", ".join(f"{record['seconds']:.0f}" for record in records)
        print(f"\n{name}: {seconds} s of training, {fmean(record['images_per_s'] for record in records):.0f} images/s")
    for row in zip(*(record["evaluation"]["scores"] for record in records), strict=True):
        each = ", ".join(f"{100 * s['value']:.1f} [{100 * s['low']:.1f}, {100 * s['high']:.1f}]" for s in row)
        print(f"  {row[0]['name']:6} {row[0]['arm']:32} {100 * fmean(s['value'] for s in row):5.1f}  {each}")
    for row in zip(*(record["evaluation"]["robustness"] for record in records), strict=True):
        kept = [[r for r in curve["relative"] if r is not None] for curve in row]
        means = [fmean(values) for values in kept if values]
        share = f"{100 * fmean(means):5.1f}" if means else "    -"
        drift = fmean(fmean(curve["drift"]) / max(curve["separation"], 1e-9) for curve in row)
        print(f"  {row[0]['kind']:10} {row[0]['arm']:22} keeps {share}% above chance, drift / separation {drift:.2f}")


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", nargs="+", default=["small-vicreg"], help="recipes, or `all`")
    parser.add_argument("--seconds", type=float, default=900.0, help="of training")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--final", action="store_true", help="score the test split")
    parser.add_argument("--robustness", action="store_true", help="corrupt test images, in place of wide floors")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/cifar10"))
    given = parser.parse_args()
    names = METHODS if given.recipe == ["all"] else given.recipe
    records = {name: run_grid(cells_of(name, given), given.out, print) for name in names}
    starts = {kind: run_grid(cells, given.out, print) for kind, cells in random_cells(names, given).items()}
    preprocess = find_recipe(names[0])().method.preprocess
    compute = partial(floors, preprocess, given.data, given.final, given.robustness)
    print_recipe("floors", list(run_grid({f"floors-{tag_of(given)}": compute}, given.out, print).values()))
    for title, cells in (starts | records).items():
        print_recipe(title, list(cells.values()))


if __name__ == "__main__":
    main()
