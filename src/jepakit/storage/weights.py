"""Load weights key by key, and keep a model in the form in which it is shared: config.json beside model.safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from jepakit.storage.atomic import read_object, write_json
from jepakit.storage.tensors import load_tensors, save_tensors
from jepakit.types import UserError

_SHOWN = 4


def load_weights(module: nn.Module, weights: Mapping[str, Tensor], origin: str | Path) -> None:
    """Load weights into a module, every key and shape exactly; nothing is ever left silently random.

    They are copied, but where the module was built on "meta", without memory, they become its own.

    Raises:
        UserError: Keys are missing, unknown or of another shape; the sentence names them.
    """
    expected = module.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    unknown = sorted(weights.keys() - expected.keys())
    misshapen = [
        f"{key} {tuple(weights[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in sorted(expected.keys() & weights.keys())
        if weights[key].shape != expected[key].shape
    ]
    labelled = (("missing", missing), ("unknown", unknown), ("of another shape", misshapen))
    problems = [f"{label}: {_list(keys)}" for label, keys in labelled if keys]
    if problems:
        raise UserError(f"{origin} is a checkpoint of another architecture ({'; '.join(problems)}).")
    is_empty = any(weight.is_meta for weight in expected.values())
    own = {name: weight.to(expected[name].dtype) for name, weight in weights.items()}
    with torch.no_grad():
        module.load_state_dict(own, assign=is_empty)


def _list(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more


def save_model(path: Path | str, description: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Write config.json and model.safetensors into a folder, each atomically."""
    folder = Path(path)
    save_tensors(folder / "model.safetensors", weights, {"format": "jepakit"})
    write_json(folder / "config.json", dict(description))


def read_model(path: Path | str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the description and the weights that `save_model` wrote.

    Raises:
        UserError: The folder holds no such model.
    """
    folder = Path(path)
    if not (folder / "config.json").exists():
        raise UserError(f"{folder} holds no saved model: it has no config.json.")
    return read_object(folder / "config.json"), load_tensors(folder / "model.safetensors")[0]
