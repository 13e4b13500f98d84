"""Store what a trained encoder makes of held-out trajectories, so that what learns after it never sees a picture."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.feeds import HELD_OUT, learning_world
from jepakit.training.precision import autocast
from jepakit.worlds import Trajectories

_WALKED_AT_ONCE = 512
"""Trajectories that are stepped together: most of the time of a few is spent on starting operations."""
_SEEN_AT_ONCE = 64
"""Trajectories whose pictures lie in memory together."""


@torch.no_grad()
def embedded_trajectories(
    method: Any, recipe: WorldRecipe, num: int, num_frames: int, first: int = 2 * HELD_OUT
) -> Float[Tensor, "k t *n d"]:
    """Return the embeddings of held-out trajectories, of the frames that the method looks at.

    Args:
        method: The trained method.
        recipe: Where and how it learned; its precision is that of encoding.
        num: Trajectories.
        num_frames: Frames of each.
        first: Id of the first.
    """
    world, skip, device = learning_world(recipe), recipe.method.frame_skip, next(method.parameters()).device
    parts = []
    for walked in _walked(recipe, num, num_frames, first):
        for begin in range(0, len(walked.action), _SEEN_AT_ONCE):
            seen = walked.between(begin, begin + _SEEN_AT_ONCE).every(skip)
            with autocast(recipe.training.precision, device):
                parts.append(method.embed(seen.render(world).to(device)).float())
    return torch.cat(parts)


def told_trajectories(
    method: Any, recipe: WorldRecipe, num: int, num_frames: int, first: int
) -> Float[Tensor, "k t1 a"]:
    """Return what the predictor is told of the actions between the frames of `embedded_trajectories`."""
    device = next(method.parameters()).device
    walked = _walked(recipe, num, num_frames, first)
    return torch.cat([method.config.told(some.action.to(device)) for some in walked])


def _walked(recipe: WorldRecipe, num: int, num_frames: int, first: int) -> Iterator[Trajectories]:
    """Yield trajectories, many at a time."""
    world, num_actions = learning_world(recipe), recipe.method.frame_skip * (num_frames - 1)
    for ids in torch.arange(first, first + num).split(_WALKED_AT_ONCE):
        yield recipe.data.behaviour(world, ids, num_actions)
