"""Put everything that a run needs to go on exactly into one file, and take it out again."""

from typing import Any

from torch import nn

from jepakit.storage import Run, load_weights
from jepakit.training.optimizer import Optimizer


def save(run: Run, method: nn.Module, optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Replace the last checkpoint; draws are functions of the step, so no generator state is kept."""
    tensors = {f"model.{name}": tensor for name, tensor in method.state_dict().items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer.state().items()}
    run.save_checkpoint(tensors, state)


def restore(run: Run, method: nn.Module, optimizer: Optimizer) -> dict[str, Any] | None:
    """Load the last checkpoint into method and optimizer and return its state, or None where there is none.

    Raises:
        UserError: The checkpoint is of another architecture.
    """
    checkpoint = run.load_checkpoint("last")
    if checkpoint is None:
        return None
    tensors, state = checkpoint
    weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    load_weights(method, weights, run.checkpoint_path("last"))
    optimizer.load_state({k.removeprefix("optimizer."): t for k, t in tensors.items() if k.startswith("optimizer.")})
    return state
