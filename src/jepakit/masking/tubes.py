"""Hide tubes of a clip: blocks of patches that stay hidden through all of its frames.

A block at the same place in every frame leaves nothing to copy from the frame before.

Source: the 3-D multi-block masks of Bardes et al. 2024, V-JEPA (arXiv 2404.08471), section 3.2: short-range masks are
the union of eight blocks of 15 % of a frame, long-range ones that of two blocks of 70 %.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Int
from torch import Tensor

from jepakit.collectives import gather
from jepakit.masking.blocks import (
    Grid,
    Range,
    block_size,
    block_tokens,
    check_grid,
    covered_tokens,
    first_tokens,
    raster_key,
    scattered_blocks,
    step_uniforms,
    within,
)
from jepakit.random import Stream
from jepakit.types import Hidden, require

_TRIES = 8
"""Unions that are drawn for each clip, of which one is taken."""


@dataclass(frozen=True, kw_only=True)
class TubeMask:
    """Hide a union of blocks through all frames and show all the rest.

    Deviations of the default mode from the released collator, whose biases mode "paper" keeps: that one cuts context
    and targets to the smallest of the batch by dropping the last tokens, which are the end of the clip: two thirds of
    the context at its batch sizes. Here every clip hides as many places as blocks of the step's size cover on average.
    Of eight unions drawn for each clip the one of the nearest size is taken, and a few random places make up the
    difference; so no token is thrown away, all frames are treated alike, and no clip's mask depends on the others in
    its batch. Blocks slide off the edges as in `scattered_blocks`.

    Args:
        grid: Moments, rows and columns of patches.
        num_blocks: Blocks whose union is hidden.
        scale: Range of a block's area as a fraction of a frame, drawn per step.
        aspect: Range of a block's height over its width, drawn per step.
        mode: "default" or "paper", which waits for the device once a call and depends on the batch.
        seed: Seed of the draws.

    Raises:
        UserError: The grid is not that of a clip, or a block can cover a whole frame.

    Example:
        >>> hidden = TubeMask(grid=(8, 14, 14))(torch.arange(2), 0)
        >>> hidden.context_idx.shape[1] + hidden.target_idx.shape[2] == 8 * 14 * 14
        True
    """

    grid: Grid
    num_blocks: int = 8
    scale: Range = (0.15, 0.15)
    aspect: Range = (0.75, 1.5)
    mode: Literal["default", "paper"] = "default"
    seed: int = 0

    def __post_init__(self) -> None:
        require(len(self.grid) == 3, f"TubeMask: grid is (moments, rows, columns) of patches, got {self.grid}.")
        check_grid("TubeMask", self.frame, self.scale, self.aspect)
        require(self.grid[0] >= 1, f"TubeMask: a clip has at least one moment, got {self.grid}.")
        require(self.num_blocks >= 1, f"TubeMask: num_blocks must be at least 1, got {self.num_blocks}.")
        require(self.mode in ("default", "paper"), f'TubeMask: mode must be "default" or "paper", got {self.mode!r}.')
        require(
            self.frame[0] * self.frame[1] >= 2 and self.scale[1] < 1,
            f"TubeMask: a block of scale {self.scale} can cover a whole frame of {self.frame[0]}x{self.frame[1]} "
            "patches; lower the scale or use smaller patches.",
        )

    @property
    def frame(self) -> tuple[int, int]:
        """Return rows and columns of patches."""
        return self.grid[1], self.grid[2]

    def __call__(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose context (b, k) and targets (b, 1, m) for the clips of a step; all indices in raster order."""
        num_places = self.frame[0] * self.frame[1]
        u_scale, u_aspect = step_uniforms(self.seed, step, 2)
        area, aspect = within(self.scale, u_scale) * num_places, within(self.aspect, u_aspect)
        if self.mode == "paper":
            sides = math.sqrt(int(area) * aspect), math.sqrt(int(area) / aspect)
            rows, columns = (min(round(side), whole) for side, whole in zip(sides, self.frame, strict=True))
            return self._paper(ids, step, (rows, columns))
        size = block_size(self.frame, area, aspect)
        num_hidden = min(max(round(mean_union(self.frame, size, self.num_blocks)), 1), num_places - 1)
        covered = self._nearest_union(ids, step, size, num_hidden)
        order = Stream(self.seed, "mask-tube").uniform(step, ids, num_places) - covered.float()  # covered ones first
        hidden = torch.zeros_like(covered).scatter(1, order.topk(num_hidden, dim=1, largest=False).indices, True)
        return Hidden(
            context_idx=self._tubes(first_tokens(raster_key(hidden), hidden, num_places - num_hidden)),
            target_idx=self._tubes(first_tokens(raster_key(hidden), ~hidden, num_hidden))[:, None],
        )

    def _nearest_union(
        self, ids: Int[Tensor, " b"], step: int, size: tuple[int, int], num_hidden: int
    ) -> Bool[Tensor, "b n"]:
        """Return which places are covered, in the union of several drawn whose size is nearest to the wanted one."""
        covered = self._unions(scattered_blocks(ids, step, self.seed, _TRIES * self.num_blocks, size, self.frame))
        best = (covered.sum(dim=2) - num_hidden).abs().argmin(dim=1)
        return covered[torch.arange(len(ids), device=ids.device), best]

    def _unions(self, blocks: Int[Tensor, "b q m"]) -> Bool[Tensor, "b s n"]:
        """Return which places each of several drawn unions of blocks covers."""
        tries = rearrange(blocks, "b (s q) m -> (b s) q m", s=_TRIES)
        return covered_tokens(tries, self.frame[0] * self.frame[1]).unflatten(0, (-1, _TRIES))

    def _tubes(self, places: Int[Tensor, "b k"]) -> Int[Tensor, "b n"]:
        """Return the tokens of places in all frames."""
        first = torch.arange(self.grid[0], device=places.device) * (self.frame[0] * self.frame[1])
        return rearrange(first[:, None] + places[:, None], "b t k -> b (t k)")

    def _paper(self, ids: Int[Tensor, " b"], step: int, size: tuple[int, int]) -> Hidden:
        """Return a mask as the released collator draws it, cut to the smallest of all processes' batches."""
        num_tokens = self.grid[0] * self.frame[0] * self.frame[1]
        top, left = (
            Stream(self.seed, f"mask-paper-{axis}").integers(step, ids, _TRIES * self.num_blocks, whole - part + 1)
            for axis, whole, part in zip(("row", "column"), self.frame, size, strict=True)
        )
        tries = self._unions(block_tokens(top, left, size, self.frame))
        first = (~tries.all(dim=2)).float().argmax(dim=1)  # of those that leave something to see
        hidden = tries[torch.arange(len(ids), device=ids.device), first].repeat(1, self.grid[0])
        num_hidden = hidden.sum(dim=1)
        counts = gather((num_tokens - int(num_hidden.max()), int(num_hidden.min())))
        num_context, num_target = (min(count[part] for count in counts) for part in (0, 1))
        require(num_context > 0, "TubeMask: the blocks of a clip cover whole frames; lower num_blocks or scale.")
        key = raster_key(hidden)
        return Hidden(first_tokens(key, hidden, num_context), first_tokens(key, ~hidden, num_target)[:, None])


@lru_cache(maxsize=256)
def mean_union(frame: tuple[int, int], size: tuple[int, int], num_blocks: int) -> float:
    """Return how many places of a frame so many blocks of `scattered_blocks` cover together on average."""
    row, column = (_coverage(whole, part) for whole, part in zip(frame, size, strict=True))
    return float((1.0 - (1.0 - row[:, None] * column) ** num_blocks).sum())


def _coverage(whole: int, part: int) -> Tensor:
    """Return how likely a sliding block covers each row (or column)."""
    first = (torch.arange(whole + part - 1) - (part - 1)).clamp(0, whole - part)
    place = torch.arange(whole)[:, None]
    return ((place >= first) & (place < first + part)).double().mean(dim=1)
