"""Hold a labelled set for probes: its own source, apart from the unlabelled images a model trains on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from jepakit.data.decode import Fit
from jepakit.data.reading import read_all
from jepakit.data.source import ImageSource, Skipped
from jepakit.types import UserError


@dataclass(frozen=True)
class LabelledImages:
    """Hold decoded images, the class of each, and the names of the classes.

    Raises:
        UserError: The lengths differ, or a label has no name.
    """

    images: UInt8[Tensor, "b c h w"]
    labels: Int[Tensor, " _"]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise UserError(f"{len(self.images)} images need as many labels, not {len(self.labels)}.")
        num = len(self.class_names)
        if len(self.labels) and (int(self.labels.min()) < 0 or int(self.labels.max()) >= num):
            raise UserError(f"Labels must lie in [0, {num}), as there are {num} class names, but one does not.")

    def __len__(self) -> int:
        return len(self.images)

    def select(self, indices: Int[Tensor, " k"]) -> "LabelledImages":
        """Return the samples at `indices`, classes unchanged."""
        return LabelledImages(self.images[indices], self.labels[indices], self.class_names)

    def with_classes(self, class_names: Sequence[str]) -> "LabelledImages":
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
        return LabelledImages(self.images, renumbered[self.labels], tuple(class_names))


def read_labelled(
    source: ImageSource, channels: int, image_size: int, num_workers: int | None = None, *, fit: Fit = "crop"
) -> tuple[LabelledImages, list[Skipped]]:
    """Decode a whole labelled source; images that cannot be read are left out together with their labels.

    Raises:
        UserError: The source has no labels, or not one image can be read.
    """
    if source.labels is None or source.class_names is None:
        raise UserError(
            "The labelled images have no labels; open them with labels=True, or give a source with a folder per class "
            "or a column of labels."
        )
    images, ids, skipped = read_all(source, channels, image_size, num_workers, fit=fit)
    return LabelledImages(images, source.labels[ids], tuple(source.class_names)), skipped
