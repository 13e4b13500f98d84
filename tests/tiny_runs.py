"""Runs that take a second: digits, networks of a few hundred weights, a handful of steps, few label draws."""

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from jepakit.commands import reaching, scoring
from jepakit.data import Digits
from jepakit.evaluation import EvaluationConfig
from jepakit.nn import ConvNetConfig, ResNetConfig, ViTConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.recipes import (
    AudioData,
    ImageData,
    ImageRecipe,
    SignalRecipe,
    VideoRecipe,
    WorldRecipe,
    find_recipe,
    world_pictures,
)
from jepakit.recipes.config import CostLearning

CONV = ResNetConfig(num_blocks=(1, 1), width=8, in_channels=1)
VIT = ViTConfig(image_size=8, patch_size=2, dim=16, depth=1, num_heads=2, in_channels=1)


def tiny(
    name: str = "digits-transform", *, data: ImageData | None = None, seed: int = 0, **training: Any
) -> ImageRecipe:
    """Return a recipe of the digits with small networks and four steps."""
    recipe = find_recipe(name)()
    method: Any = recipe.method
    if isinstance(method.encoder, ViTConfig):
        method = replace(method, encoder=VIT, predictor_dim=8, predictor_depth=1, predictor_heads=2)
    else:
        small = {"predictor_dim": 16} if hasattr(method, "predictor_dim") else {}
        method = replace(method, encoder=CONV, projector_dims=(16, 8), **small)
    if hasattr(method, "num_slices"):
        method = replace(method, num_slices=16)
    rhythm = {"num_steps": 4, "batch_size": 32, "warmup_steps": 1, "decay_steps": 0, "health_every": 0, "log_every": 2}
    pace = {"learning_rate": 1e-3, "schedule": "cosine", "weight_decay": 0.01, "accumulation": 1, "clip_norm": None}
    settings = {"num_workers": 0, "device": "cpu", "precision": "fp32", "compile": False}
    return replace(
        recipe,
        method=method,
        data=data or replace(recipe.data, num_health=24),
        training=replace(recipe.training, **(rhythm | pace | settings | training)),
        seed=seed,
    )


def tiny_series(path: Path, name: str = "series-ijepa", *, seed: int = 0, **training: Any) -> SignalRecipe:
    """Return a recipe of series on a file, with windows of 24 moments, a small network and four steps."""
    recipe: Any = find_recipe(name)()
    encoder = ViTConfig(image_size=(1, 24), patch_size=(1, 4), dim=16, depth=1, num_heads=2, in_channels=2)
    method = replace(
        recipe.method,
        encoder=encoder,
        preprocess=replace(recipe.method.preprocess, length=24),
        predictor_dim=8,
        predictor_heads=2,
    )
    if hasattr(method, "num_slices"):
        method = replace(method, num_slices=16, projector_dims=(16, 8))
    rhythm = {"num_steps": 4, "batch_size": 16, "warmup_steps": 1, "health_every": 0, "log_every": 2, "device": "cpu"}
    return replace(
        recipe,
        method=method,
        data=replace(recipe.data, train=str(path), length=24, num_health=8),
        training=replace(recipe.training, **(rhythm | training)),
        seed=seed,
    )


def write_record(path: Path, num: int = 400, missing: float = 0.05) -> Path:
    """Write a record of three channels by the hour: two daily rhythms, noise, and what was not measured."""
    generator = torch.Generator().manual_seed(0)
    hour = torch.arange(num)
    day = torch.stack([(hour * (2 * torch.pi / 24) + phase).sin() for phase in (0.0, 1.0)])
    values = torch.cat((day, torch.zeros(1, num))) + 0.3 * torch.randn(3, num, generator=generator)
    gone = torch.rand(3, num, generator=generator) < missing
    begin = datetime.datetime(2020, 1, 1)
    lines = ["date,a,b,noise"] + [
        f"{begin + datetime.timedelta(hours=i)}," + ",".join("" if g else f"{v:.4f}" for v, g in zip(*row, strict=True))
        for i, row in enumerate(zip(values.T.tolist(), gone.T.tolist(), strict=True))
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def tiny_world(name: str = "two-rooms-fixed", *, seed: int = 0, **training: Any) -> WorldRecipe:
    """Return a recipe of TwoRooms with a small network, four steps and a short search."""
    recipe: Any = find_recipe(name)()
    method = replace(
        recipe.method,
        encoder=FrameNetConfig(patch_size=16, width=8, dim=16),
        dynamics=ResidualDynamicsConfig(hidden_dim=16, depth=1),
        inverse_dim=8,
    )
    learned = CostLearning(num_trajectories=4, num_frames=6, num_steps=3, hidden_dim=8)
    search = {"horizon": 3, "num_samples": 6, "num_elites": 2, "num_iterations": 2, "num_steps": 20}
    rhythm = {"num_steps": 4, "batch_size": 6, "warmup_steps": 1, "health_every": 0, "log_every": 2, "device": "cpu"}
    return replace(
        recipe,
        method=method,
        data=replace(recipe.data, num_health=24),
        training=replace(recipe.training, **(rhythm | training)),
        planning=replace(recipe.planning, learned=learned, **search),
        seed=seed,
    )


def tiny_sounds(path: Path, name: str = "audio-transform", **data: Any) -> SignalRecipe:
    """Return a recipe of sounds with a small network and three steps."""
    recipe: Any = find_recipe(name)()
    encoder = ConvNetConfig(stem_width=8, widths=(8, 16), pools=(True, False), in_channels=1)
    method = replace(recipe.method, encoder=encoder, projector_dims=(16, 8), predictor_dim=16, num_slices=16)
    training = replace(recipe.training, num_steps=3, batch_size=8, warmup_steps=1, health_every=0, num_workers=0)
    sounds = AudioData(**{"train": str(path), "rate": 8000, "length": 1600, "num_health": 6} | data)
    return replace(recipe, method=method, data=sounds, training=replace(training, device="cpu"))


def tiny_video(name: str = "video-vjepa", train: str = "moving-digits", **data: Any) -> VideoRecipe:
    """Return a recipe of clips of four frames with a small network and three steps."""
    recipe: Any = find_recipe(name)()
    encoder = replace(recipe.method.encoder, num_frames=4, patch_size=16, dim=16, depth=1, num_heads=2)
    if name == "video-future":
        recipe = replace(recipe, method=replace(recipe.method, mask=replace(recipe.method.mask, horizons=(1,))))
    method = replace(recipe.method, encoder=encoder, predictor_dim=16, predictor_depth=1, predictor_heads=2)
    training = replace(recipe.training, num_steps=3, batch_size=4, warmup_steps=1, health_every=0, num_workers=0)
    clips = replace(recipe.data, train=train, num_frames=4, num_health=6, **data)
    return VideoRecipe(recipe=name, method=method, data=clips, training=replace(training, device="cpu"))


@contextmanager
def quick_pictures() -> Iterator[None]:
    """Let runs in worlds train the decoder of their pictures for two updates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reaching, "save_world_pictures", partial(world_pictures.save_world_pictures, decoder_updates=2))
        yield


def quick_rule(**settings: Any) -> EvaluationConfig:
    """Build an evaluation's rule as asked for, with few label draws and without the slow probe."""
    probes = tuple(probe for probe in settings.pop("probes", ("ridge", "knn", "kshot")) if probe != "logistic")
    kinds = tuple(settings.pop("corruptions", ()))[:1]
    return EvaluationConfig(**settings, probes=probes, corruptions=kinds, severities=(1, 4), num_draws=5)


def quickest_rule(**settings: Any) -> EvaluationConfig:
    """Build an evaluation's rule of the fastest probe alone."""
    return EvaluationConfig(split=settings["split"], probes=("ridge",))


@contextmanager
def quick_scoring(rule: Callable[..., EvaluationConfig] = quickest_rule) -> Iterator[None]:
    """Let the commands score by another rule within a `with` block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "EvaluationConfig", rule)
        yield


def write_images(folder: Path, per_class: int, classes: int = 3, name: Callable[[int], str] = str) -> list[Path]:
    """Write digits as PNG files into a folder per class; returns their paths in the order of a source."""
    digits = Digits()
    assert digits.labels is not None
    paths = []
    for label in range(classes):
        chosen = (digits.labels == label).nonzero()[:per_class, 0].tolist()
        for number, index in enumerate(chosen):
            path = folder / name(label) / f"{number:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(digits.images[index, 0].numpy()).save(path)
            paths.append(path)
    return paths
