"""Say where the variance of token embeddings lies: between positions, between samples, or in what both together tell.

Pooled statistics cannot see the two collapses that predictive methods invite. A *position code* (every sample gives the
same tokens) has as much variance as one likes, none of it across samples; a *sample code repeated* (all tokens of a
sample are equal) has none within samples. Both are plain in a two-way analysis of variance:

    z[b, g] - mean = position[g] + sample[b] + interaction[b, g]        squared lengths add up exactly

Sums run in float64 without a float64 copy of the tokens; what is below 1e-12 of the mean square counts as zero.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

_FLOOR = 1e-12


@dataclass(frozen=True)
class VarianceParts:
    """Hold mean squares per dimension; `total = position + sample + interaction`.

    Args:
        position: Variance of the mean embedding of each group, over groups.
        sample: Variance of the mean embedding of each sample, over samples.
        interaction: What neither explains.
        total: Variance about the grand mean.
        mean_square: Mean square about zero, so `total / mean_square` in [0, 1] says how much varies at all.
        across_share: For each group the share of its mean square about the grand mean that lies across samples: 1 where
            the group's mean is the grand mean, 0 where every sample has the same embedding there, or nothing varies.
    """

    position: Float64[Tensor, ""]
    sample: Float64[Tensor, ""]
    interaction: Float64[Tensor, ""]
    total: Float64[Tensor, ""]
    mean_square: Float64[Tensor, ""]
    across_share: Float64[Tensor, " g"]

    @property
    def within_share(self) -> Float64[Tensor, ""]:
        """Return the share of the variance that lies within samples: 0 where all tokens of a sample are equal."""
        return share(self.position + self.interaction, self.total)


def variance_parts(z: Float[Tensor, "b g d"]) -> VarianceParts:
    """Split the variance of token embeddings into position, sample and interaction (two-way analysis of variance)."""
    b, _, d = z.shape
    of_group, of_sample = z.mean(dim=0, dtype=torch.float64), z.mean(dim=1, dtype=torch.float64)
    grand = of_group.mean(dim=0)
    squares = torch.linalg.vector_norm(z, dim=(0, 2), dtype=torch.float64).square() / (b * d)
    mean_square = squares.mean()

    def floored(value: Tensor) -> Tensor:
        return torch.where(value > _FLOOR * mean_square, value, 0.0)

    offset = (of_group - grand).square().mean(dim=1)
    across = floored(squares - of_group.square().mean(dim=1))
    position, sample = floored(offset.mean()), floored((of_sample - grand).square().mean())
    interaction = floored(across.mean() - sample)
    return VarianceParts(
        position=position,
        sample=sample,
        interaction=interaction,
        total=position + sample + interaction,
        mean_square=mean_square,
        across_share=share(across, across + floored(offset)),
    )


def share(part: Float64[Tensor, "*g"], whole: Float64[Tensor, "*g"]) -> Float64[Tensor, "*g"]:
    """Return part / whole, 0 where the whole is 0."""
    return part / whole.clamp_min(torch.finfo(torch.float64).tiny)
