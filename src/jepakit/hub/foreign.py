"""Read checkpoints that others wrote: nothing in them is executed, every weight is accounted for by its own name."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from jepakit.hub.layout import Layout, joined
from jepakit.storage import load_tensors
from jepakit.types import UserError

LARGEST = 64 * 2**30
"""Most bytes of a file that is mapped: its tensors stay on the disk until they are used, and of a released training
state, 10 GB for I-JEPA's ViT-H and 30 GB for the largest, one branch in four or so is used."""
LARGEST_IN_MEMORY = 4 * 2**30
"""Most bytes of a file that must be read as a whole: torch.save's form before torch 1.6."""
_SHOWN = 4
_SCALAR = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *(np.dtype, *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool"))),
]
"""How numpy's single numbers are pickled, which losses and step counts beside the weights may be."""


def read_foreign(path: Path | str, largest: int | None = None) -> dict[str, Any]:
    """Return what a foreign file holds: tensors by name, possibly in dictionaries of dictionaries.

    The tensors are mapped where the file allows it: they are read from the disk when they are used, and what is written
    to them stays in memory and never reaches the file.

    Args:
        path: A safetensors file, or one written by torch.save.
        largest: Most bytes of a file; by default as much as its form deserves.

    Raises:
        UserError: There is no such file, it is larger than that, damaged, or holds more than plain values and tensors
            (whole pickled modules, say), which would have to be executed.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{path} is no file.")
    is_safetensors, is_mapped = file.suffix == ".safetensors", _is_zip(file)
    largest = largest or (LARGEST if is_safetensors or is_mapped else LARGEST_IN_MEMORY)
    if file.stat().st_size > largest:
        raise UserError(
            f"{path} has {file.stat().st_size} bytes, more than the {largest} that are read; raise the limit."
        )
    if is_safetensors:
        return dict(load_tensors(file)[0])
    try:
        with torch.serialization.safe_globals(_NUMBERS):
            held = torch.load(str(file), map_location="cpu", weights_only=True, mmap=is_mapped)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged or was cut short; copy it again ({_reason(error)}).") from error
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is damaged or holds more than tensors and plain values, which would have to be executed: "
            f"{_reason(error)}. Save the modules' state_dict() with their own code, and import that."
        ) from error
    if not isinstance(held, dict):
        raise UserError(f"{path} holds a {type(held).__name__}, not weights by name.")
    return held


def _is_zip(file: Path) -> bool:
    """Return whether a file begins as torch.save's zip files do, which can be mapped."""
    with file.open("rb") as opened:
        return opened.read(4) == b"PK\x03\x04"


def _reason(error: Exception) -> str:
    """Return the first sentence of an error."""
    first = next(iter(str(error).strip().splitlines()), "").partition(". ")[0]
    return first.rstrip(".")[:160] or type(error).__name__


def tensors_in(
    held: Mapping[str, Any], origin: str | Path, under: tuple[str, ...], prefix: str = ""
) -> dict[str, Tensor]:
    """Return the weights of a file by name.

    Args:
        held: What the file holds.
        origin: Its name.
        under: Where its weights may lie, the first that is there counts; else they lie at the top.
        prefix: What all names may begin with, taken away.

    Raises:
        UserError: What lies there is no tensor.
    """
    inner = next((held[name] for name in under if isinstance(held.get(name), dict)), held)
    weights = {}
    for name, value in inner.items():
        if not isinstance(value, Tensor):
            raise UserError(
                f"{origin}: {name!r} holds a {type(value).__name__}, not a tensor; it is no such checkpoint."
            )
        weights[str(name).removeprefix("module.").removeprefix(prefix)] = value
    return weights


class Renaming:
    """Take weights one by one under their names, and give them to a module under ours.

    Args:
        weights: By their names, without what all of them begin with.
        origin: The file, for messages.
        prefix: What all of them begin with in the file, for messages.
        because: What tells the shape that a weight must have, for messages.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        origin: str | Path,
        prefix: str = "",
        because: str = "the sizes of the others",
    ):
        self.left = dict(weights)
        self.origin = origin
        self.prefix = prefix
        self.because = because
        self.given: dict[str, tuple[str, Tensor]] = {}

    def called(self, theirs: str) -> str:
        """Return a weight's whole name in the file."""
        return self.prefix + theirs

    def look(self, theirs: str, num_axes: int | None = None) -> Tensor:
        """Return a weight, from whose shape sizes are read.

        Raises:
            UserError: It is missing, or has another number of axes.
        """
        if theirs not in self.left:
            raise UserError(f"{self.origin} has no {self.called(theirs)!r}, so it is no such checkpoint.")
        weight = self.left[theirs]
        if num_axes is not None and weight.ndim != num_axes:
            raise UserError(
                f"{self.origin}: {self.called(theirs)!r} has shape {tuple(weight.shape)}, not {num_axes} axes."
            )
        return weight

    def require_shape(self, theirs: str, expected: tuple[int, ...]) -> None:
        """Check the shape of a weight.

        Raises:
            UserError: It is missing, or of another shape.
        """
        shape = tuple(self.look(theirs).shape)
        if shape != expected:
            raise UserError(
                f"{self.origin}: {self.called(theirs)!r} has shape {shape}, where {self.because} ask for {expected}."
            )

    def take(self, theirs: str) -> Tensor:
        """Return a weight that is used; what is left at the end is an error."""
        weight = self.look(theirs)
        del self.left[theirs]
        return weight

    def move(self, theirs: str, ours: str) -> None:
        """Give a weight to the module under another name."""
        self.put(theirs, ours, self.take(theirs))

    def put(self, theirs: str, ours: str, weight: Tensor) -> None:
        """Give the module a weight made of theirs."""
        self.given[ours] = (theirs, weight)

    def layer(self, theirs: str, ours: str) -> None:
        """Move weight and bias."""
        for part in ("weight", "bias"):
            self.move(f"{theirs}.{part}", f"{ours}.{part}")

    def batchnorm(self, theirs: str, ours: str) -> None:
        """Move a BatchNorm, with what it has seen."""
        self.layer(theirs, ours)
        for part in ("running_mean", "running_var", "num_batches_tracked"):
            self.move(f"{theirs}.{part}", f"{ours}.{part}")

    def follow(self, layout: Layout, expected: Mapping[str, Tensor]) -> None:
        """Give the module every weight that a layout names.

        Args:
            layout: How theirs are called.
            expected: Ours, whose shapes count.

        Raises:
            UserError: One of theirs is missing or misshapen.
        """
        for ours, held in layout.items():
            whole = expected[ours].shape
            each = held.shape_of_piece(whole)
            for theirs in held.names:
                self.require_shape(theirs, each)
            self.put(held.names[0], ours, joined([self.take(theirs) for theirs in held.names], whole))

    def count(self, prefix: str) -> int:
        """Return how many numbered parts there are under a prefix."""
        numbers = {name[len(prefix) :].split(".")[0] for name in self.left if name.startswith(prefix)}
        return len([number for number in numbers if number.isdigit()])

    def drop(self, prefix: str) -> None:
        """Leave out what only training needs."""
        self.left = {name: weight for name, weight in self.left.items() if not name.startswith(prefix)}

    def finish(self) -> None:
        """Check that every weight was used.

        Raises:
            UserError: One was not; the sentence names it as the file does.
        """
        if self.left:
            names = [self.called(name) for name in sorted(self.left)]
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise UserError(f"{self.origin} holds weights of another architecture: {', '.join(names[:_SHOWN])}{more}.")

    def join(self, other: "Renaming") -> None:
        """Give the module also what another part of the file gives it.

        Raises:
            UserError: A weight of that part was not used.
        """
        other.finish()
        self.given |= other.given

    def fill(self, module: nn.Module, fresh: tuple[str, ...] = ()) -> None:
        """Load the module with what it was given, which becomes its own: nothing is copied.

        Args:
            module: The module.
            fresh: Beginnings of names that keep what they have.

        Raises:
            UserError: Something was not used, or does not fit; the sentence names it as the file does.
        """
        self.finish()
        state = module.state_dict()
        for ours, (theirs, weight) in self.given.items():
            if ours not in state:
                raise UserError(f"{self.origin} holds weights of another architecture: {theirs}.")
            if state[ours].shape != weight.shape:
                raise UserError(
                    f"{self.origin}: {theirs!r} has shape {tuple(weight.shape)}, where {tuple(state[ours].shape)} is "
                    "needed by the sizes of the others."
                )
        missing = [name for name in state if name not in self.given and not name.startswith(fresh or ("\0",))]
        assert not missing, f"the importer gives nothing to {missing}"
        weights = {ours: weight.to(state[ours].dtype) for ours, (_, weight) in self.given.items()}
        with torch.no_grad():
            module.load_state_dict(state | weights, assign=True)  # a copy of a large model would not fit beside it
