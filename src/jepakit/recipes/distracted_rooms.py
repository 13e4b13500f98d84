"""Study what short trainings in TwoRooms keep of the dot's place before a background: none, noise, or a texture.

The recipes `two-rooms-fixed` (predicts embeddings) and `two-rooms-fixed-pixels` have the same encoder, predictor and
clips, but the first also has EB-JEPA's regularizers and its inverse model of actions, which move the dot and no
background. How well they then plan is `benchmarks/noisy_tv.py`'s to say. Nothing was chosen here: all settings are the
recipes' own, but for fewer steps of smaller batches.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.evaluation.factor_probe import explained, fit_factors
from jepakit.evaluation.telling import Sight
from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.feeds import HELD_OUT, learning_world
from jepakit.recipes.pipeline import train
from jepakit.recipes.two_rooms import two_rooms_fixed, two_rooms_fixed_pixels
from jepakit.views import Preprocess
from jepakit.worlds import Distracted, Heedless
from jepakit.worlds.stream import ClipStream
from jepakit.worlds.trajectories import Behaviour

ROOM_ARMS = {"embeddings": two_rooms_fixed, "pixels": two_rooms_fixed_pixels}
ROOM_FLOORS = ("random-init", "raw")

_BATCH, _PROBED, _ACTIONS, _EVERY = 32, 300, 48, 8
_RAW_SIDE = 16
"""Raw frames are averaged down to squares of this side before they are read: 512 numbers, not 8,450."""


def room_recipe(arm: str, background: str, seed: int, num_steps: int) -> WorldRecipe:
    """Return an arm's recipe before a background, of so many steps; pixels are normalised as that background asks."""
    recipe: Any = ROOM_ARMS[arm]()
    data = recipe.data
    if background != "none":
        data = replace(data, world=Distracted(data.world, background), behaviour=Heedless(data.behaviour))
    warmup = min(recipe.training.warmup_steps, num_steps // 10)
    rhythm = {"num_steps": num_steps, "warmup_steps": warmup, "health_every": num_steps, "batch_size": _BATCH}
    method = replace(recipe.method, preprocess=measured(recipe.method.preprocess, data.world, data.behaviour))
    return replace(recipe, method=method, data=data, training=replace(recipe.training, **rhythm), seed=seed)


@lru_cache
def measured(preprocess: Preprocess, world: Any, behaviour: Any) -> Preprocess:
    """Return preprocessing by the mean and the deviation of each channel of some clips."""
    seen = ClipStream(world, behaviour, 256, 2).batch(0).frames.double().div(255.0).movedim(2, 0).flatten(1)
    mean, std = (tuple(round(x, 4) for x in values.tolist()) for values in (seen.mean(dim=1), seen.std(dim=1)))
    return replace(preprocess, mean=mean, std=std)


def room_cell(background: str, arm: str, seed: int, num_steps: int) -> dict[str, Any]:
    """Train an arm, keep nothing of the run, and return R2 of the dot's place and of the texture's drift."""
    start, recipe = time.monotonic(), room_recipe(arm, background, seed, num_steps)
    with tempfile.TemporaryDirectory() as folder:
        trained = train(recipe, folder)
    trained.result.require_whole()
    told = _read(trained.method.eval(), recipe)
    return _record(background, arm, seed, told, start) | {"num_steps": num_steps}


def room_floor_cell(background: str, floor: str, seed: int) -> dict[str, Any]:
    """Return the same of the encoder as it was drawn, or of the frames themselves, averaged down."""
    start, recipe = time.monotonic(), room_recipe("embeddings", background, seed, 1)
    method = recipe.method.build(seed=seed, num_steps=1).eval() if floor == "random-init" else None
    return _record(background, floor, seed, _read(method, recipe), start)


@torch.no_grad()
def _read(method: Any, recipe: WorldRecipe) -> dict[str, float]:
    """Return R2 of what a probe of one half of held-out trajectories reads in the other; of frames without a method."""
    world, behave = learning_world(recipe), cast(Behaviour, recipe.data.behaviour)
    states = behave(world, 3 * HELD_OUT + torch.arange(_PROBED), _ACTIONS).every(_EVERY).states
    z = _averaged(world.render(states)) if method is None else Sight(method, world.render)(states)
    names = {"position": "position", "background": "drift"}
    factors = {names[name]: value for name, value in world.factors(states).items() if name in names}
    half = len(z) // 2
    probe = fit_factors(z[:half], {name: value[:half] for name, value in factors.items()})
    return {name: explained(factors[name][half:], value) for name, value in probe(z[half:]).items()}


def _averaged(frames: Tensor) -> Float[Tensor, "r 1 d"]:
    """Return frames averaged down and laid end to end."""
    return torch.nn.functional.adaptive_avg_pool2d(frames.float(), _RAW_SIDE).flatten(1)[:, None]


def _record(background: str, arm: str, seed: int, told: Mapping[str, float], start: float) -> dict[str, Any]:
    where = {"part": "two-rooms", "arm": arm, "background": background, "seed": seed}
    return where | dict(told) | {"seconds": time.monotonic() - start}
