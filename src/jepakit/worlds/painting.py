"""Paint shapes onto a batch of pictures, each shape within a small window: most of a picture stays as it is.

Places are in pixels, (x right, y down), a pixel's middle at its index. A cover is how much of each pixel of a window a
shape hides, in [0, 1]: half a pixel around an edge it falls from 1 to 0, so that a picture tells places finer than its
pixels.
"""

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

Colour = tuple[int, ...]
_AT_ONCE = 1 << 20


def parts(num: int, size: int) -> list[slice]:
    """Return slices of a batch to paint one after another, so small that what painting needs stays in the cache.

    Args:
        num: Pictures of the batch.
        size: Pixels of a side of each.
    """
    most = max(1, _AT_ONCE // size**2)
    return [slice(first, min(first + most, num)) for first in range(0, num, most)]


def window(middle: Float[Tensor, "b 2"], reach: float, size: int) -> Int[Tensor, "b 2 k"]:
    """Return the columns and rows of the windows that hold all within `reach` of a place and lie in the picture.

    Args:
        middle: Places, in pixels.
        reach: How far shapes reach from there, in pixels.
        size: Pixels of a side of the picture.
    """
    side = min(2 * int(reach + 1.5) + 1, size)
    first = (middle.round().long() - side // 2).clamp(0, size - side)
    return first[:, :, None] + torch.arange(side, device=middle.device)


def disc(pixels: Int[Tensor, "b 2 k"], middle: Float[Tensor, "b 2"], radius: float) -> Float[Tensor, "b k k"]:
    """Return the cover of discs (rows, columns)."""
    offset = (pixels - middle[:, :, None]) ** 2
    return (radius + 0.5 - (offset[:, 1, :, None] + offset[:, 0, None, :]).sqrt()).clamp(0, 1)


def capsule(
    pixels: Int[Tensor, "b 2 k"], begin: Float[Tensor, "b 2"], end: Float[Tensor, "b 2"], radius: float
) -> Float[Tensor, "b k k"]:
    """Return the cover of all that is within `radius` of lines from `begin` to `end` (rows, columns)."""
    along = end - begin
    away = pixels - begin[:, :, None]
    unit = along / (along**2).sum(1, keepdim=True).clamp_min(1e-12)
    share = (away[:, 0, None, :] * unit[:, 0, None, None] + away[:, 1, :, None] * unit[:, 1, None, None]).clamp(0, 1)
    x = away[:, 0, None, :] - share * along[:, 0, None, None]
    y = away[:, 1, :, None] - share * along[:, 1, None, None]
    return (radius + 0.5 - (x * x + y * y).sqrt()).clamp(0, 1)


def paint(
    frames: UInt8[Tensor, "b c h w"], pixels: Int[Tensor, "b 2 k"], cover: Float[Tensor, "b k k"], colour: Colour
) -> None:
    """Lay a colour over the pixels of windows, in place, as far as it covers each; values are rounded down."""
    b, c, h, w = frames.shape
    places = (pixels[:, 1, :, None] * w + pixels[:, 0, None, :]).view(b, 1, -1).expand(b, c, -1)
    flat = frames.view(b, c, h * w)
    under = flat.gather(2, places).float()
    over = torch.tensor(colour, dtype=torch.float32, device=frames.device)[:, None]
    flat.scatter_(2, places, (under + cover.view(b, 1, -1) * (over - under)).to(torch.uint8))
