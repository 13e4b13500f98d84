"""Keep embeddings spread and decorrelated: the variance and the covariance term of VICReg, each alone.

Source: Bardes, Ponce and LeCun 2022, "VICReg" (arXiv 2105.04906), equations 1 to 4; the invariance term is the
objective's mean squared distance (which the paper sums over dimensions, and `mse` averages). Deviations: both terms are
averaged over groups (views), where the paper adds its two views; moments are over the samples of all processes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.objectives.moments import global_covariance, global_variance
from jepakit.types import UserError


def variance(z: Float[Tensor, "b g d"], *, target_std: float = 1.0, epsilon: float = 1e-4) -> Float[Tensor, ""]:
    """Return the mean shortfall of the standard deviations below `target_std` (equations 1 and 2).

    Args:
        z: Embeddings; at least two samples over all processes.
        target_std: gamma of the paper.
        epsilon: Added to each variance, so that the root has a slope at zero.
    """
    with torch.autocast(z.device.type, enabled=False):
        z = z if z.dtype == torch.float64 else z.float()
        std = torch.sqrt(global_variance(z, is_unbiased=True) + epsilon)
        return torch.relu(target_std - std).mean()


def covariance(z: Float[Tensor, "b g d"]) -> Float[Tensor, ""]:
    """Return the sum of squared off-diagonal covariances over `d`, averaged over groups (equations 3 and 4)."""
    with torch.autocast(z.device.type, enabled=False):
        z = z if z.dtype == torch.float64 else z.float()
        matrix = global_covariance(z)
        off_diagonal = matrix - torch.diag_embed(torch.diagonal(matrix, dim1=-2, dim2=-1))
        return off_diagonal.square().sum(dim=(-2, -1)).mean() / z.shape[-1]


@dataclass(frozen=True, kw_only=True)
class Variance:
    """Regularize a space with `variance`."""

    target_std: float = 1.0
    epsilon: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse settings without a meaning."""
        if self.target_std <= 0 or self.epsilon <= 0:
            raise UserError(
                "Variance needs a positive target_std and epsilon, "
                f"got {self.target_std} and {self.epsilon}; usual are 1 and 1e-4."
            )

    def __call__(self, z: Float[Tensor, "b g d"], step: int) -> Float[Tensor, ""]:
        """Return the term; nothing is drawn, so `step` is not read."""
        return variance(z, target_std=self.target_std, epsilon=self.epsilon)


@dataclass(frozen=True, kw_only=True)
class Covariance:
    """Regularize a space with `covariance`."""

    def __call__(self, z: Float[Tensor, "b g d"], step: int) -> Float[Tensor, ""]:
        """Return the term; nothing is drawn, so `step` is not read."""
        return covariance(z)
