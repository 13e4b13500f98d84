"""Build a method without memory for its weights, so that loading one needs no more than what is read."""

from typing import Any

import torch

from jepakit.jepa import MethodConfig
from jepakit.methods import IJEPAConfig, ReleasedConfig
from jepakit.nn import MaskedPredictor, ViT


def can_be_empty(config: MethodConfig) -> bool:
    """Return whether a method can be built without weights: its ViTs say anew what they compute and do not store."""
    if isinstance(config, IJEPAConfig):
        return config.encoder.stem == "linear" and config.target_norm == "layer"
    return isinstance(config, ReleasedConfig)


def build_empty(config: MethodConfig, seed: int = 0) -> Any:
    """Build a method whose weights are shapes alone, in eval mode; whoever fills it must give it every one of them.

    Tables that are computed and not stored are there.
    """
    with torch.device("meta"):
        method = config.build(seed=seed, num_steps=1)
    for module in method.modules():
        if isinstance(module, ViT | MaskedPredictor):
            module.compute_positions(torch.device("cpu"))
    return method.eval()
