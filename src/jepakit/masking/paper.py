"""Reproduce the statistics of the reference I-JEPA mask collator, its biases included.

Source: Assran et al. 2023 (arXiv 2301.08243) and the released collator, described in words and numbers in our notes:
one uniform draw a step sets both scale and aspect ratio of the target blocks; sides stay strictly below the grid's
and corners strictly below their last possible place, so the last row and column are never seen or asked about; a
context of no more than `min_keep` patches is drawn again up to 20 times before one target block is allowed to overlap
it; contexts are cut to the smallest of the batch by keeping their first patches in raster order.
Deviations: draws are functions of (seed, step, sample id); only the cut depends on the batch.
"""

import math

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from jepakit.masking.blocks import (
    Grid,
    Range,
    block_tokens,
    covered_tokens,
    first_tokens,
    raster_key,
    step_uniforms,
    within,
)
from jepakit.random import Stream
from jepakit.types import Hidden, require

_NUM_TRIES = 20


def paper_size(grid: Grid, scale: Range, aspect: Range, u: float) -> tuple[int, int]:
    """Return the sides of a block whose scale and aspect ratio both come from the one draw `u`."""
    area, ratio = int(grid[0] * grid[1] * within(scale, u)), within(aspect, u)
    height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    return min(height, grid[0] - 1), min(width, grid[1] - 1)


def check_paper(grid: Grid, target_scale: Range, aspect: Range, context_scale: Range, min_keep: int) -> None:
    """Raise `UserError` unless every target and context block has more than `min_keep` patches."""
    draws = [i / 1024 for i in range(1025)]
    for name, scale, ratio in (("target", target_scale, aspect), ("context", context_scale, (1.0, 1.0))):
        smallest = min(h * w for h, w in (paper_size(grid, scale, ratio, u) for u in draws))
        require(
            smallest > min_keep,
            f'MultiBlock: with mode="paper" a {name} block of the {grid[0]}x{grid[1]} grid can have only {smallest} '
            f"patches, but min_keep is {min_keep} and it must have more; raise {name}_scale, lower min_keep, use "
            'smaller patches, or mode="default".',
        )


def paper_corners(
    axis_streams: tuple[Stream, Stream], ids: Int[Tensor, " b"], step: int, num: int, size: tuple[int, int], grid: Grid
) -> tuple[Int[Tensor, "b num"], Int[Tensor, "b num"]]:
    """Return top-left corners drawn below, never at, the last possible row and column."""
    row, column = axis_streams
    return row.integers(step, ids, num, grid[0] - size[0]), column.integers(step, ids, num, grid[1] - size[1])


def paper_blocks(
    ids: Int[Tensor, " b"],
    step: int,
    *,
    grid: Grid,
    num_targets: int,
    target_scale: Range,
    aspect: Range,
    context_scale: Range,
    min_keep: int,
    seed: int,
) -> Hidden:
    """Return targets (b, q, m), and contexts cut to the size of the batch's smallest; waits for the device."""
    u_target, u_context = step_uniforms(seed, step, 2)
    target_idx = paper_targets(ids, step, num_targets, paper_size(grid, target_scale, aspect, u_target), grid, seed)
    context_size = paper_size(grid, context_scale, (1.0, 1.0), u_context)
    seen = paper_contexts(ids, step, target_idx, context_size, grid, min_keep, seed)
    num_context = int(seen.sum(dim=1).min())
    return Hidden(context_idx=first_tokens(raster_key(seen), ~seen, num_context), target_idx=target_idx)


def paper_targets(
    ids: Int[Tensor, " b"], step: int, num: int, size: tuple[int, int], grid: Grid, seed: int
) -> Int[Tensor, "b q m"]:
    """Place each sample's target blocks of this size."""
    streams = (Stream(seed, "mask-paper-row"), Stream(seed, "mask-paper-column"))
    return block_tokens(*paper_corners(streams, ids, step, num, size, grid), size, grid)


def paper_contexts(
    ids: Int[Tensor, " b"],
    step: int,
    target_idx: Int[Tensor, "b q m"],
    size: tuple[int, int],
    grid: Grid,
    min_keep: int,
    seed: int,
) -> Bool[Tensor, "b n"]:
    """Return which tokens each sample's context block holds after the targets are cut out, before any truncation."""
    num_tokens, num_targets = grid[0] * grid[1], target_idx.shape[1]
    num_tries = _NUM_TRIES * (num_targets + 1)
    streams = (Stream(seed, "mask-paper-context-row"), Stream(seed, "mask-paper-context-column"))
    top, left = paper_corners(streams, ids, step, num_tries, size, grid)
    seen = torch.zeros(ids.shape[0], num_tokens, dtype=torch.bool, device=ids.device)
    done = torch.zeros(ids.shape[0], 1, dtype=torch.bool, device=ids.device)
    for attempt in range(num_tries):
        num_kept_out = num_targets - attempt // _NUM_TRIES
        block = covered_tokens(block_tokens(top[:, attempt, None], left[:, attempt, None], size, grid), num_tokens)
        allowed = block & ~covered_tokens(target_idx[:, :num_kept_out], num_tokens)
        valid = allowed.sum(dim=1, keepdim=True) > min_keep
        seen = torch.where(valid & ~done, allowed, seen)
        done = done | valid
        if bool(done.all()):
            break
    return seen
