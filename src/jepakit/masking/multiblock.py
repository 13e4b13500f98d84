"""Hide blocks of patches: I-JEPA's multi-block masks without the reference collator's biases, and a single block.

Source: Assran et al. 2023, "Self-supervised learning from images with a joint-embedding predictive architecture"
(arXiv 2301.08243), section 3. Deviations of the default mode are listed at `MultiBlock`; `mode="paper"` has none in
its statistics.
"""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Int
from torch import Tensor

from jepakit.masking.blocks import (
    Grid,
    Range,
    block_size,
    block_sizes,
    check_grid,
    covered_tokens,
    first_tokens,
    random_order,
    raster_key,
    scattered_blocks,
    step_uniforms,
    within,
)
from jepakit.masking.paper import check_paper, paper_blocks
from jepakit.types import Hidden, require


@dataclass(frozen=True, kw_only=True)
class MultiBlock:
    """Ask about several blocks of patches and show a random part of the rest, as I-JEPA does.

    All blocks of a step have one size, drawn per step; their positions are drawn per sample and may overlap. With
    `m` patches in a block every sample shows the same number of patches, k = context_scale * (n - num_targets * m), a
    uniformly random subset of those that no block covers.

    Deviations from the reference collator, which `mode="paper"` reproduces in its statistics: every patch can be a
    target; scale and aspect ratio are drawn independently; the context is an unbiased random subset instead of a
    square cut to the batch minimum in raster order, so a sample's mask never depends on the others in its batch.
    The paper mode depends on the batch by design, and waits for the device once a call.

    Args:
        grid: Rows and columns of patches.
        num_targets: Blocks asked about, `q`.
        target_scale: Range of a block's area as a fraction of the grid.
        aspect: Range of a block's height over its width.
        context_scale: Range of the context's size, drawn per step: a fraction of the patches that are certainly
            outside all blocks (default mode), or of the grid before the blocks are cut out (paper mode).
        min_keep: Context patches that must always remain.
        mode: "default" or "paper".
        seed: Seed of the draws.

    Raises:
        UserError: The settings do not always leave `min_keep` context patches.

    Example:
        >>> import torch
        >>> hidden = MultiBlock(grid=(14, 14))(torch.arange(2), 0)
        >>> hidden.target_idx.shape[:2]
        torch.Size([2, 4])
    """

    grid: Grid
    num_targets: int = 4
    target_scale: Range = (0.15, 0.2)
    aspect: Range = (0.75, 1.5)
    context_scale: Range = (0.85, 1.0)
    min_keep: int = 10
    mode: Literal["default", "paper"] = "default"
    seed: int = 0

    def __post_init__(self) -> None:
        check_grid("MultiBlock", self.grid, self.target_scale, self.aspect)
        check_grid("MultiBlock", self.grid, self.context_scale, self.aspect)
        require(self.mode in ("default", "paper"), f'MultiBlock: mode must be "default" or "paper", got {self.mode!r}.')
        require(self.num_targets >= 1, f"MultiBlock: num_targets must be at least 1, got {self.num_targets}.")
        require(self.min_keep >= 1, f"MultiBlock: min_keep must be at least 1, got {self.min_keep}.")
        if self.mode == "paper":
            check_paper(self.grid, self.target_scale, self.aspect, self.context_scale, self.min_keep)
            return
        largest = max(h * w for h, w in block_sizes(self.grid, self.target_scale, self.aspect))
        rest = self.grid[0] * self.grid[1] - self.num_targets * largest
        kept = self.context_size(largest, self.context_scale[0])
        require(
            kept >= self.min_keep,
            f"MultiBlock: {self.num_targets} blocks of up to {largest} patches can leave only {max(rest, 0)} of the "
            f"{self.grid[0]}x{self.grid[1]} patches, of which {max(kept, 0)} would be shown, but min_keep is "
            f"{self.min_keep}; lower num_targets, target_scale or min_keep, or use smaller patches.",
        )

    def context_size(self, block_area: int, context_scale: float) -> int:
        """Return how many patches are shown beside blocks of this many patches."""
        return int(context_scale * (self.grid[0] * self.grid[1] - self.num_targets * block_area) + 1e-6)

    def __call__(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose context (b, k) and targets (b, q, m) for the samples of a step; all indices in raster order."""
        if self.mode == "paper":
            return paper_blocks(
                ids,
                step,
                grid=self.grid,
                num_targets=self.num_targets,
                target_scale=self.target_scale,
                aspect=self.aspect,
                context_scale=self.context_scale,
                min_keep=self.min_keep,
                seed=self.seed,
            )
        num_tokens = self.grid[0] * self.grid[1]
        u_scale, u_aspect, u_context = step_uniforms(self.seed, step, 3)
        size = block_size(self.grid, within(self.target_scale, u_scale) * num_tokens, within(self.aspect, u_aspect))
        target_idx = scattered_blocks(ids, step, self.seed, self.num_targets, size, self.grid)
        key = random_order(self.seed, ids, step, num_tokens)
        num_context = self.context_size(size[0] * size[1], within(self.context_scale, u_context))
        context_idx = first_tokens(key, covered_tokens(target_idx, num_tokens), num_context)
        return Hidden(context_idx=context_idx, target_idx=target_idx)


@dataclass(frozen=True, kw_only=True)
class BlockMask:
    """Hide one block of patches and show all the rest (inpainting).

    Args:
        grid: Rows and columns of patches.
        scale: Range of the block's area as a fraction of the grid; its size is drawn per step.
        aspect: Range of the block's height over its width.
        seed: Seed of the draws.

    Raises:
        UserError: The block can cover the whole grid.
    """

    grid: Grid
    scale: Range = (0.2, 0.4)
    aspect: Range = (0.75, 1.5)
    seed: int = 0

    def __post_init__(self) -> None:
        check_grid("BlockMask", self.grid, self.scale, self.aspect)
        largest = max(h * w for h, w in block_sizes(self.grid, self.scale, self.aspect))
        require(
            largest < self.grid[0] * self.grid[1],
            f"BlockMask: a block of scale {self.scale} can cover the whole {self.grid[0]}x{self.grid[1]} grid; "
            "lower the scale or use smaller patches.",
        )

    def __call__(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose context (b, n - m) and target (b, 1, m) for the samples of a step; all indices in raster order."""
        num_tokens = self.grid[0] * self.grid[1]
        u_scale, u_aspect = step_uniforms(self.seed, step, 2)
        size = block_size(self.grid, within(self.scale, u_scale) * num_tokens, within(self.aspect, u_aspect))
        target_idx = scattered_blocks(ids, step, self.seed, 1, size, self.grid)
        covered = covered_tokens(target_idx, num_tokens)
        context_idx = first_tokens(raster_key(covered), covered, num_tokens - size[0] * size[1])
        return Hidden(context_idx=context_idx, target_idx=target_idx)
