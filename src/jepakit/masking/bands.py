"""Hide whole columns or whole rows of patches: stretches of time, or bands of frequency.

In a sound or a record the patches of one moment tell much of each other, so a mask that leaves some of them visible
asks little about what was heard. Whole columns hide a stretch of time in all channels or frequencies; whole rows hide
a channel or a band of frequencies all along.

Source: the time- and frequency-aware masks of Fei et al. 2023, "A-JEPA" (arXiv 2311.15830). Deviations: bands have one
width and do not overlap; there is no curriculum.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Int
from torch import Tensor

from jepakit.masking.blocks import Grid, covered_tokens, first_tokens, raster_key, require_flat
from jepakit.random import Stream
from jepakit.types import Hidden, require


@dataclass(frozen=True, kw_only=True)
class BandMask:
    """Hide `num_targets` bands of equal width, one somewhere in each of as many equal parts; the rest is the context.

    Args:
        grid: Rows and columns of patches.
        along: `time`: a band is some columns, in all rows. `rows`: some rows, in all columns.
        target_fraction: Fraction of the columns (or rows) hidden, rounded to a multiple of `num_targets`.
        num_targets: Bands, each a question of its own, `q`.
        seed: Seed of the draws.

    Raises:
        UserError: `along` is unknown, no band would be hidden, or none shown.

    Example:
        >>> hidden = BandMask(grid=(2, 8), target_fraction=0.25)(torch.arange(3), 0)
        >>> hidden.context_idx.shape, hidden.target_idx.shape
        (torch.Size([3, 12]), torch.Size([3, 1, 4]))
    """

    grid: Grid
    along: Literal["time", "rows"] = "time"
    target_fraction: float = 0.5
    num_targets: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        require_flat("BandMask", self.grid)
        require(self.along in ("time", "rows"), f'BandMask: along must be "time" or "rows", got {self.along!r}.')
        require(self.num_targets >= 1, f"BandMask: num_targets must be at least 1, got {self.num_targets}.")
        require(
            0 < self.width <= self.length // self.num_targets and self.num_targets * self.width < self.length,
            f"BandMask: target_fraction {self.target_fraction} in {self.num_targets} band(s) hides "
            f"{self.num_targets * self.width} of {self.length} {'columns' if self.along == 'time' else 'rows'}, but "
            "some must be hidden and some shown; change target_fraction or num_targets.",
        )

    @property
    def length(self) -> int:
        """Return how many columns (or rows) there are."""
        return self.grid[1] if self.along == "time" else self.grid[0]

    @property
    def width(self) -> int:
        """Return the columns (or rows) of a band."""
        return round(self.target_fraction * self.length / self.num_targets)

    def __call__(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose context (b, k) and targets (b, q, m) for the samples of a step; all indices in raster order."""
        part = torch.arange(self.num_targets + 1, device=ids.device) * self.length // self.num_targets
        room = part[1:] - part[:-1] - self.width + 1
        first = part[:-1] + Stream(self.seed, "mask-band").integers(step, ids, self.num_targets, room)
        band = first[..., None] + torch.arange(self.width, device=ids.device)
        target_idx = self._tokens(band)
        num_tokens = self.grid[0] * self.grid[1]
        hidden = covered_tokens(target_idx, num_tokens)
        num_seen = num_tokens - target_idx.shape[1] * target_idx.shape[2]
        return Hidden(context_idx=first_tokens(raster_key(hidden), hidden, num_seen), target_idx=target_idx)

    def _tokens(self, band: Int[Tensor, "b q w"]) -> Int[Tensor, "b q m"]:
        """Return the patches of bands of columns, or of rows."""
        rows, columns = (torch.arange(side, device=band.device) for side in self.grid)
        if self.along == "time":
            tokens = rows[:, None] * self.grid[1] + repeat(band, "b q w -> b q 1 w")
        else:
            tokens = band[..., None] * self.grid[1] + columns
        return rearrange(tokens, "b q r c -> b q (r c)")
