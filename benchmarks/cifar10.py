"""CIFAR-10 on two cores: 15 minutes of training without labels, then a linear probe on the frozen pooled features.

    python benchmarks/cifar10.py --data DATA                     # choices: scored on the last 5,000 train images
    python benchmarks/cifar10.py --data DATA --final --seeds 3   # the test split, once

DATA holds cifar10-train.parquet and cifar10-test.parquet (columns `image`, encoded bytes, and `label`). Features are at
most 512 numbers from one forward pass. Floors: random initial weights, raw pixels, random convolutional features as
wide as the model's and 4,096 wide.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepakit.data import LabelledImages, ParquetImages, Subset, read_labelled
from jepakit.evaluation import Arm, EvaluationConfig, Images, encoder_arm, evaluate_arms, pixels_arm
from jepakit.evaluation.random_features import random_conv_features
from jepakit.hub import build_method
from jepakit.recipes import ImageRecipe, find_recipe
from jepakit.recipes.grid import run_grid
from jepakit.recipes.pipeline import train
from jepakit.recipes.scoring import LAYER, POOLING
from jepakit.storage import config_to_dict
from jepakit.training.progress import Lines

NUM_DEV = 5000


def probe_sets(data: Path, final: bool) -> tuple[LabelledImages, LabelledImages]:
    """Return the probes' train and test images: the last 5,000 train images stand for the test split until `final`."""
    source = ParquetImages(data / "cifar10-train.parquet", labels=True)
    if final:
        test = read_labelled(ParquetImages(data / "cifar10-test.parquet", labels=True), 3, 32)[0]
        return read_labelled(source, 3, 32)[0], test
    cut = len(source) - NUM_DEV
    parts = (torch.arange(cut), torch.arange(cut, len(source)))
    train_part, dev_part = (read_labelled(Subset(source, part), 3, 32)[0] for part in parts)
    return train_part, dev_part


def recipe_for(name: str, data: Path, seed: int, num_steps: int | None, batch_size: int | None) -> ImageRecipe:
    """Return a recipe on CIFAR-10, of another length where asked."""
    recipe = replace(find_recipe(name)(), seed=seed)
    steps = num_steps or recipe.training.num_steps
    training = replace(
        recipe.training,
        num_steps=steps,
        batch_size=batch_size or recipe.training.batch_size,
        warmup_steps=steps // 10,
        health_every=steps // 4,
    )
    images = replace(recipe.data, train=str(data / "cifar10-train.parquet"), labels="none")
    return replace(recipe, training=training, data=images)


def arms_of(method: Any, images: Images) -> dict[str, Arm]:
    """Return the model's arm and its floors."""
    untrained = build_method(config_to_dict(method.config), seed=method.seed, num_steps=1).eval()
    dim = method.encoder.embedding_dim

    def floor(encode: Callable[[Tensor], Tensor], layer: str) -> Arm:
        return encoder_arm(images, encode, method.preprocess, layer, "mean over quadrants", is_floor=True)

    return {
        "jepa": encoder_arm(images, method.encode, method.preprocess, LAYER, POOLING),
        "random init": encoder_arm(images, untrained.encode, method.preprocess, LAYER, POOLING, is_floor=True),
        "raw pixels": pixels_arm(images),
        f"random convolutions, {dim} wide": floor(random_conv_features(dim, 3), "one random convolution"),
        "random convolutions, 4096 wide": floor(random_conv_features(4096, 3), "one random convolution"),
    }


def cell(recipe: ImageRecipe, data: Path, out: Path, final: bool) -> dict[str, Any]:
    """Train one recipe and score it beside its floors."""
    trained = train(recipe, out, Lines())
    method = trained.method.eval()
    assert method.encoder.embedding_dim <= 512, "the issue allows 512 features"
    probe_train, probe_test = probe_sets(data, final)
    images = Images(
        train=probe_train.images,
        test=probe_test.images,
        train_ids=torch.arange(len(probe_train)),
        test_ids=torch.arange(len(probe_test)),
    )
    config = EvaluationConfig(split="test" if final else "dev", probes=("ridge", "knn"))
    evaluation = evaluate_arms(arms_of(method, images), probe_train.labels, probe_test.labels, 10, config)
    return {
        "seconds": trained.result.seconds,
        "images_per_s": trained.result.step * recipe.training.batch_size / trained.result.seconds,
        "evaluation": evaluation.to_json(),
    }


def main() -> None:
    """Print each probe and arm: mean over seeds, then each seed with its interval over test images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", nargs="+", default=["small-lejepa"])
    parser.add_argument("--num-steps", type=int)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/cifar10"))
    arguments = parser.parse_args()
    split = "test" if arguments.final else "dev"
    cells = {}
    for name in arguments.recipe:
        for seed in range(arguments.seeds):
            recipe = recipe_for(name, arguments.data, seed, arguments.num_steps, arguments.batch_size)
            key = f"{name}-steps={recipe.training.num_steps}-seed={seed}"
            out = arguments.out / "runs" / key
            cells[f"{key}-{split}"] = lambda recipe=recipe, out=out: cell(recipe, arguments.data, out, arguments.final)
    records = run_grid(cells, arguments.out, print)
    for key, record in records.items():
        print(f"\n{key}: {record['seconds']:.0f} s, {record['images_per_s']:.0f} images/s")
        for score in record["evaluation"]["scores"]:
            interval = f"[{100 * score['low']:.1f}, {100 * score['high']:.1f}]"
            print(f"  {score['name']:6} {score['arm']:32} {100 * score['value']:5.1f}  {interval}")


if __name__ == "__main__":
    main()
