"""Hold a labelled set for probes: its own source, apart from the unlabelled samples a model trains on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from jepakit.data.decoder import Decoder
from jepakit.data.reading import read_all
from jepakit.data.source import Skipped
from jepakit.types import UserError


@dataclass(frozen=True)
class Labelled:
    """Hold decoded samples, the class of each, and the names of the classes.

    Raises:
        UserError: The lengths differ, or a label has no name.
    """

    content: Shaped[Tensor, "b ..."]
    labels: Int[Tensor, " _"]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.content) != len(self.labels):
            raise UserError(f"{len(self.content)} samples need as many labels, not {len(self.labels)}.")
        num = len(self.class_names)
        if len(self.labels) and (int(self.labels.min()) < 0 or int(self.labels.max()) >= num):
            raise UserError(f"Labels must lie in [0, {num}), as there are {num} class names, but one does not.")

    def __len__(self) -> int:
        return len(self.content)

    def select(self, indices: Int[Tensor, " k"]) -> "Labelled":
        """Return the samples at `indices`, classes unchanged."""
        return Labelled(self.content[indices], self.labels[indices], self.class_names)

    def with_classes(self, class_names: Sequence[str]) -> "Labelled":
        """Number the classes as another set does, so that a test file that lacks a class still agrees with it.

        Raises:
            UserError: A class that occurs here is unknown there.
        """
        number = {name: i for i, name in enumerate(class_names)}
        used = set(self.labels.tolist())
        unknown = [name for i, name in enumerate(self.class_names) if i in used and name not in number]
        if unknown:
            raise UserError(f"Class {unknown[0]!r} is not among the classes {', '.join(map(repr, class_names))}.")
        renumbered = torch.tensor([number.get(name, -1) for name in self.class_names], dtype=torch.long)
        return Labelled(self.content, renumbered[self.labels], tuple(class_names))


def read_labelled(decoder: Decoder, num_workers: int | None = None) -> tuple[Labelled, list[Skipped]]:
    """Decode a whole labelled source; samples that cannot be read are left out together with their labels.

    Raises:
        UserError: The source has no labels, or not one sample can be read.
    """
    source = decoder.source
    if source.labels is None or source.class_names is None:
        raise UserError(
            "The labelled samples have no labels; open them with labels=True, or give a source with a folder per class "
            "or a column of labels."
        )
    content, ids, skipped = read_all(decoder, num_workers)
    return Labelled(content, source.labels[ids], tuple(source.class_names)), skipped
