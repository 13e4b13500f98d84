"""Seconds of training teach something: a run beats its random-init twin on digits that it never saw, and stays whole."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from jepakit.evaluation import predict_knn
from jepakit.masking import RandomMask
from jepakit.nn import ResNetConfig, ViTConfig
from jepakit.recipes import ImageRecipe, find_recipe, train
from jepakit.recipes.splits import open_sources, read_probing
from jepakit.storage import Run
from jepakit.views import Augment


def recipe(name: str, num_steps: int, **changes: Any) -> ImageRecipe:
    """Return a recipe of the digits with a smaller network and another length; all that matters is fixed here."""
    base = find_recipe(name)()
    training = replace(
        base.training,
        num_steps=num_steps,
        batch_size=128,
        learning_rate=3e-3,
        final_learning_rate=0.0,
        schedule="cosine",
        warmup_steps=10,
        decay_steps=0,
        weight_decay=0.01,
        health_every=0,
        device="cpu",
        precision="fp32",
    )
    return replace(base, method=replace(base.method, **changes), training=training, seed=0)


def learnt(recipe: ImageRecipe, folder: Path, token: int | None) -> tuple[float, float, str]:
    """Train, and return kNN accuracy on held-out digits of the run and of its twin, and the last verdict."""
    trained = train(recipe, folder)
    probing = read_probing(open_sources(recipe.data), recipe.data, channels=1, num_workers=0, final=True)
    assert probing is not None

    @torch.no_grad()
    def accuracy(method: Any) -> float:
        def features(images: Tensor) -> Tensor:
            tokens = method.encode(method.preprocess(images), tokens=True)
            return tokens.mean(dim=1) if token is None else tokens[:, token]

        found = predict_knn(features(probing.train.content), probing.train.labels, features(probing.test.content), 10)
        return float((found == probing.test.labels).float().mean())

    twin = recipe.method.build(seed=recipe.seed, num_steps=1).eval()
    verdict = Run(folder).metrics("health")[-1]["verdict"]
    return accuracy(trained.method.eval()), accuracy(twin), verdict["kind"]


@pytest.fixture
def still() -> Augment:
    """Return views that are the images themselves."""
    return Augment(image_size=8, channels=1, crop_scale=(1.0, 1.0), crop_aspect=(1.0, 1.0))


def test_a_transformation_jepa_tells_digits_apart(tmp_path: Path) -> None:
    encoder = ResNetConfig(num_blocks=(1, 1), width=16, in_channels=1)
    run = recipe("digits-transform", 80, encoder=encoder, projector_dims=(64, 16), sigreg_weight=10.0)
    accuracy, twin, verdict = learnt(run, tmp_path, token=None)
    assert verdict in ("healthy", "watch")
    assert accuracy > twin + 0.04, f"{accuracy:.3f} against {twin:.3f}"


def test_masked_prediction_with_sigreg_teaches_a_quarter_about_the_whole(tmp_path: Path, still: Augment) -> None:
    # What masked prediction adds is in each token: the upper left quarter comes to tell which digit it belongs to.
    encoder = ViTConfig(image_size=8, patch_size=4, dim=48, depth=2, num_heads=4, in_channels=1, positions="rotary")
    run = recipe(
        "digits-ijepa-sigreg",
        100,
        encoder=encoder,
        mask=RandomMask(grid=(2, 2), target_fraction=0.5),
        augment=still,
        predictor_dim=32,
        predictor_depth=1,
        predictor_heads=4,
        sigreg_weight=10.0,
        num_positions=4,
    )
    accuracy, twin, verdict = learnt(run, tmp_path, token=0)
    assert verdict in ("healthy", "watch")
    assert accuracy > twin + 0.05, f"{accuracy:.3f} against {twin:.3f}"
