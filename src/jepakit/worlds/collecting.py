"""Play episodes in a world and hand them over one at a time, to be written to a file or held in memory."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.storage.trajectories import Episode
from jepakit.types import require
from jepakit.worlds.trajectories import Behaviour


def collect(
    world: Any, behaviour: Behaviour, ids: Int[Tensor, " b"], num_steps: int, *, at_once: int = 8
) -> Iterator[Episode]:
    """Yield the episodes of these ids, in their order.

    An episode is as the behaviour makes it whatever `at_once` is; one that its environment ends ends there too, and one
    that ends before the first action is left out.

    Args:
        world: Embedded, or a gymnasium environment.
        behaviour: How to act, such as `Roaming`, `Uniform` or `Scripted`.
        ids: The episodes.
        num_steps: Most actions of one.
        at_once: Episodes played side by side.

    Raises:
        UserError: Episodes are to have no actions.
    """
    require(num_steps > 0 and at_once > 0, f"An episode has at least 1 action, got {num_steps} (at_once={at_once}).")
    for some in ids.split(at_once):
        made = behaviour(world, some, num_steps)
        frames = made.render(world)
        over, felt = getattr(made.states, "over", None), getattr(made.states, "proprio", None)
        ended = torch.zeros(frames.shape[:2], dtype=torch.bool) if over is None else over.unflatten(0, frames.shape[:2])
        for row in range(len(some)):
            last = int(ended[row].int().argmax()) if bool(ended[row].any()) else num_steps
            if last > 0:
                proprio = made.of(felt)[row, : last + 1] if felt is not None and felt.shape[1] else None
                yield Episode(frames[row, : last + 1], made.action[row, :last], proprio)
