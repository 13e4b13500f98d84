"""Carry out the training of a recipe: claim the run directory, go on from the last checkpoint, note what is odd."""

import datetime
import importlib.metadata
import math
import os
import platform
import shlex
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from jepakit.collectives import gather, rank
from jepakit.data import ImageDecoder, ImageSource, Loader, Skipped
from jepakit.recipes.config import ImageRecipe, Recipe, SignalRecipe, WorldRecipe
from jepakit.recipes.divided import Sources
from jepakit.recipes.feeds import Feed, sample_feed, world_feed
from jepakit.recipes.reusing import take_encoder
from jepakit.recipes.signal_splits import fitted_recipe
from jepakit.recipes.splits import open_sources
from jepakit.storage import Run, config_to_dict, read_json, write_json
from jepakit.training import Trainer, TrainingResult
from jepakit.training.distributed import process_group
from jepakit.training.precision import choose_device
from jepakit.training.progress import Progress, Silent


@dataclass(frozen=True)
class Trained:
    """Hold what training leaves.

    Args:
        method: The method in memory.
        result: Where training stands.
        sources: The samples it came from, divided; None for a world.
        is_main: Whether this process is the one that writes; of several, one is.
    """

    method: Any
    result: TrainingResult
    sources: Sources | None
    is_main: bool = True


def train(recipe: Recipe, out: Path | str, progress: Progress | None = None) -> Trained:
    """Train a recipe in a run directory; the same call again goes on where it stopped.

    Args:
        recipe: What to run.
        out: The run directory.
        progress: Where to show what happens; None shows nothing.

    Raises:
        UserError: The directory holds another run or is in use, the data cannot be read, or a loss was not finite.
    """
    run = Run(out)
    if isinstance(recipe, SignalRecipe):
        recipe = fitted_recipe(recipe)
    with ExitStack() as stack:
        local_rank = stack.enter_context(process_group())
        is_main = rank() == 0
        device = choose_device(recipe.training.device, local_rank)
        sources = None if isinstance(recipe, WorldRecipe) else open_sources(recipe.data)
        if is_main:
            stack.enter_context(run.locked())
            if run.file("config.json").exists():
                run.claim(config_to_dict(recipe))  # refuse another configuration before anything is decoded
        method = recipe.method.build(seed=recipe.seed, num_steps=recipe.training.num_steps).to(device)
        if isinstance(recipe, WorldRecipe) and recipe.encoder_from and run.checkpoint_state() is None:
            take_encoder(method, recipe.encoder_from)
        if recipe.training.compile:
            compile_networks(method)
        if isinstance(recipe, WorldRecipe):
            feed = world_feed(recipe, method, device)
        else:
            assert sources is not None
            feed = sample_feed(recipe, sources, method, device)
        trainer = Trainer(
            method, recipe.training, run, feed.batches, monitor=feed.monitor, progress=progress or Silent()
        )
        if is_main:
            run.claim(config_to_dict(recipe))  # a run that cannot begin leaves no configuration behind
            write_json(run.file("env.json"), environment(device))
            note_skipped(run, feed.known)
        result = _fit(trainer, feed)
    return Trained(method, result, sources, is_main)


def _fit(trainer: Trainer, feed: Feed) -> TrainingResult:
    """Train, and note the files that any process could not read; where training fails, those this one has met."""
    is_main = rank() == 0
    try:
        result = trainer.fit()
    finally:
        if is_main:
            note_skipped(trainer.run, feed.skipped())
    everywhere = [skip for met in gather(feed.skipped()) for skip in met]
    if is_main:
        note_skipped(trainer.run, everywhere)
    return result


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

    Raises:
        KeyboardInterrupt: Training was interrupted: a half-trained method is not passed off as a trained one.
        UserError: There are too few images, or a loss was not finite.
    """
    steps = recipe.training.num_steps if num_steps is None else num_steps
    training = replace(
        recipe.training,
        num_steps=steps,
        batch_size=min(recipe.training.batch_size, len(source)) if batch_size is None else batch_size,
        warmup_steps=min(recipe.training.warmup_steps, steps // 10),
        decay_steps=min(recipe.training.decay_steps, max(1, steps // 5)),
        log_every=steps,
        save_every_s=math.inf,
    )
    recipe = replace(recipe, training=training, seed=seed)
    method = recipe.method.build(seed=seed, num_steps=steps).to(choose_device(training.device))
    decoder = ImageDecoder(source, method.preprocess.channels, recipe.data.stored_size)
    loader = Loader(decoder, training.batch_size, seed, training.num_workers)
    with tempfile.TemporaryDirectory() as folder:
        Trainer(method, training, Run(folder), loader.from_step).fit().require_whole()
    return method


def compile_networks(method: Any) -> None:
    """Compile the networks of a method in place; masks, views and draws stay as they are."""
    for name, module in method.named_children():
        if name in ("encoder", "predictor", "projector", "target"):
            module.compile()


def note_skipped(run: Run, skipped: list[Skipped]) -> None:
    """Add files that were not read to those that the report names, each once."""
    path = run.file("skipped.json")
    noted = read_json(path) if path.exists() else []
    found = [{"name": skip.name, "reason": skip.reason} for skip in skipped]
    write_json(path, list({(entry["name"], entry["reason"]): entry for entry in noted + found}.values()))


def environment(device: torch.device) -> dict[str, Any]:
    """Return what a reader needs to repeat a run: the exact command, versions, machine."""
    return {
        "command": _command(Path(sys.argv[0])),
        "jepakit": importlib.metadata.version("jepakit"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _command(program: Path) -> str:
    """Return the command line that started this process, as one would type it again."""
    is_ours = program.name == "jepakit" or (program.parent.name, program.name) == ("jepakit", "__main__.py")
    return shlex.join(["jepakit", *sys.argv[1:]] if is_ours else ["python", *sys.argv])
