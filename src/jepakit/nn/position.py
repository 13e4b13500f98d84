"""Say where a token is: fixed sine and cosine tables that are added, or rotations of queries and keys.

Tokens of an image are counted row by row; a coordinate is (row, column). Those of a clip are counted moment by moment,
and a coordinate is (moment, row, column). Tables are built in float64 and kept in float32, so that they equal the
published ones to the last bit that matters.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float, Int
from torch import Tensor

from jepakit.types import UserError

Positions = Literal["sincos", "rotary", "rotary-released", "stored"]
"""How positions are told: see `ViTConfig`."""

OtherSizes = Literal["interpolate", "regenerate"]

Grid = tuple[int, ...]
"""Rows and columns of tokens of an image, or moments, rows and columns of a clip."""

_BASE = 10000.0


def is_rotary(positions: Positions) -> bool:
    """Return whether positions turn queries and keys, rather than being added to the tokens."""
    return positions in ("rotary", "rotary-released")


def sincos_table(grid: Grid, dim: int, device: torch.device | None = None) -> Float[Tensor, "n d"]:
    """Return the sine and cosine embedding of each token of a grid.

    Of an image the first half tells the column, the second the row; of a clip the first third tells the moment, the
    next the row, the last the column, each third rounded up to an even width and the last one cut.

    Raises:
        UserError: If `dim` of an image's tokens is not divisible by 4 (sine and cosine of row and column).

    Source: Assran et al. 2023, I-JEPA (arXiv 2301.08243), after Vaswani et al. 2017 (arXiv 1706.03762), section 3.5;
    of clips Bardes et al. 2024, V-JEPA (arXiv 2404.08471), in its released form. Deviations: none.
    """
    axes = _coordinates(grid, device).unbind(-1)
    if len(grid) == 2:
        if dim % 4:
            raise UserError(
                f"sin-cos positions need a width divisible by 4, got {dim}; change dim or use rotary positions."
            )
        axes, share = axes[::-1], dim // 4
    else:
        share = math.ceil(dim / 6)
    omega = _frequencies(share, device)
    angles = [torch.outer(axis, omega) for axis in axes]
    return torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=1)[:, :dim].float()


def rotary_table(
    grid: Grid, head_dim: int, native: Grid | None = None, device: torch.device | None = None
) -> Float[Tensor, "2 n half"]:
    """Return cosine and sine of the rotation of each pair of channels for each token of a grid.

    The pairs are shared evenly: of an image the first half turns with the row, the second with the column; of a clip
    each third with moment, row and column. Pairs that are left over stay as they are.

    Args:
        grid: Sides of the grid of tokens.
        head_dim: Channels of an attention head, in pairs (i, i + head_dim / 2).
        native: Grid of training, onto whose rows and columns those of `grid` are scaled; `None` leaves them in units
            of patches. Moments are never scaled: a longer clip goes on.
        device: Where to put the table.

    Raises:
        UserError: If `head_dim` is odd, or too small for a pair for each axis.

    Source: Su et al. 2021, RoFormer (arXiv 2104.09864), equation 34, per axis as in V-JEPA 2 (arXiv 2506.09985).
    Deviation: both channels of a pair turn by the same angle, which V-JEPA 2's released code misses (image-video §2.3);
    its form is `released_rotary_table`.
    """
    if head_dim % 2 or head_dim < 2 * len(grid):
        raise UserError(
            f"rotary positions need an even head width of at least {2 * len(grid)}, got {head_dim}; change dim or "
            "num_heads."
        )
    num_pairs = head_dim // 2
    omega = _frequencies(num_pairs // len(grid), device)
    angle = torch.cat([torch.outer(axis, omega) for axis in _scaled(grid, native, device)], dim=1)
    angle = F.pad(angle, (0, num_pairs - angle.shape[1]))
    return torch.stack((angle.cos(), angle.sin())).float()


def released_rotary_table(
    grid: Grid, head_dim: int, native: Grid | None = None, device: torch.device | None = None
) -> Float[Tensor, "2 n head_dim"]:
    """Return factors of each channel and of its neighbour, by which V-JEPA 2's released weights were trained.

    Pairs are neighbours (2i, 2i + 1), but the frequencies run through the first half of an axis's channels and again
    through the second, so that the two of a pair turn by different angles. What `rotate` computes of these factors is
    x * factor[0] + neighbour(x) * factor[1]; the sign of the sine is in the table.

    Args:
        grid: Moments, rows and columns; (1, rows, columns) of an image.
        head_dim: Channels of an attention head; each axis has the largest even number that three times fits.
        native: See `rotary_table`.
        device: Where to put the table.

    Raises:
        UserError: If `head_dim` is odd or below 6, or the grid is not that of a clip.

    Source: the released code of Assran et al. 2025, V-JEPA 2 (arXiv 2506.09985), as described in its pull request 15.
    Deviations: none; new training should take `rotary_table`.
    """
    if head_dim % 2 or head_dim < 6 or len(grid) != 3:
        raise UserError(
            f"V-JEPA 2's released rotary positions are for clips and an even head width of at least 6, got a grid of "
            f"{len(grid)} axes and a width of {head_dim}."
        )
    half = head_dim // 6
    omega = _frequencies(half, device)
    angle = torch.cat([torch.outer(axis, omega).repeat(1, 2) for axis in _scaled(grid, native, device)], dim=1)
    angle = F.pad(angle, (0, head_dim - angle.shape[1]))
    sign = torch.tensor((-1.0, 1.0), dtype=angle.dtype, device=device).repeat(head_dim // 2)
    return torch.stack((angle.cos(), angle.sin() * sign)).float()


def time_table(num_frames: int, head_dim: int, device: torch.device | None = None) -> Complex[Tensor, "t half"]:
    """Return the rotation of each pair of channels (2i, 2i + 1) for each frame of a sequence, as complex numbers.

    Raises:
        UserError: If `head_dim` is odd.

    Source: Su et al. 2021, RoFormer (arXiv 2104.09864), equation 34. Deviations: none.
    """
    if head_dim % 2:
        raise UserError(f"rotary positions need an even head width, got {head_dim}; change head_dim.")
    frames = torch.arange(num_frames, dtype=_table_dtype(device), device=device)
    angle = torch.outer(frames, _frequencies(head_dim // 2, device))
    return torch.complex(angle.cos().float(), angle.sin().float())


def turn(x: Float[Tensor, "*n head_dim"], rotation: Complex[Tensor, "*m half"]) -> Float[Tensor, "*n head_dim"]:
    """Turn each pair of neighbouring channels by a rotation, in one complex product; the axes of both broadcast."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    turned = torch.view_as_complex(wide.unflatten(-1, (-1, 2))) * rotation
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def rotate(x: Float[Tensor, "b heads n head_dim"], rotation: Float[Tensor, "2 b1 1 n _"]) -> Tensor:
    """Turn pairs of channels of queries or keys by their token's angle; `b1` is b, or 1 for all samples alike.

    Args:
        x: Queries or keys.
        rotation: A selection of `rotary_table`, half as wide as a head, or of `released_rotary_table`, as wide.
    """
    cosine, sine = rotation
    if rotation.shape[-1] == x.shape[-1]:
        neighbour = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
        return (x * cosine + neighbour * sine).to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)  # float32 at least
    return turned.to(x.dtype)


def select_rotation(
    table: Float[Tensor, "2 n p"], idx: Int[Tensor, "b k"] | None = None
) -> Float[Tensor, "2 b1 1 k p"]:
    """Return the rotations of the tokens at `idx` (of all tokens without it) in the form that `rotate` takes."""
    return table[:, None, None] if idx is None else table[:, idx][:, :, None]


def resize_table(table: Float[Tensor, "n d"], grid: Grid, new_grid: Grid) -> Float[Tensor, "new_n d"]:
    """Return a table of positions for another grid: bicubic for images, as in Hugging Face's I-JEPA, else trilinear."""
    picture = table.mT.unflatten(1, grid)[None]
    mode = "bicubic" if len(grid) == 2 else "trilinear"
    return F.interpolate(picture, size=new_grid, mode=mode, align_corners=False)[0].flatten(1).mT


def _coordinates(grid: Grid, device: torch.device | None) -> Float[Tensor, "n axes"]:
    dtype = _table_dtype(device)
    axes = [torch.arange(size, dtype=dtype, device=device) for size in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)


def _scaled(grid: Grid, native: Grid | None, device: torch.device | None) -> list[Float[Tensor, " n"]]:
    """Return the coordinate of each token along each axis, rows and columns in units of the grid of training."""
    axes = list(_coordinates(grid, device).unbind(-1))
    for axis in (-2, -1):
        if native is not None:
            axes[axis] = axes[axis] * (native[axis] / grid[axis])
    return axes


def _frequencies(num: int, device: torch.device | None) -> Float[Tensor, " num"]:
    return _BASE ** -(torch.arange(num, dtype=_table_dtype(device), device=device) / max(num, 1))


def _table_dtype(device: torch.device | None) -> torch.dtype:
    return torch.float32 if device is not None and device.type == "mps" else torch.float64  # MPS has no float64
