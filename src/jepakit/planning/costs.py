"""Turn predicted and wanted embeddings into costs, none of which needs a label."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class LatentDistance:
    """Take the mean squared distance between predicted and goal tokens, weighed over the steps of a plan.

    Args:
        over: `last` looks at the last step, `mean` at all alike (the order of plans is that of their sum).
        discount: Weight of each step relative to the one before it, where all are looked at.

    Raises:
        UserError: `over` is neither, or the discount is not positive.
    """

    over: str = "mean"
    discount: float = 1.0

    def __post_init__(self) -> None:
        if self.over not in ("last", "mean") or self.discount <= 0:
            raise UserError(f"LatentDistance is over 'last' or 'mean', with a discount above 0, got {self}.")

    def __call__(
        self, z_hat: Float[Tensor, "b s t n d"], goal: Float[Tensor, "b n d"], actions: Float[Tensor, "b s _ a"]
    ) -> Float[Tensor, "b s"]:
        """Return the cost of each candidate, in float32."""
        if self.over == "last":
            z_hat = z_hat[:, :, -1:]
        distance = (z_hat.float() - goal[:, None, None].float()).square().mean(dim=(-2, -1))
        weight = self.discount ** torch.arange(distance.shape[-1], device=distance.device, dtype=torch.float32)
        return distance @ (weight / weight.sum())
