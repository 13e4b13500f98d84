"""Let a trained method take what people have: paths, PIL images, uint8 arrays and signals, besides prepared tensors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from jepakit.data import Arrays, Unreadable, read_sounds, to_uint8
from jepakit.data.decode import open_image, pixels_to_uint8
from jepakit.types import UserError
from jepakit.views import ClipPreprocess, Preprocess, SoundPreprocess, TablePreprocess

Images = Tensor | NDArray[Any] | Image.Image | str | Path | Sequence[Any]
_CHUNK = 256
_CLIPS = 16


class Model:
    """Wrap a trained method: decode and prepare inputs by its stored settings, pass every other name through.

    Args:
        method: The method, in eval mode.
        description: What config.json says of it.
    """

    def __init__(self, method: nn.Module, description: dict[str, Any]):
        self.method: Any = method
        self.description = description

    def __getattr__(self, name: str) -> Any:
        """Return what the method has under a name that this class does not have."""
        if name == "method" or name.startswith("__"):  # asked for while a copy is being made, before there is a method
            raise AttributeError(name)
        return getattr(self.method, name)

    def prepare(self, images: Images) -> Float[Tensor, "b *t c h w"]:
        """Return what the encoder takes.

        Args:
            images: Float tensors (b, c, h, w) pass as they are. Of a model of signals, arrays or tensors (b, c, t) of
                its own length are laid out, NaN where nothing was measured; rows of a table may be (b, c), sounds a
                path or a sequence of them. Of a model of video, uint8 clips (b, t, c, h, w). Of a model of images,
                uint8 arrays or tensors (b, h, w), (b, c, h, w) or (b, h, w, c), a PIL image, a path, or a sequence of
                paths, PIL images and uint8 arrays (h, w), (c, h, w) or (h, w, c) are decoded, cut to squares, resized
                and normalised.

        Raises:
            UserError: The images are of another type or shape, or one of them cannot be read.
        """
        return torch.cat(list(self._parts(images)))

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return next(self.method.parameters()).device

    @torch.no_grad()
    def encode(self, images: Images, *, tokens: bool = False) -> Tensor:
        """Return pooled embeddings (b, d), or with `tokens` (b, n, d), of images in any form that `prepare` takes."""
        return torch.cat([self.method.encode(part, tokens=tokens).float() for part in self._parts(images)])

    @torch.no_grad()
    def classify(self, images: Images) -> Float[Tensor, "b classes"]:
        """Return a score for each class of a model with a classifier, in any form that `prepare` takes."""
        return torch.cat([self.method.classify(part).float() for part in self._parts(images)])

    def energy(self, images: Images) -> Float[Tensor, " b"]:
        """Return how badly the hidden part of each image was predicted."""
        return torch.cat([self.method.energy(part) for part in self._parts(images)])

    def _parts(self, images: Images) -> Iterator[Float[Tensor, "b *t c h w"]]:
        """Prepare images a few at a time, so that a large set never lies in memory as floats."""
        if isinstance(self.method.preprocess, ClipPreprocess):
            yield from self._clips(images)
            return
        if not isinstance(self.method.preprocess, Preprocess):
            yield from self._signals(images)
            return
        if isinstance(images, Tensor) and images.is_floating_point():
            channels = self.method.preprocess.channels
            if images.ndim != 4 or images.shape[1] != channels:
                raise UserError(f"Prepared images are (b, {channels}, h, w), got a tensor of {tuple(images.shape)}.")
            yield from (part.to(self.device) for part in images.split(_CHUNK))
            return
        for part in self._pixels(images).split(_CHUNK):
            prepared: Tensor = self.method.preprocess(part.to(self.device))
            yield prepared.to(self.method.dtype)

    def _clips(self, clips: Images) -> Iterator[Float[Tensor, "b t c h w"]]:
        """Prepare clips a few at a time; what is prepared already passes as it is."""
        numbers = torch.as_tensor(clips) if isinstance(clips, (Tensor, np.ndarray)) else None
        if numbers is None or numbers.ndim != 5:
            got = type(clips).__name__ if numbers is None else f"an array of {tuple(numbers.shape)}"
            raise UserError(
                f"This model takes clips as an array of (clips, frames, channels, rows, columns), got {got}."
            )
        for part in numbers.split(_CLIPS):
            moved = part.to(self.device)
            yield (moved if moved.is_floating_point() else self.method.preprocess(moved)).to(self.method.dtype)

    def _signals(self, signals: Images) -> Iterator[Float[Tensor, "b c h w"]]:
        """Lay signals out a few at a time; what is laid out already passes as it is."""
        paths = _paths(signals)
        if paths and isinstance(self.method.preprocess, SoundPreprocess):
            yield from self._sounds(paths)
            return
        numbers = torch.as_tensor(signals) if isinstance(signals, (Tensor, np.ndarray)) else None
        if numbers is not None and numbers.ndim == 2 and isinstance(self.method.preprocess, TablePreprocess):
            numbers = numbers[..., None]
        if numbers is None or numbers.ndim not in (3, 4):
            got = type(signals).__name__ if numbers is None else f"an array of {tuple(numbers.shape)}"
            raise UserError(f"This model takes signals as an array of (samples, channels, moments), got {got}.")
        for part in numbers.float().split(_CHUNK):
            moved = part.to(self.device)
            yield (moved if moved.ndim == 4 else self.method.preprocess(moved)).to(self.method.dtype)

    def _sounds(self, paths: list[str | Path]) -> Iterator[Float[Tensor, "b c h w"]]:
        """Decode and lay out sounds a few at a time."""
        preprocess = self.method.preprocess
        for start in range(0, len(paths), _CHUNK):
            sounds = read_sounds(paths[start : start + _CHUNK], preprocess.rate, preprocess.length)
            yield preprocess(sounds.to(self.device)).to(self.method.dtype)

    def _pixels(self, images: Images) -> UInt8[Tensor, "b c h w"]:
        """Return uint8 pixels of images in any form, cut to the encoder's square where they come one by one."""
        if isinstance(images, (Tensor, np.ndarray)):
            return _in_memory(images)
        if isinstance(images, (str, Path, Image.Image)):
            images = [images]
        if len(images) == 0:
            raise UserError("There are no images to encode: the given sequence is empty.")
        channels, size = self.method.preprocess.channels, self.method.preprocess.image_size
        try:
            return torch.stack([_decode(image, number, channels, size) for number, image in enumerate(images)])
        except Unreadable as error:
            raise UserError(f"{error.name}: {error.reason}.") from error


def _paths(signals: Images) -> list[str | Path]:
    """Return the paths where these are the path of a file, or of several; none where they are anything else."""
    some = [signals] if isinstance(signals, (str, Path)) else signals
    if not isinstance(some, Sequence) or not all(isinstance(path, (str, Path)) for path in some):
        return []
    return list(some)


def _in_memory(images: Tensor | NDArray[Any]) -> UInt8[Tensor, "b c h w"]:
    """Return pixels with the channels first."""
    if isinstance(images, np.ndarray):
        images = np.require(images, requirements="W")  # torch warns of arrays that it could not write to, as Pillow's
    return Arrays(images).images


def _decode(image: Any, number: int, channels: int, size: int) -> UInt8[Tensor, "c s s"]:
    """Return one image's pixels as the encoder's square.

    Raises:
        Unreadable: It cannot be decoded.
        UserError: It is absent, or nothing that could be an image.
    """
    if isinstance(image, (Tensor, np.ndarray)):
        return pixels_to_uint8(_in_memory(image[None])[0], channels, size, name=f"image {number}")
    if isinstance(image, Image.Image):
        return to_uint8(image, channels, size, name=f"image {number}")
    if not isinstance(image, (str, Path)):
        raise UserError(f"Images are paths, PIL images, uint8 arrays or float tensors, got {type(image).__name__}.")
    try:
        data = Path(image).read_bytes()
    except OSError as error:
        raise UserError(f"The image {str(image)!r} cannot be read: {error.strerror}.") from error
    return to_uint8(open_image(data, str(image)), channels, size, name=str(image))
