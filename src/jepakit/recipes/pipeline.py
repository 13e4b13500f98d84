"""Carry out a recipe: claim the run directory, train where the last checkpoint ended, score, draw, report."""

import datetime
import math
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from jepakit.collectives import rank
from jepakit.data import ImageSource, Loader, Skipped
from jepakit.recipes.config import ImageRecipe
from jepakit.recipes.splits import Sources, open_sources, read_health
from jepakit.storage import Run, config_to_dict, write_json
from jepakit.training import Trainer, TrainingResult
from jepakit.training.distributed import process_group
from jepakit.training.monitor import Monitor
from jepakit.training.precision import choose_device
from jepakit.training.progress import Progress, Silent
from jepakit.views import Augment, Preprocess


@dataclass(frozen=True)
class Trained:
    """Hold what training leaves: the method in memory, where it stands, and the sources it came from."""

    method: Any
    result: TrainingResult
    sources: Sources


def train(recipe: ImageRecipe, out: Path | str, progress: Progress | None = None) -> Trained:
    """Train a recipe in a run directory; the same call again goes on where it stopped.

    Args:
        recipe: What to run.
        out: The run directory.
        progress: Where to show what happens; None shows nothing.

    Raises:
        UserError: The directory holds another run or is in use, the data cannot be read, or a loss was not finite.
    """
    run = Run(out)
    with ExitStack() as stack:
        local_rank = stack.enter_context(process_group())
        sources = open_sources(recipe.data)
        if rank() == 0:
            stack.enter_context(run.locked())
            run.claim(config_to_dict(recipe))
        device = choose_device(recipe.training.device, local_rank)
        if rank() == 0:
            write_json(run.file("env.json"), environment(device))
        method = recipe.method.build(seed=recipe.seed, num_steps=recipe.training.num_steps).to(device)
        if recipe.training.compile:
            compile_networks(method)
        loader = _loader(recipe, sources, method.preprocess.channels)
        health = read_health(sources, recipe.data, method.preprocess.channels, recipe.training.num_workers)
        monitor = Monitor(*health_inputs(method, health.to(device)))
        trainer = Trainer(
            method, recipe.training, run, loader.from_step, monitor=monitor, progress=progress or Silent()
        )
        result = trainer.fit()
        if rank() == 0:
            note_skipped(run, loader.skipped)
    return Trained(method, result, sources)


def train_in_memory(
    recipe: ImageRecipe, source: ImageSource, *, seed: int, num_steps: int | None = None, batch_size: int | None = None
) -> Any:
    """Train a recipe on a source at hand and return the method; nothing is kept on the disk.

    Args:
        recipe: What to run; its data are replaced by `source`.
        source: The images.
        seed: Seed of weights and of every draw.
        num_steps: Steps; None takes the recipe's.
        batch_size: Images a step; None takes the recipe's, or the number of images where there are fewer.
    """
    steps = num_steps or recipe.training.num_steps
    training = replace(
        recipe.training,
        num_steps=steps,
        batch_size=batch_size or min(recipe.training.batch_size, len(source)),
        warmup_steps=min(recipe.training.warmup_steps, steps // 10),
        decay_steps=min(recipe.training.decay_steps, steps // 5),
        log_every=steps,
        save_every_s=math.inf,
    )
    recipe = replace(recipe, training=training, seed=seed)
    method = recipe.method.build(seed=seed, num_steps=steps).to(choose_device(training.device))
    loader = Loader(
        source, training.batch_size, method.preprocess.channels, recipe.data.stored_size, seed, training.num_workers
    )
    with tempfile.TemporaryDirectory() as folder:
        Trainer(method, training, Run(folder), loader.from_step).fit()
    return method


def _loader(recipe: ImageRecipe, sources: Sources, channels: int) -> Loader:
    return Loader(
        sources.train,
        recipe.training.batch_size,
        channels,
        recipe.data.stored_size,
        recipe.seed,
        recipe.training.num_workers,
    )


def compile_networks(method: Any) -> None:
    """Compile the networks of a method in place; masks, views and draws stay as they are."""
    for name, module in method.named_children():
        if name in ("encoder", "predictor", "projector", "target"):
            module.compile()


def health_inputs(
    method: Any, images: UInt8[Tensor, "b c h w"], num_views: int = 4
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b v c h w"]]:
    """Prepare the held-out images and a few mild crops of each, the same at every measurement."""
    preprocess: Preprocess = method.preprocess
    crop = Augment(
        image_size=preprocess.image_size,
        channels=preprocess.channels,
        mean=preprocess.mean,
        std=preprocess.std,
        crop_scale=(0.6, 1.0),
        name="health",
    )
    ids = torch.arange(len(images), device=images.device)
    return preprocess(images), torch.stack([crop(images, ids, 0, view).image for view in range(num_views)], dim=1)


def note_skipped(run: Run, skipped: list[Skipped]) -> None:
    """Write the files that could not be read, for the report."""
    write_json(run.file("skipped.json"), [{"name": skip.name, "reason": skip.reason} for skip in skipped])


def environment(device: torch.device) -> dict[str, Any]:
    """Return what a reader needs to repeat a run: the exact command, versions, machine."""
    from jepakit import __version__

    return {
        "command": " ".join(["jepakit", *sys.argv[1:]]) if sys.argv[0].endswith("jepakit") else " ".join(sys.argv),
        "jepakit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
