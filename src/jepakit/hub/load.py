"""Find out what lies at a path and load it."""

from pathlib import Path
from typing import Any

import torch

from jepakit.hub.empty import build_empty, can_be_empty
from jepakit.hub.model import Model
from jepakit.hub.names import method_config
from jepakit.hub.released import import_released, is_released
from jepakit.storage import SHIPPED, Run, load_weights, located, read_model
from jepakit.types import UserError

CHECKPOINTS = ("last", "healthy")


def load(
    path: Path | str,
    *,
    checkpoint: str = "last",
    branch: str | None = None,
    device: str | torch.device = "cpu",
) -> Model:
    """Load a model: of a run, of a folder that `save_pretrained` wrote, one that ships, or one that others released.

    What others released is imported anew at each call and its tensors stay mapped to the file; `import_checkpoint`
    converts it once.

    Args:
        path: The folder, or a shipped model's name: `digits`, `two-rooms`; a folder of Hugging Face's; a file of
            Meta's.
        checkpoint: Of a run: `last`, the one to use unless its verdict was a collapse, or `healthy`, the latest that
            was none.
        branch: Of a file of Meta's: which encoder embeds, `target_encoder` unless told otherwise, or `encoder`.
        device: Where to put the weights.

    Raises:
        UserError: Nothing that can be loaded lies there, or its weights do not fit its configuration.
    """
    folder = located(path)
    if is_released(folder):
        imported = import_released(folder, branch=branch)
        return Model(imported.method.to(device), imported.description())
    if not folder.is_dir():
        raise UserError(
            f"{path} does not exist or is no folder; give a run directory, a folder written by save_pretrained, a file "
            f"of Meta's, or the name of a model that ships with jepakit ({', '.join(SHIPPED)})."
        )
    if branch is not None:
        raise UserError(f"{path} is a model of jepakit's, which has no branches; only a file of Meta's has.")
    if (folder / "model.safetensors").exists():
        description, weights = read_model(folder)
        origin: Path = folder
    else:
        description, weights, origin = _read_run(Run(folder), checkpoint)
    if not isinstance(description.get("method"), dict):
        raise UserError(f"{folder} holds no jepakit model: its config.json describes no method.")
    config = method_config(description["method"])
    seed = int(description.get("seed", 0))
    method = build_empty(config, seed) if can_be_empty(config) else config.build(seed=seed, num_steps=1)
    load_weights(method, weights, origin)
    return Model(method.eval().to(device), description)


def _read_run(run: Run, checkpoint: str) -> tuple[dict[str, Any], dict[str, torch.Tensor], Path]:
    """Return a run's configuration, together with the checkpoint's name and step, its weights and where they lie."""
    if checkpoint not in CHECKPOINTS:
        raise UserError(f"A run has the checkpoints {' and '.join(map(repr, CHECKPOINTS))}, not {checkpoint!r}.")
    description = run.config()
    saved = run.load_checkpoint(checkpoint)
    if saved is None:
        raise UserError(f"{run.path} has no checkpoint {checkpoint!r}: {_why_missing(run)}.")
    tensors, state = saved
    weights = {name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")}
    return description | {"checkpoint": checkpoint, "step": state["step"]}, weights, run.checkpoint_path(checkpoint)


def _why_missing(run: Run) -> str:
    """Return why a run has no such checkpoint."""
    if not run.checkpoint_path().exists():
        return "train it first"
    verdicts = run.verdicts()
    if not verdicts:
        return "its health was not measured so far"
    if any(verdict.get("healthy") for verdict in verdicts):
        return "it was saved once, but its file is gone"
    return "no verdict was better than collapse"
