"""Turn source pixels into what an encoder takes, without augmentation: crop to a square, resize, scale, normalise."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from jepakit.types import UserError, require

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
LUMA = (0.299, 0.587, 0.114)


def check_normalisation(
    name: str, image_size: int, channels: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    """Raise `UserError` unless the size, the channels and their means and deviations make sense together."""
    require(image_size >= 1, f"{name}: image_size must be at least 1, got {image_size}.")
    require(channels >= 1, f"{name}: channels must be at least 1, got {channels}.")
    for field, values in (("mean", mean), ("std", std)):
        require(
            len(values) in (1, channels),
            f"{name}: {field} has {len(values)} values for {channels} channels; give one value, or one a channel.",
        )
    require(min(std) > 0, f"{name}: every std must be above 0, got {std}.")


@lru_cache(maxsize=64)
def constants(values: tuple[float, ...], device: torch.device) -> Float[Tensor, " c"]:
    """Return numbers as a float32 tensor, kept per device: copying them there at every step would wait for it."""
    return torch.tensor(values, dtype=torch.float32, device=device)


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a `with` block in which autocast leaves products of pixels in float32."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def per_channel(values: tuple[float, ...], channels: int, device: torch.device) -> Float[Tensor, "c 1 1"]:
    """Return one value a channel, repeating a single one, ready to broadcast over pixels."""
    return constants(values * channels if len(values) == 1 else values, device)[:, None, None]


def to_channels(image: UInt8[Tensor, "b _ h w"], channels: int) -> Float[Tensor, "b c h w"]:
    """Return float pixels in [0, 255] with this many channels: gray is repeated, colour is weighted to its luma.

    Raises:
        UserError: The source has another number of channels and neither rule applies.
    """
    source = image.shape[1]
    if source == channels:
        return image.float()
    if source == 1:
        return image.float().expand(-1, channels, -1, -1).contiguous()
    if (source, channels) == (3, 1):
        with full_precision(image.device):
            return torch.einsum("bchw,c->bhw", image.float(), constants(LUMA, image.device))[:, None]
    raise UserError(
        f"The model takes {channels} channel(s), but the images have {source}; only gray to any number and RGB to gray "
        "are converted, so set `channels` (and mean, std) to the images' own, or convert the images."
    )


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """Crop the largest centred square, resize it (bilinear, antialiased), scale to [0, 1] and normalise.

    Args:
        image_size: Side of the result in pixels.
        channels: Channels of the result; gray sources are repeated, RGB ones weighted to gray where they differ.
        mean: Mean of pixel values in [0, 1], one for all channels or one each.
        std: Standard deviation of pixel values in [0, 1], likewise.

    Raises:
        UserError: The settings contradict each other; at a call, the images' channels fit neither rule.
    """

    image_size: int
    channels: int = 3
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        check_normalisation("Preprocess", self.image_size, self.channels, self.mean, self.std)

    @torch.no_grad()
    def __call__(self, image: UInt8[Tensor, "b _ h w"]) -> Float[Tensor, "b c s s"]:
        """Return normalised float32 images on the device of the given ones."""
        side = min(image.shape[-2:])
        top, left = (image.shape[-2] - side) // 2, (image.shape[-1] - side) // 2
        x = to_channels(image[..., top : top + side, left : left + side], self.channels)
        if side != self.image_size:
            x = F.interpolate(x, size=(self.image_size, self.image_size), mode="bilinear", antialias=True)
        mean, std = (per_channel(v, self.channels, x.device) for v in (self.mean, self.std))
        return (x * (1.0 / (255.0 * std))).sub_(mean / std)  # in place: fresh memory takes longer than the sum

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and the width of the result."""
        return self.image_size, self.image_size

    def to_source(self, x: Float[Tensor, "b c s s"]) -> UInt8[Tensor, "b c s s"]:
        """Return what views are made of: pixels."""
        return self.to_pixels(x)

    def to_pixels(self, x: Float[Tensor, "b c s s"]) -> UInt8[Tensor, "b c s s"]:
        """Return the source pixels of normalised images, rounded; what lies beyond black or white is cut off."""
        mean, std = (per_channel(v, self.channels, x.device) for v in (self.mean, self.std))
        return ((x * std + mean) * 255.0).round().clamp(0, 255).to(torch.uint8)
