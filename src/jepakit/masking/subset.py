"""Hide subsets of the features of a row, and show another subset: what T-JEPA asks of a table.

Source: Thimonier et al. 2024, "T-JEPA: Augmentation-free self-supervised learning for tabular data" (arXiv 2410.05016),
section 3. Deviations: the [REG] token is always shown and never asked about; draws are functions of sample and step.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.masking.blocks import Grid, Range, first_tokens, random_order, require_flat, step_uniforms, within
from jepakit.random import Stream
from jepakit.types import Hidden, require


@dataclass(frozen=True, kw_only=True)
class SubsetMask:
    """Show a random subset of the features, and ask about several random subsets of the others.

    How many are shown and asked is drawn per step; which, per sample. The subsets that are asked about may overlap.

    Args:
        grid: Rows and columns of tokens.
        context_share: Range of the share of the features that are shown.
        target_share: Range of the share that each question asks about; at most what is not shown.
        num_targets: Questions, `q`.
        num_always: Tokens, from the first on, that are always shown and never asked about: [REG], or none.
        seed: Seed of the draws.

    Raises:
        UserError: A range is none, or there are fewer than two features to divide.

    Example:
        >>> hidden = SubsetMask(grid=(11, 1), context_share=(0.5, 0.5), target_share=(0.2, 0.2))(torch.arange(3), 0)
        >>> hidden.context_idx.shape, hidden.target_idx.shape
        (torch.Size([3, 6]), torch.Size([3, 4, 2]))
    """

    grid: Grid
    context_share: Range = (0.3, 0.7)
    target_share: Range = (0.2, 0.4)
    num_targets: int = 4
    num_always: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        require_flat("SubsetMask", self.grid)
        for name, share in (("context_share", self.context_share), ("target_share", self.target_share)):
            require(0 < share[0] <= share[1] < 1, f"SubsetMask: {name} needs 0 < low <= high < 1, got {share}.")
        require(self.num_targets >= 1, f"SubsetMask: num_targets must be at least 1, got {self.num_targets}.")
        require(
            self.num_features >= 2,
            f"SubsetMask: a row of {self.num_features} feature(s) cannot be divided into what is shown and asked.",
        )

    @property
    def num_features(self) -> int:
        """Return how many tokens can be hidden."""
        return self.grid[0] * self.grid[1] - self.num_always

    def __call__(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose context (b, k) and targets (b, q, m) for the samples of a step; all indices in raster order."""
        n = self.num_features
        u_context, u_target = step_uniforms(self.seed, step, 2)
        num_context = min(max(round(within(self.context_share, u_context) * n), 1), n - 1)
        num_target = min(max(round(within(self.target_share, u_target) * n), 1), n - num_context)
        nothing = torch.zeros(len(ids), n, dtype=torch.bool, device=ids.device)
        shown = first_tokens(random_order(self.seed, ids, step, n), nothing, num_context)
        taken = nothing.scatter(1, shown, True)
        order = Stream(self.seed, "mask-subset").uniform(step, ids, self.num_targets * n)
        order = order.view(-1, self.num_targets, n).masked_fill(taken[:, None], 2.0)
        asked = order.argsort(dim=2, stable=True)[..., :num_target].sort(dim=2).values
        always = torch.arange(self.num_always, device=ids.device).expand(len(ids), -1)
        return Hidden(torch.cat((always, shown + self.num_always), dim=1), asked + self.num_always)
