"""Give a training what it learns from and what its health is measured on: samples, or clips of a world."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.data import Loader, Skipped, overlooked, read_all
from jepakit.recipes.config import SampleRecipe, WorldRecipe
from jepakit.recipes.divided import Sources
from jepakit.recipes.splits import decoder_of, refuse_too_large
from jepakit.training.loop import Batches
from jepakit.training.monitor import Monitor
from jepakit.types import Content
from jepakit.views import (
    AnyPreprocess,
    AnyViews,
    Augment,
    ClipPreprocess,
    ClipViews,
    Preprocess,
    SignalViews,
    TablePreprocess,
    TableViews,
)
from jepakit.worlds.distracted import reseeded
from jepakit.worlds.stream import ClipStream

HELD_OUT = 2**40
"""First id of what no training of a world ever sees."""


@dataclass(frozen=True)
class Feed:
    """Hold what a training is fed.

    Args:
        batches: Gives, from a step on, every (step, batch) that follows.
        monitor: Measures health on what is held out.
        known: What is known from the start not to be readable.
        skipped: Returns what could not be read so far.
    """

    batches: Batches
    monitor: Monitor
    known: list[Skipped] = field(default_factory=list)
    skipped: Callable[[], list[Skipped]] = list


def sample_feed(recipe: SampleRecipe, sources: Sources, method: Any, device: torch.device) -> Feed:
    """Return batches of the training samples, and a monitor over held-out ones.

    Raises:
        UserError: The labelled samples are too many to hold in memory, or the held-out ones cannot be read.
    """
    channels, workers = method.preprocess.channels, recipe.training.num_workers
    refuse_too_large(sources, recipe.data, channels)  # rather than once training is done
    decoder = decoder_of(sources.train, recipe.data, channels, recipe.seed)
    loader = Loader(decoder, recipe.training.batch_size, recipe.seed, workers)
    health, _, skipped = read_all(decoder_of(sources.health, recipe.data, channels), workers)
    monitor = Monitor(*health_inputs(method, health.to(device)), num_settling=recipe.training.warmup_steps)
    return Feed(loader.from_step, monitor, skipped + overlooked(sources.train), lambda: loader.skipped)


def world_feed(recipe: WorldRecipe, method: Any, device: torch.device) -> Feed:
    """Return clips of the world as they are made, and a monitor over frames of held-out starts."""
    data, world = recipe.data, learning_world(recipe)
    stream = ClipStream(world, data.behaviour, recipe.training.batch_size, data.num_frames, recipe.method.frame_skip)
    return Feed(stream.from_step, health_monitor(recipe, method, device))


def health_monitor(recipe: WorldRecipe, method: Any, device: torch.device) -> Monitor:
    """Return what measures health on frames of held-out starts."""
    world = learning_world(recipe)
    frames = world.render(world.start(HELD_OUT + torch.arange(recipe.data.num_health)))
    return Monitor(method.preprocess(frames.to(device)), num_settling=recipe.training.warmup_steps)


def learning_world(recipe: WorldRecipe) -> Any:
    """Return the world in which a run learns: with the run's seed, so that runs of other seeds see other episodes."""
    return reseeded(recipe.data.world, recipe.seed)


def health_inputs(
    method: Any, content: Content, num_views: int = 4
) -> tuple[Float[Tensor, "b *t c h w"], Float[Tensor, "b v *t c h w"]]:
    """Prepare the held-out samples and a few mild views of each, the same at every measurement."""
    mild = mild_views(method.preprocess)
    ids = torch.arange(len(content), device=content.device)
    views = torch.stack([mild(content, ids, 0, view).image for view in range(num_views)], dim=1)
    return method.preprocess(content), views


def mild_views(preprocess: AnyPreprocess) -> AnyViews:
    """Return views in which a sample stays what it is: crops of an image, a signal a little later, noise."""
    if isinstance(preprocess, TablePreprocess):
        return TableViews(preprocess=preprocess, missing=0.1, noise=0.1, name="health")
    if isinstance(preprocess, ClipPreprocess):
        mild = mild_views(preprocess.frame)
        assert isinstance(mild, Augment)
        return ClipViews(frame=mild)
    if not isinstance(preprocess, Preprocess):
        return SignalViews(preprocess=preprocess, shift_fraction=0.1, noise=0.1, name="health")
    return Augment(
        image_size=preprocess.image_size,
        channels=preprocess.channels,
        mean=preprocess.mean,
        std=preprocess.std,
        crop_scale=(0.6, 1.0),
        name="health",
    )
