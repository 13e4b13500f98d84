"""Bring the samples of a source into one form, so that they stack: the part of the work that workers can do."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from jepakit.data.decode import Fit, check_form, pixels_to_uint8, to_uint8
from jepakit.data.source import ImageSource, Skipped, Source, Unreadable
from jepakit.types import Batch, ImageBatch

Decoded = tuple[Tensor, list[int], list[Skipped]]


class Decoder(Dataset[Decoded], ABC):
    """Decode samples of a source into tensors of one shape and type.

    Args:
        source: Where the samples come from.
    """

    fixed = True
    """Whether a sample is the same at every step, so that it may be kept."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, ids: list[int]) -> Decoded:
        """Return the samples that can be read, stacked, their ids in the order asked for, and the others."""
        return self.at(0, ids)

    def at(self, step: int, ids: list[int]) -> Decoded:
        """Return the same of a training's step, which decides what is seen of samples that are not `fixed`."""
        decoded: list[Tensor] = []
        kept: list[int] = []
        skipped: list[Skipped] = []
        for index in ids:
            try:
                decoded.append(self.decode(index, step))
                kept.append(index)
            except Unreadable as error:
                skipped.append(Skipped(self.source.name(index), error.reason, index))
        return torch.stack(decoded) if decoded else self.void(0), kept, skipped

    @abstractmethod
    def decode(self, index: int, step: int = 0) -> Tensor:
        """Decode one sample as a step sees it. Raises `Unreadable`."""

    @abstractmethod
    def void(self, num: int) -> Tensor:
        """Return room for so many samples; what is in it means nothing."""

    @abstractmethod
    def batch(self, content: Tensor, ids: Int[Tensor, " b"]) -> Batch:
        """Return decoded samples with their ids as a training is fed them."""


class AtSteps(Dataset[Decoded]):
    """Answer what the steps of a training ask for: (step, ids).

    Args:
        decoder: The source and the form.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def __getitem__(self, asked: tuple[int, list[int]]) -> Decoded:
        return self.decoder.at(*asked)


class ImageDecoder(Decoder):
    """Decode images into uint8 squares (c, h, w).

    Args:
        source: Where the images come from.
        channels: 1 or 3.
        image_size: Height and width.
        fit: How another shape becomes square, as in `to_uint8`.
    """

    source: ImageSource

    def __init__(self, source: ImageSource, channels: int, image_size: int, fit: Fit = "crop") -> None:
        super().__init__(source)
        check_form(channels, image_size, fit)
        self.channels = channels
        self.image_size = image_size
        self.fit = fit

    def decode(self, index: int, step: int = 0) -> UInt8[Tensor, "c h w"]:
        """Decode one image. Raises `Unreadable`."""
        image = self.source.read(index)
        if isinstance(image, Tensor):
            return pixels_to_uint8(image, self.channels, self.image_size, fit=self.fit)
        return to_uint8(image, self.channels, self.image_size, fit=self.fit)

    def void(self, num: int) -> UInt8[Tensor, "b c h w"]:
        """Return room for so many images."""
        return torch.empty(num, self.channels, self.image_size, self.image_size, dtype=torch.uint8)

    def batch(self, content: Tensor, ids: Int[Tensor, " b"]) -> ImageBatch:
        """Return decoded images with their ids."""
        return ImageBatch(content, ids)
