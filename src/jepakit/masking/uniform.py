"""Hide a uniformly random set of patches and show all the rest.

Source: He et al. 2021, "Masked autoencoders are scalable vision learners" (arXiv 2111.06377), section 3. Deviations:
the hidden patches can be split into several questions.
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Int
from torch import Tensor

from jepakit.masking.blocks import Grid, random_order
from jepakit.types import Hidden, require


@dataclass(frozen=True, kw_only=True)
class RandomMask:
    """Hide a fixed number of patches, uniformly at random for each sample; the rest is the context.

    The hidden patches are dealt out to `num_targets` disjoint questions of equal size, so k + q * m = n exactly.

    Args:
        grid: Rows and columns of patches; of clips moments, rows and columns.
        target_fraction: Fraction of the patches hidden, rounded to a multiple of `num_targets`.
        num_targets: Questions that the hidden patches are split into, `q`.
        seed: Seed of the draws.

    Raises:
        UserError: No patch would be hidden, or none shown.
    """

    grid: Grid
    target_fraction: float = 0.75
    num_targets: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.num_targets >= 1, f"RandomMask: num_targets must be at least 1, got {self.num_targets}.")
        num_tokens, num_hidden = math.prod(self.grid), self.num_targets * self.question_size
        require(
            0 < num_hidden < num_tokens,
            f"RandomMask: target_fraction {self.target_fraction} in {self.num_targets} question(s) hides {num_hidden} "
            f"of {num_tokens} patches, but some must be hidden and some shown; change target_fraction or num_targets.",
        )

    @property
    def question_size(self) -> int:
        """Return the number of patches in a question, `m`."""
        return round(self.target_fraction * math.prod(self.grid) / self.num_targets)

    def __call__(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose context (b, k) and targets (b, q, m) for the samples of a step; all indices in raster order."""
        order = torch.argsort(random_order(self.seed, ids, step, math.prod(self.grid)), dim=1)
        num_hidden = self.num_targets * self.question_size
        target_idx = rearrange(order[:, :num_hidden], "b (q m) -> b q m", q=self.num_targets)
        return Hidden(context_idx=order[:, num_hidden:].sort(dim=1).values, target_idx=target_idx.sort(dim=2).values)
