"""Hold the geometry that all masks share: block sizes, block positions, and uniformly random subsets of tokens.

Block sizes are host integers, since the shapes of a step's tensors follow from them; everything about a sample stays
on the device of its id and is computed for the whole batch at once.
"""

import math
from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Bool, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import Hidden, require

Grid = tuple[int, ...]
"""Rows and columns of patches; of clips moments, rows and columns."""

Range = tuple[float, float]
Mask = Callable[[Int[Tensor, " b"], int], Hidden]


def check_grid(name: str, grid: Grid, scale: Range, aspect: Range) -> None:
    """Raise `UserError` unless the grid and the ranges of scale and aspect ratio make sense."""
    require_flat(name, grid)
    require(min(grid) >= 1, f"{name}: grid must have at least one row and one column of patches, got {grid}.")
    require(0 < scale[0] <= scale[1] <= 1, f"{name}: a scale needs 0 < low <= high <= 1, got {scale}.")
    require(0 < aspect[0] <= aspect[1], f"{name}: aspect needs 0 < low <= high, got {aspect}.")


def require_flat(name: str, grid: Grid) -> None:
    """Raise `UserError` unless the grid is that of an image or of a signal laid out as one."""
    require(
        len(grid) == 2, f"{name} hides patches of images and signals; of clips take TubeMask, FutureMask or RandomMask."
    )


def block_size(grid: Grid, area: float, aspect: float) -> tuple[int, int]:
    """Return the sides, in patches, of a block of about this area (patches) and aspect ratio (height over width)."""
    height = min(max(round(math.sqrt(area * aspect)), 1), grid[0])
    return height, min(max(round(area / height), 1), grid[1])


def block_sizes(grid: Grid, scale: Range, aspect: Range) -> set[tuple[int, int]]:
    """Return every block size that `block_size` can give for a scale and an aspect ratio in these ranges."""
    low, high = (s * grid[0] * grid[1] for s in scale)
    sizes = set()
    for height in range(1, grid[0] + 1):
        # the areas at which this height comes out of the rounding; the ends of the grid take all that lies beyond
        area_low = low if height == 1 else max(low, (height - 0.5) ** 2 / aspect[1])
        area_high = high if height == grid[0] else min(high, (height + 0.5) ** 2 / aspect[0])
        if area_low <= area_high:
            widths = range(block_width(grid, area_low, height), block_width(grid, area_high, height) + 1)
            sizes |= {(height, width) for width in widths}
    return sizes


def block_width(grid: Grid, area: float, height: int) -> int:
    """Return the width that brings a block of this height closest to this area (patches)."""
    return min(max(round(area / height), 1), grid[1])


def step_uniforms(seed: int, step: int, num: int) -> list[float]:
    """Return `num` draws in [0, 1) that all samples of a step share, as host numbers (computed on the CPU)."""
    draws = Stream(seed, "mask-size").uniform(step, torch.zeros(1, dtype=torch.long), num)
    return [float(u) for u in draws[0].tolist()]


def within(bounds: Range, u: float) -> float:
    """Map a draw in [0, 1) into `bounds`."""
    return bounds[0] + u * (bounds[1] - bounds[0])


def block_tokens(
    top: Int[Tensor, "b q"], left: Int[Tensor, "b q"], size: tuple[int, int], grid: Grid
) -> Int[Tensor, "b q m"]:
    """Return the token indices, in raster order, of the block of this size at each top-left corner."""
    rows = torch.arange(size[0], device=top.device)
    columns = torch.arange(size[1], device=top.device)
    offsets = rearrange(rows[:, None] * grid[1] + columns, "h w -> (h w)")
    return (top * grid[1] + left)[..., None] + offsets


def scattered_blocks(
    ids: Int[Tensor, " b"], step: int, seed: int, num: int, size: tuple[int, int], grid: Grid
) -> Int[Tensor, "b q m"]:
    """Place `num` blocks of one size in each sample's grid, covering edges about as often as the middle.

    A block slides over the grid from the first position that touches it to the last, uniformly, and is then pushed
    inside. With positions uniform *inside* the grid, a corner patch would be covered 36 times more rarely than the
    middle (6x6 blocks on 14x14); like this a row is covered at most twice as often as another, as long as blocks are
    no higher than half the grid, and likewise a column.
    """
    row = Stream(seed, "mask-row").integers(step, ids, num, grid[0] + size[0] - 1) - (size[0] - 1)
    column = Stream(seed, "mask-column").integers(step, ids, num, grid[1] + size[1] - 1) - (size[1] - 1)
    return block_tokens(row.clamp(0, grid[0] - size[0]), column.clamp(0, grid[1] - size[1]), size, grid)


def covered_tokens(idx: Int[Tensor, "b q m"], num_tokens: int) -> Bool[Tensor, "b n"]:
    """Return which of a sample's tokens appear in any of its `q` lists."""
    covered = torch.zeros(idx.shape[0], num_tokens, dtype=torch.bool, device=idx.device)
    return covered.scatter(1, rearrange(idx, "b q m -> b (q m)"), True)


def random_order(seed: int, ids: Int[Tensor, " b"], step: int, num_tokens: int) -> Int[Tensor, "b n"]:
    """Return a random sort key for every token of every sample; no two keys of a sample are equal."""
    token = torch.arange(num_tokens, device=ids.device)
    return Stream(seed, "mask-context").bits(step, ids, num_tokens) * num_tokens + token


def first_tokens(key: Int[Tensor, "b n"], excluded: Bool[Tensor, "b n"], num: int) -> Int[Tensor, "b k"]:
    """Return the `num` tokens of smallest key among each sample's that are not excluded, in raster order."""
    last = torch.iinfo(torch.long).max
    chosen = key.masked_fill(excluded, last).topk(num, dim=1, largest=False, sorted=False).indices
    return chosen.sort(dim=1).values


def raster_key(like: Bool[Tensor, "b n"]) -> Int[Tensor, "b n"]:
    """Return the sort key that keeps tokens in raster order."""
    return torch.arange(like.shape[1], device=like.device).expand(like.shape)
