"""Read how views of one sample sit beside views of others: alignment, uniformity and LiDAR. All in float64."""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from jepakit.health.spectrum import entropy_rank
from jepakit.types import UserError


def alignment(views: Float[Tensor, "b v d"]) -> Float64[Tensor, ""]:
    """Return the mean squared distance between two l2-normalised views of a sample: 0 if invariant, 2 if unrelated.

    Raises:
        UserError: If there is only one view.

    Source: Wang and Isola 2020, arXiv 2005.10242, eq. 3 with exponent 2. Deviations: the mean runs over all pairs of
    views, by the identity mean |z_i - z_j|^2 = 2v/(v-1) (1 - |mean of z|^2) for unit vectors.
    """
    v = _num_views(views)
    unit = torch.nn.functional.normalize(views.double(), dim=-1)
    length = unit.square().sum(dim=-1).mean(dim=1)  # 1, save for zero vectors
    return (2.0 * v / (v - 1) * (length - unit.mean(dim=1).square().sum(dim=-1))).mean()


def uniformity(z: Float[Tensor, "b d"], t: float = 2.0) -> Float64[Tensor, ""]:
    """Return log E exp(-t |z_i - z_j|^2) over different l2-normalised samples: 0 if constant, lower if spread.

    Source: Wang and Isola 2020, arXiv 2005.10242, eq. 4, t = 2. Deviations: pairs of a sample with itself are left out.
    """
    if z.shape[0] < 2:
        raise UserError(f"Uniformity compares samples, got {z.shape[0]}: give at least 2.")
    unit = torch.nn.functional.normalize(z.double(), dim=-1)
    squared = torch.pdist(unit).square()
    return torch.logsumexp(-t * squared, dim=0) - math.log(squared.shape[0])


def lidar(views: Float[Tensor, "b v d"], delta: float = 1e-4) -> Float64[Tensor, ""]:
    """Return the effective rank of what tells objects apart beyond what tells views of one object apart.

    The entropy rank of the eigenvalues of W^(-1/2) B W^(-1/2), where B is the covariance of the object means and W the
    mean covariance of the views of an object plus `delta` times the identity; in [1, min(b - 1, d)], 0 where all
    object means coincide.

    Args:
        views: `v` views of each of `b` objects.
        delta: Ridge on W, in units of squared embedding; give embeddings of unit variance (`measure` does).

    Raises:
        UserError: If there is only one view or one object.

    Source: Thilak et al. 2024, arXiv 2312.04000, eq. 1-5. Deviations: 0 log 0 = 0 takes the place of an epsilon.
    """
    v = _num_views(views)
    b, _, d = views.shape
    if b < 2:
        raise UserError(f"LiDAR compares objects, got {b}: give views of at least 2 objects.")
    views = views.double()
    objects = views.mean(dim=1)
    spread = objects - objects.mean(dim=0)
    within = (views - objects[:, None]).flatten(0, 1)
    identity = torch.eye(d, dtype=torch.float64, device=views.device)
    between_covariance = spread.T @ spread / (b - 1)
    within_covariance = within.T @ within / (b * (v - 1)) + delta * identity
    values, vectors = torch.linalg.eigh(within_covariance)
    root = vectors * values.clamp_min(delta).rsqrt()
    return entropy_rank(torch.linalg.eigvalsh(root.T @ between_covariance @ root).clamp_min(0.0))


def _num_views(views: Float[Tensor, "b v d"]) -> int:
    if views.shape[1] < 2:
        raise UserError(f"Views of a sample are compared, got {views.shape[1]} view: give at least 2.")
    return views.shape[1]
