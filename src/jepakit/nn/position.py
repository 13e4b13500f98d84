"""Say where a token is: fixed sine and cosine tables that are added, or rotations of queries and keys.

Tokens of an image are counted row by row; a coordinate is (row, column). Tables are built in float64 and kept in
float32, so that they equal the published ones to the last bit that matters.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Complex, Float, Int
from torch import Tensor

from jepakit.types import UserError

Positions = Literal["sincos", "rotary"]
OtherSizes = Literal["interpolate", "regenerate"]
Grid = tuple[int, int]

_BASE = 10000.0


def sincos_table(grid: Grid, dim: int, device: torch.device | None = None) -> Float[Tensor, "n d"]:
    """Return the 2-D sine and cosine embedding of each token of a grid: column half first, then row half.

    Raises:
        UserError: If `dim` is not divisible by 4 (sine and cosine of row and column).

    Source: Assran et al. 2023, I-JEPA (arXiv 2301.08243), after Vaswani et al. 2017 (arXiv 1706.03762), section 3.5.
    Deviations: none.
    """
    if dim % 4:
        raise UserError(
            f"sin-cos positions need a width divisible by 4, got {dim}; change dim or use rotary positions."
        )
    row, column = _coordinates(grid, device).unbind(-1)
    omega = _frequencies(dim // 4, device)
    halves = [torch.outer(axis, omega) for axis in (column, row)]
    return torch.cat([part for angle in halves for part in (angle.sin(), angle.cos())], dim=1).float()


def rotary_table(
    grid: Grid, head_dim: int, native: Grid | None = None, device: torch.device | None = None
) -> Float[Tensor, "2 n half"]:
    """Return cosine and sine of the rotation of each pair of channels for each token of a grid.

    The first half of the pairs turns with the row, the second with the column; where the number of pairs is odd, the
    last pair stays as it is.

    Args:
        grid: Rows and columns of tokens.
        head_dim: Channels of an attention head, in pairs (i, i + head_dim / 2).
        native: Grid of training, onto which coordinates are scaled; `None` leaves them in units of patches.
        device: Where to put the table.

    Raises:
        UserError: If `head_dim` is odd or below 4.

    Source: Su et al. 2021, RoFormer (arXiv 2104.09864), equation 34, per axis as in V-JEPA 2 (arXiv 2506.09985).
    Deviation: both channels of a pair turn by the same angle, which V-JEPA 2's released code misses (image-video §2.3).
    """
    if head_dim % 2 or head_dim < 4:
        raise UserError(
            f"rotary positions need an even head width of at least 4, got {head_dim}; change dim or num_heads."
        )
    row, column = _coordinates(grid, device).unbind(-1)
    if native is not None:
        row, column = row * (native[0] / grid[0]), column * (native[1] / grid[1])
    num_pairs = head_dim // 2
    omega = _frequencies(num_pairs // 2, device)
    angle = torch.cat((torch.outer(row, omega), torch.outer(column, omega)), dim=1)
    angle = F.pad(angle, (0, num_pairs - angle.shape[1]))
    return torch.stack((angle.cos(), angle.sin())).float()


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


def rotate(x: Float[Tensor, "b heads n head_dim"], rotation: Float[Tensor, "2 b1 1 n half"]) -> Tensor:
    """Turn each pair of channels of queries or keys by its token's angle; `b1` is b, or 1 for all samples alike."""
    cosine, sine = rotation
    first, second = x.chunk(2, dim=-1)
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)  # float32 at least
    return turned.to(x.dtype)


def select_rotation(
    table: Float[Tensor, "2 n half"], idx: Int[Tensor, "b k"] | None = None
) -> Float[Tensor, "2 b1 1 k half"]:
    """Return the rotations of the tokens at `idx` (of all tokens without it) in the form that `rotate` takes."""
    return table[:, None, None] if idx is None else table[:, idx][:, :, None]


def resize_table(table: Float[Tensor, "n d"], grid: Grid, new_grid: Grid) -> Float[Tensor, "new_n d"]:
    """Return a table of positions for another grid by bicubic interpolation, as Hugging Face's I-JEPA does."""
    image = rearrange(table, "(h w) d -> 1 d h w", h=grid[0])
    image = F.interpolate(image, size=new_grid, mode="bicubic", align_corners=False)
    return rearrange(image, "1 d h w -> (h w) d")


def _coordinates(grid: Grid, device: torch.device | None) -> Float[Tensor, "n 2"]:
    dtype = _table_dtype(device)
    row, column = (torch.arange(size, dtype=dtype, device=device) for size in grid)
    return torch.stack(torch.meshgrid(row, column, indexing="ij"), dim=-1).flatten(0, 1)


def _frequencies(num: int, device: torch.device | None) -> Float[Tensor, " num"]:
    return _BASE ** -(torch.arange(num, dtype=_table_dtype(device), device=device) / max(num, 1))


def _table_dtype(device: torch.device | None) -> torch.dtype:
    return torch.float32 if device is not None and device.type == "mps" else torch.float64  # MPS has no float64
