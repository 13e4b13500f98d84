"""Say what a source is: anything with a length, `read`, `name`, and perhaps labels; of images, signals or footage.

A source only finds and opens samples. A `Decoder` brings one into a fixed form, `reading` does so in worker processes,
and `loader` puts batches in order. What cannot be read is an `Unreadable`, never a crash and never a guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor

from jepakit.types import UserError


class Unreadable(Exception):
    """Tell that one sample cannot be read; it is skipped, counted and named in the report.

    Args:
        name: The sample's name, as its source gives it.
        reason: Why, in a few words that do not change from run to run.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name = name
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class NoLabels(UserError):
    """Tell that a source has no labels at all; labels that are there and wrong are any other `UserError`."""


@dataclass(frozen=True)
class Skipped:
    """Name a sample that was left out and say why. `name` is text from outside: escape it where it is shown.

    Args:
        name: The sample's name as its source gives it, or how many files of one kind there are.
        reason: Why, in a few words.
        id: Its id; -1 for files that are no samples of the source.
    """

    name: str
    reason: str
    id: int


@runtime_checkable
class Source(Protocol):
    """What the loader knows of a source. The id of a sample is its index, so the order of a source is stable."""

    @property
    def labels(self) -> Int[Tensor, " b"] | None:
        """Class of each sample, counted from 0, or None where there are no labels."""
        ...

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """Name of each class, or None where there are no labels."""
        ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Name one sample in words its owner recognises: a path, or a file and a row."""
        ...


@runtime_checkable
class ImageSource(Source, Protocol):
    """Open images one by one."""

    def read(self, index: int) -> Image.Image | UInt8[Tensor, "c h w"]:
        """Open one image; Pillow may decode it later. Raises `Unreadable`."""
        ...


@runtime_checkable
class SignalSource(Source, Protocol):
    """Open signals one by one: sounds, windows of a record, rows of a table."""

    @property
    def channels(self) -> int:
        """Return how many channels every signal has."""
        ...

    def read(self, index: int) -> Float[Tensor, "c t"]:
        """Return one signal, NaN where nothing was measured. Raises `Unreadable`."""
        ...


def whole_of(source: Any) -> Any:
    """Return the source of which this is a part, or itself."""
    while isinstance(source, Subset):
        source = source.source
    return source


def places_in_whole(source: Any, numbers: Int[Tensor, " k"]) -> Int[Tensor, " k"]:
    """Return the places in the whole (`whole_of`) of some samples of a source that may be a part of a part of it."""
    while isinstance(source, Subset):
        numbers, source = source.indices[numbers], source.source
    return numbers


class Subset:
    """Show some samples of a source, in the order given; ids and labels count within the subset.

    Args:
        source: The whole.
        indices: Which images, a tensor or a sequence of integers.

    Raises:
        UserError: An index lies outside the source.
    """

    def __init__(self, source: Any, indices: Int[Tensor, " b"] | Sequence[int]) -> None:
        self.source = source
        self.indices = torch.as_tensor(indices, dtype=torch.long)
        lowest, highest = (int(x) for x in self.indices.aminmax()) if len(self.indices) else (0, -1)
        if lowest < 0 or highest >= len(source):
            raise UserError(
                f"A subset asks for indices {lowest} to {highest} of a source of {len(source)} samples; "
                f"give indices from 0 to {len(source) - 1}."
            )
        self.labels = None if source.labels is None else source.labels[self.indices]
        self.class_names = source.class_names

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, index: int) -> Any:
        """Open one sample of the subset."""
        return self.source.read(int(self.indices[index]))

    def name(self, index: int) -> str:
        """Return the name that the whole source gives."""
        return self.source.name(int(self.indices[index]))
