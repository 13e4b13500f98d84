"""Let a trained method take what people have: paths, PIL images and uint8 arrays, besides prepared tensors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from jepakit.data import to_uint8
from jepakit.types import UserError

Images = Tensor | np.ndarray[Any, Any] | Image.Image | str | Path | Sequence[Any]
_CHUNK = 256


class Model:
    """Wrap a trained method: decode and prepare images by its stored settings, pass every other name through.

    Args:
        method: The method, in eval mode.
        description: What config.json says of it.
    """

    def __init__(self, method: nn.Module, description: dict[str, Any]):
        self.method: Any = method
        self.description = description

    def __getattr__(self, name: str) -> Any:
        return getattr(self.method, name)

    def prepare(self, images: Images) -> Float[Tensor, "b c h w"]:
        """Return what the encoder takes.

        Args:
            images: Float tensors pass as they are. uint8 arrays or tensors (b, h, w), (b, c, h, w) or (b, h, w, c), a
                PIL image, a path, or a sequence of these are decoded, resized and normalised.

        Raises:
            UserError: The images are of another type or shape.
        """
        if isinstance(images, Tensor) and images.is_floating_point():
            return images.to(self.device)
        prepared: Tensor = self.method.preprocess(self._pixels(images).to(self.device))
        return prepared.to(self.method.dtype)

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return next(self.method.parameters()).device

    @torch.no_grad()
    def encode(self, images: Images, *, tokens: bool = False) -> Tensor:
        """Return pooled embeddings (b, d), or with `tokens` (b, n, d), of images in any form that `prepare` takes."""
        parts = self.prepare(images).split(_CHUNK)
        return torch.cat([self.method.encode(part, tokens=tokens).float() for part in parts])

    def energy(self, images: Images) -> Float[Tensor, " b"]:
        """Return how badly the hidden part of each image was predicted."""
        return torch.cat([self.method.energy(part) for part in self.prepare(images).split(_CHUNK)])

    def _pixels(self, images: Images) -> UInt8[Tensor, "b c h w"]:
        """Return uint8 pixels of images in any form, cut to the encoder's square where they are files."""
        if isinstance(images, (Tensor, np.ndarray)):
            from jepakit.data import Arrays

            return Arrays(images).images
        if isinstance(images, (str, Path, Image.Image)):
            images = [images]
        size, channels = self.method.preprocess.image_size, self.method.preprocess.channels
        return torch.stack([to_uint8(_open(image), channels, size) for image in images])


def _open(image: Any) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, (str, Path)):
        try:
            return Image.open(image)
        except FileNotFoundError as error:
            raise UserError(f"{image} does not exist.") from error
        except OSError as error:
            raise UserError(f"{image} is no image that can be read: {error}.") from error
    raise UserError(f"Images are paths, PIL images, uint8 arrays or float tensors, got {type(image).__name__}.")
