"""Keep tensors and their description in one safetensors file, so that one rename saves a whole checkpoint."""

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from jepakit.storage.atomic import write_atomically
from jepakit.types import UserError


def save_tensors(path: Path, tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> None:
    """Write tensors and a JSON description into one file, atomically.

    Raises:
        UserError: The disk is full; the file that was there survives.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def write(temporary: Path) -> None:
        try:
            metadata = {
                "format": "pt",
                "description": json.dumps(description, sort_keys=True),
            }  # transformers asks for pt
            save_file(contiguous, temporary, metadata=metadata)
        except SafetensorError as error:
            if "os error 28" in str(error) or "No space left" in str(error):
                raise OSError(errno.ENOSPC, str(error)) from error
            raise

    write_atomically(path, write)


def load_tensors(path: Path, device: str | torch.device = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the description that `save_tensors` wrote; nothing in the file is ever executed.

    Raises:
        UserError: The file is missing or is no whole safetensors file.
    """
    with _opened(path, device) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        return tensors, _description(file)


def load_description(path: Path) -> dict[str, Any]:
    """Return the description that `save_tensors` wrote, without reading a tensor.

    Raises:
        UserError: The file is missing or is no whole safetensors file.
    """
    with _opened(path, "cpu") as file:
        return _description(file)


@contextmanager
def _opened(path: Path, device: str | torch.device) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            yield file
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist.") from error
    except SafetensorError as error:
        raise UserError(f"{path} is damaged or is no safetensors file: {error}.") from error


def _description(file: Any) -> dict[str, Any]:
    description: dict[str, Any] = json.loads((file.metadata() or {}).get("description", "{}"))
    return description
