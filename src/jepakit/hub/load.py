"""Find out what lies at a path and load it."""

from pathlib import Path
from typing import Any

import torch

from jepakit.hub.model import Model
from jepakit.hub.names import build_method
from jepakit.storage import Run, load_weights, read_model
from jepakit.types import UserError


def load(path: Path | str, *, checkpoint: str = "last", device: str | torch.device = "cpu") -> Model:
    """Load a model from a run directory or from a folder that `save_pretrained` wrote.

    Args:
        path: The folder.
        checkpoint: Of a run: `last`, or `healthy` for the latest whose verdict was not collapse.
        device: Where to put the weights.

    Raises:
        UserError: Nothing that can be loaded lies there, or its weights do not fit its configuration.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"{path} does not exist; give a run directory or a folder written by save_pretrained.")
    if (folder / "model.safetensors").exists():
        description, weights = read_model(folder)
        origin: Path = folder
    else:
        description, weights, origin = _read_run(Run(folder), checkpoint)
    method = build_method(description["method"], int(description.get("seed", 0)), num_steps=1)
    load_weights(method, weights, origin)
    return Model(method.eval().to(device), description)


def _read_run(run: Run, checkpoint: str) -> tuple[dict[str, Any], dict[str, torch.Tensor], Path]:
    description = run.config()
    saved = run.load_checkpoint(checkpoint)
    if saved is None:
        raise UserError(f"{run.path} has no checkpoint {checkpoint!r} yet; train it first.")
    weights = {name.removeprefix("model."): t for name, t in saved[0].items() if name.startswith("model.")}
    return description, weights, run.checkpoint_path(checkpoint)
