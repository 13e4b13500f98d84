"""Read how many directions an embedding uses, from one eigendecomposition of its centred covariance.

Every function of a spectrum takes the eigenvalues that `eigenvalues` returns, so a report decomposes once. All
arithmetic is float64. A matrix whose covariance is the identity has RankMe = participation ratio = NESum = d and
alpha = 0; one whose rows lie on a line has 1, 1 and 1.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

RELATIVE_FLOOR = 1e-10
"""Eigenvalues below this share of the largest count as zero: float32 embeddings carry no finer truth."""


def centred(z: Float[Tensor, "*g b d"]) -> Float64[Tensor, "*g b d"]:
    """Return `z` in float64 with the mean over samples taken off."""
    z = z.double()
    return z - z.mean(dim=-2, keepdim=True)


def covariance(z: Float[Tensor, "*g b d"]) -> Float64[Tensor, "*g d d"]:
    """Return the population covariance across samples (divided by b), for each leading group."""
    z = centred(z)
    return z.mT @ z / z.shape[-2]


def eigenvalues(z: Float[Tensor, "*g b d"]) -> Float64[Tensor, "*g d"]:
    """Return the eigenvalues of the centred covariance, largest first, never negative.

    With fewer samples than dimensions the b by b Gram matrix is decomposed in place of the d by d covariance: the
    non-zero eigenvalues are the same, the rest are zero. A standard deviation below a millionth of the embeddings'
    root mean square is rounding of float32 and counts as zero too.
    """
    b, d = z.shape[-2:]
    noise = 1e-12 * z.double().square().mean(dim=(-2, -1)).unsqueeze(-1)
    z = centred(z)
    product = z @ z.mT if b < d else z.mT @ z
    values = torch.linalg.eigvalsh(product / b).flip(-1)
    return torch.nn.functional.pad(torch.where(values > noise, values, 0.0), (0, d - values.shape[-1]))


def rankme(eigenvalues: Float[Tensor, "*g d"]) -> Float[Tensor, "*g"]:
    """Return exp(entropy) of the normalised singular values: the effective rank, in [1, d]; 0 where nothing varies.

    Source: Garrido et al. 2023, arXiv 2210.02885, eq. 1-2. Deviations: computed on centred embeddings, since a common
    offset is no direction of information; 0 log 0 = 0 takes the place of the paper's epsilon, so an exactly whitened
    matrix gives exactly d.
    """
    singular = eigenvalues.sqrt()
    return _entropy_rank(singular)


def entropy_rank(eigenvalues: Float[Tensor, "*g d"]) -> Float[Tensor, "*g"]:
    """Return exp(entropy) of the normalised eigenvalues themselves, as LiDAR defines its rank; 0 where all vanish."""
    return _entropy_rank(eigenvalues)


def _entropy_rank(values: Float[Tensor, "*g d"]) -> Float[Tensor, "*g"]:
    total = values.sum(dim=-1, keepdim=True)
    share = values / total.clamp_min(torch.finfo(values.dtype).tiny)
    entropy = -torch.special.xlogy(share, share).sum(dim=-1)
    return entropy.exp() * (total[..., 0] > 0)


def participation_ratio(eigenvalues: Float[Tensor, "*g d"]) -> Float[Tensor, "*g"]:
    """Return (sum of eigenvalues)^2 / sum of their squares, in [1, d]; 0 where nothing varies."""
    scaled = _over_largest(eigenvalues)
    return scaled.sum(dim=-1).square() / scaled.square().sum(dim=-1).clamp_min(1.0)


def nesum(eigenvalues: Float[Tensor, "*g d"]) -> Float[Tensor, "*g"]:
    """Return the sum of the eigenvalues over the largest one, in [1, d]; 0 where nothing varies.

    Source: He and Ozay 2022, "Exploring the gap between collapsed and whitened features in self-supervised learning"
    (ICML 2022), the normalised eigenvalue sum.
    """
    return _over_largest(eigenvalues).sum(dim=-1)


def alpha_req(eigenvalues: Float[Tensor, "*g d"], num_samples: int | None = None) -> Float[Tensor, "*g"]:
    """Return the exponent of the power law log eigenvalue_k = -alpha log k + c that fits best; 0 where nothing varies.

    White embeddings give 0, healthy ones often about 1, few used directions several times more.

    Args:
        eigenvalues: Largest first.
        num_samples: Samples behind the covariance, which has at most `num_samples - 1` non-zero eigenvalues.

    Source: Agrawal et al. 2022, "alpha-ReQ: assessing representation quality in self-supervised learning by measuring
    eigenspectrum decay" (NeurIPS 2022). Deviations: least squares over the first half of the possible ranks in place of
    a range chosen by eye, so that one rule serves every width; the first rank is kept in, and eigenvalues are floored
    at 1e-10 of the largest, so that a spectrum of rank one reads as steep and not as the flat floor behind it.
    """
    d = eigenvalues.shape[-1]
    possible = d if num_samples is None else min(d, num_samples - 1)
    num_ranks = max((possible + 1) // 2, min(2, d))
    log_value = _over_largest(eigenvalues)[..., :num_ranks].clamp_min(RELATIVE_FLOOR).log()
    log_rank = torch.arange(1, num_ranks + 1, dtype=log_value.dtype, device=log_value.device).log()
    offset = log_rank - log_rank.mean()
    slope = (log_value * offset).sum(dim=-1) / offset.square().sum().clamp_min(RELATIVE_FLOOR)
    return -slope * (eigenvalues[..., 0] > 0)


def off_diagonal_correlation(covariance: Float[Tensor, "*g d d"]) -> Float[Tensor, "*g"]:
    """Return the mean absolute correlation between two different dimensions, over the dimensions that vary.

    0 for decorrelated dimensions, 1 where every dimension tells the same, 0 where fewer than two vary.
    """
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    lives = variance > RELATIVE_FLOOR * variance.amax(dim=-1, keepdim=True)
    inverse_std = torch.where(lives, variance.clamp_min(torch.finfo(variance.dtype).tiny).rsqrt(), 0.0)
    correlation = (covariance * inverse_std[..., :, None] * inverse_std[..., None, :]).abs()
    num = lives.sum(dim=-1)
    off_diagonal = correlation.sum(dim=(-2, -1)) - correlation.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return off_diagonal / (num * (num - 1)).clamp_min(1)


def feature_std(z: Float[Tensor, "*g b d"]) -> Float64[Tensor, "*g"]:
    """Return the mean over dimensions of the standard deviation across samples."""
    return z.double().std(dim=-2, correction=0).mean(dim=-1)


def normalised_std(z: Float[Tensor, "*g b d"]) -> Float64[Tensor, "*g"]:
    """Return sqrt(d) times the mean standard deviation of the l2-normalised embeddings: 1 if isotropic, 0 if constant.

    Source: Chen and He 2021 (SimSiam), arXiv 2011.10566, section 4.1. Deviations: scaled by sqrt(d), so that the
    isotropic value is 1 for every width.
    """
    unit = torch.nn.functional.normalize(z.double(), dim=-1)
    return feature_std(unit) * z.shape[-1] ** 0.5


def _over_largest(eigenvalues: Float[Tensor, "*g d"]) -> Float[Tensor, "*g d"]:
    return eigenvalues / eigenvalues[..., :1].clamp_min(torch.finfo(eigenvalues.dtype).tiny)
