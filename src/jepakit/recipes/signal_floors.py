"""Give the floors that signals must pass: their raw values, and statistics of them that anyone would try first."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.evaluation import Arm, Inputs

_AT_ONCE = 256
_MOST_VALUES = 4096
"""Numbers up to which raw values are a floor; of longer signals neighbours in time are averaged."""


def signal_arms(preprocess: Any, inputs: Inputs) -> dict[str, Arm]:
    """Return the arms of raw values and of statistics, both of signals as the encoder takes them.

    Args:
        preprocess: How signals are laid out; the first plane holds the values.
        inputs: The labelled signals.
    """

    def raw(signal: Tensor) -> Float[Tensor, "b d"]:
        value = preprocess(signal)[:, 0]
        height, width = value.shape[1:]
        fewer = -(-height * width // _MOST_VALUES)
        if fewer > 1:
            value = torch.nn.functional.avg_pool1d(value, fewer, ceil_mode=True)
        return value.flatten(1)

    def statistics(signal: Tensor) -> Float[Tensor, "b d"]:
        value = preprocess(signal)[:, 0]
        std, mean = torch.std_mean(value, dim=2, correction=0)
        change = value.diff(dim=2).abs().mean(dim=2) if value.shape[2] > 1 else torch.zeros_like(mean)
        return torch.cat((mean, std, value.amin(dim=2), value.amax(dim=2), change), dim=1)

    return {
        "raw values": floor_arm(inputs, raw, "raw values", "none"),
        "statistics": floor_arm(
            inputs, statistics, "raw values", "mean, deviation, least, largest and change of a row"
        ),
    }


def floor_arm(inputs: Inputs, features: Callable[[Tensor], Float[Tensor, "b d"]], layer: str, pooling: str) -> Arm:
    """Return the arm of numbers that need no network.

    Args:
        inputs: The labelled samples.
        features: Makes the numbers of some samples.
        layer: What they are made of.
        pooling: How.
    """

    def of(signal: Tensor) -> Float[Tensor, "n d"]:
        return torch.cat([features(part).float().cpu() for part in signal.split(_AT_ONCE)])

    return Arm(
        train=of(inputs.train)[:, None],
        test=of(inputs.test),
        layer=layer,
        pooling=pooling,
        is_floor=True,
        corrupted=None if inputs.corrupt is None else lambda kind, severity: of(inputs.corrupted(kind, severity)),
    )
