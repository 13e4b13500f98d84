"""Measure every space of a method on one fixed held-out set: the numbers that a verdict rests on.

All are pure functions of the embeddings: the same images and weights give the same numbers. Rank measures grow with the
number of samples until it far exceeds the width, so keep that number the same over a run (`num_samples` is recorded,
and a verdict refuses a reference with another one).

    dim, num_samples, num_groups              sizes, constant over a run
    variation                                 variance of all tokens over their mean square: 0 if everything is constant
    token_std                                 square root of the variance of all tokens, mean over dimensions
    position_share sample_share interaction_share     where the variance of tokens lies; they add up to 1
    across_share across_share_min             share across samples at a position, mean and minimum over positions
    within_share                              share within samples
    rankme participation_ratio alpha_req nesum off_diagonal_correlation feature_std normalised_std uniformity
                                              of the mean over groups, one embedding per sample
    group_rankme, ... (all but the last)      the same per group across samples, then averaged over groups
    sigreg sigreg_location sigreg_scale sigreg_shape  per group across samples, over the number of samples
    alignment lidar                           of views, where given

A space with a single group has no `group_` entries: they would repeat the others.
"""

from collections.abc import Mapping

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from jepakit.health.geometry import alignment, lidar, uniformity
from jepakit.health.spectrum import (
    alpha_req,
    covariance,
    eigenvalues,
    feature_std,
    nesum,
    normalised_std,
    off_diagonal_correlation,
    participation_ratio,
    rankme,
)
from jepakit.health.variance import share, variance_parts
from jepakit.objectives.sigreg import SIGReg, decompose
from jepakit.types import UserError

MAX_GROUPS = 8
"""Groups whose spectra are decomposed, spread evenly over all; variance shares read every group."""

NUM_SLICES = 64
"""Random slices of the SIGReg split, the same at every call."""

Measurements = Mapping[str, Mapping[str, float]]


@torch.no_grad()
def measure(
    spaces: Mapping[str, Float[Tensor, "b g _"]], views: Mapping[str, Float[Tensor, "b v _"]] | None = None
) -> dict[str, dict[str, float]]:
    """Return the health measures of each space by name, as listed at the head of this module; on the CPU, in float64.

    Args:
        spaces: Embeddings of the held-out samples by space (encoder, target, projector), one row of groups (positions,
            times) per sample; pooled embeddings are one group.
        views: Pooled embeddings of several augmented views of the same samples, by space, for alignment and LiDAR.

    Raises:
        UserError: If there are fewer than two samples, or if an embedding is NaN or infinite.
    """
    views = views or {}
    return {name: _measure_space(name, z.detach().cpu(), views.get(name)) for name, z in spaces.items()}


def _measure_space(name: str, z: Float[Tensor, "b g d"], views: Float[Tensor, "b v d"] | None) -> dict[str, float]:
    b, g, d = z.shape
    if b < 2:
        raise UserError(f"Health compares samples, but space {name!r} holds {b}: give at least 2, better 4 times {d}.")
    if not bool(torch.isfinite(z).all()):
        raise UserError(
            f"Space {name!r} holds NaN or infinity: the weights are broken; go back to an older checkpoint."
        )
    pooled = z.mean(dim=1, dtype=torch.float64)
    values = {"dim": float(d), "num_samples": float(b), "num_groups": float(g)}
    values |= _shares(z) | _spectrum(pooled[None]) | {"uniformity": float(uniformity(pooled))}
    groups = z[:, _spread_over(g)]
    if g > 1:
        values |= {f"group_{key}": value for key, value in _spectrum(rearrange(groups, "b g d -> g b d")).items()}
    values |= _sigreg_parts(groups)
    if views is not None:
        views = views.detach().cpu().double()
        scale = views.flatten(0, 1).var(dim=0, correction=0).mean().sqrt()
        values["alignment"] = float(alignment(views))
        values["lidar"] = float(lidar(views / torch.where(scale > 0.0, scale, 1.0)))
    return values


def _spread_over(num_groups: int) -> list[int]:
    num = min(num_groups, MAX_GROUPS)
    return sorted({round(i * (num_groups - 1) / max(num - 1, 1)) for i in range(num)})


def _shares(z: Float[Tensor, "b g d"]) -> dict[str, float]:
    parts = variance_parts(z)
    return {
        "variation": float(share(parts.total, parts.mean_square)),
        "token_std": float(parts.total.sqrt()),
        "position_share": float(share(parts.position, parts.total)),
        "sample_share": float(share(parts.sample, parts.total)),
        "interaction_share": float(share(parts.interaction, parts.total)),
        "across_share": float(parts.across_share.mean()),
        "across_share_min": float(parts.across_share.min()),
        "within_share": float(parts.within_share),
    }


def _spectrum(z: Float[Tensor, "g b d"]) -> dict[str, float]:
    """Return the means over groups of what one eigendecomposition of each tells."""
    values = eigenvalues(z)
    return {
        "rankme": float(rankme(values).mean()),
        "participation_ratio": float(participation_ratio(values).mean()),
        "alpha_req": float(alpha_req(values, z.shape[1]).mean()),
        "nesum": float(nesum(values).mean()),
        "off_diagonal_correlation": float(off_diagonal_correlation(covariance(z)).mean()),
        "feature_std": float(feature_std(z).mean()),
        "normalised_std": float(normalised_std(z).mean()),
    }


def _sigreg_parts(z: Float[Tensor, "b g d"]) -> dict[str, float]:
    parts = decompose(z, SIGReg(num_slices=NUM_SLICES).directions(0, z))
    return {
        "sigreg": float(parts.total),
        "sigreg_location": float(parts.location),
        "sigreg_scale": float(parts.scale),
        "sigreg_shape": float(parts.shape),
    }
