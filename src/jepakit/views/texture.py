"""Draw textures without end: what may lie behind the things of a picture, and drift."""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.random import Stream

SPECK = 8
"""Pixels between the bright and dark places of a texture."""


def whole_specks(side: int) -> int:
    """Return after how many pixels a texture begins anew: whole specks, and no less than a side."""
    return SPECK * -(-side // SPECK)


@lru_cache(maxsize=4)
def drawn_texture(channels: int, period: int, number: int, device: torch.device) -> Float[Tensor, "c p p"]:
    """Draw one period of a texture: random values every 8 pixels, smooth between them, from black to white.

    Args:
        channels: Each has its own.
        period: Side in pixels, whole specks.
        number: Which texture.
        device: Where it is to lie.
    """
    num = period // SPECK
    ids = torch.arange(channels)
    coarse = Stream(number, "distracted/specks").uniform(0, ids, num**2).view(1, channels, num, num)
    around = torch.nn.functional.pad(coarse, (2, 2, 2, 2), mode="circular")
    wide = torch.nn.functional.interpolate(around, scale_factor=SPECK, mode="bicubic", align_corners=False)
    texture = wide[0, :, 2 * SPECK : -2 * SPECK, 2 * SPECK : -2 * SPECK]
    low, high = texture.amin((1, 2), keepdim=True), texture.amax((1, 2), keepdim=True)
    return (255.0 * (texture - low) / (high - low)).to(device)
