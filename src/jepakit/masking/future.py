"""Show the past and ask about the future: one question for each horizon, about all there is at that moment.

Source: the future-only masks of video and series JEPAs (V-JEPA, arXiv 2404.08471, section 3; TS-JEPA, arXiv
2509.25449, beside its random masks). Deviations: several horizons are asked about at once, each a question of its own.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.masking.blocks import Grid, Range, step_uniforms, within
from jepakit.types import Hidden, require


@dataclass(frozen=True, kw_only=True)
class FutureMask:
    """Show all before a moment, which all samples of a step share, and ask about moments after it.

    Args:
        grid: Rows and columns of patches, of which columns are the moments; of clips moments, rows and columns.
        horizons: Moments ahead, each a question: 1 is the first that is not seen.
        seen: Range of the fraction of moments that are shown, drawn per step; the farthest horizon always fits.
        seed: Seed of the draws.

    Raises:
        UserError: There is no horizon, one is below 1, or no moment could be shown.

    Example:
        >>> hidden = FutureMask(grid=(2, 8), horizons=(1, 4), seen=(0.5, 0.5))(torch.arange(3), 0)
        >>> hidden.target_idx[0].tolist()
        [[4, 12], [7, 15]]
    """

    grid: Grid
    horizons: tuple[int, ...] = (1, 2, 4)
    seen: Range = (0.5, 1.0)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "horizons", tuple(self.horizons))
        require(
            bool(self.horizons) and min(self.horizons) >= 1,
            f"FutureMask: horizons are whole numbers of moments from 1, got {self.horizons}.",
        )
        require(0 < self.seen[0] <= self.seen[1] <= 1, f"FutureMask: seen needs 0 < low <= high <= 1, got {self.seen}.")
        require(
            max(self.horizons) < self.num_moments,
            f"FutureMask: a horizon of {max(self.horizons)} moments leaves nothing to show of {self.num_moments}.",
        )

    @property
    def num_moments(self) -> int:
        """Return how many moments there are: columns, or the first axis of a clip."""
        return self.grid[1] if len(self.grid) == 2 else self.grid[0]

    def __call__(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose context (b, k) and targets (b, q, m) for the samples of a step; all indices in raster order."""
        (u,) = step_uniforms(self.seed, step, 1)
        last = self.num_moments - max(self.horizons)
        now = min(max(round(within(self.seen, u) * self.num_moments), 1), last)
        place = torch.arange(math.prod(self.grid), device=ids.device)
        at = place.view(self.grid).mT if len(self.grid) == 2 else place.view(self.num_moments, -1)
        asked = torch.stack([at[now + horizon - 1] for horizon in self.horizons])
        seen = at[:now].flatten().sort().values
        return Hidden(context_idx=seen.expand(len(ids), -1), target_idx=asked.expand(len(ids), -1, -1))
