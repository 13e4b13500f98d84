"""Serve images that are already pixels: arrays in memory, and the digits that scikit-learn bundles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from jepakit.types import UserError


class Arrays:
    """Serve a uint8 array or tensor, with labels if there are any.

    Args:
        images: uint8 (b, h, w), (b, c, h, w) or (b, h, w, c) with 1, 3 or 4 channels; where both readings are
            possible, the channels come first.
        labels: Class of each image, counted from 0.
        class_names: Name of each class; by default its number.

    Raises:
        UserError: Another type or shape, or labels that do not match.
    """

    def __init__(
        self,
        images: Tensor | NDArray[Any],
        labels: Tensor | NDArray[Any] | Sequence[int] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.images = _channels_first(torch.as_tensor(images))
        self.labels = None if labels is None else torch.as_tensor(labels).long()
        self.class_names: tuple[str, ...] | None = None
        if self.labels is None:
            return
        if self.labels.shape != (len(self.images),):
            raise UserError(
                f"{len(self.images)} images need as many labels, not an array of {tuple(self.labels.shape)}."
            )
        lowest, num = (int(self.labels.min()), int(self.labels.max()) + 1) if len(self.labels) else (0, 0)
        names = tuple(map(str, range(num))) if class_names is None else tuple(class_names)
        if lowest < 0 or num > len(names):
            raise UserError(f"Labels go from {lowest} to {num - 1}; they must lie in [0, {len(names)}).")
        self.class_names = names

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> UInt8[Tensor, "c h w"]:
        """Return one image's pixels."""
        return self.images[index]

    def name(self, index: int) -> str:
        """Name an image by its place."""
        return f"image {index}"


class Digits(Arrays):
    """Serve scikit-learn's 1,797 scanned digits, 8 by 8, grey: real images that need no download.

    Source: Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits; the bundled copy holds its test
    part. Deviations: grey values 0 to 16 become 0 to 255.
    """

    def __init__(self) -> None:
        from sklearn.datasets import load_digits  # imported where used: it costs most of a second

        digits = load_digits()
        super().__init__(np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target)

    def name(self, index: int) -> str:
        """Name a digit by its place in scikit-learn's array."""
        return f"digits {index}"


def _channels_first(images: Tensor) -> UInt8[Tensor, "b c h w"]:
    if images.dtype != torch.uint8:
        raise UserError(f"Images in memory must be uint8 in [0, 255], not {images.dtype}; scale and convert them.")
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3, 4):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3, 4):
        return images.permute(0, 3, 1, 2)
    raise UserError(f"Images in memory must be (b, h, w), (b, c, h, w) or (b, h, w, c), not {tuple(images.shape)}.")
