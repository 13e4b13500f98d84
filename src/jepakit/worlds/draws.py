"""Turn uniform draws into the distributions that worlds need: truncated normal numbers and von Mises angles."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


def truncated_normal(u: Float[Tensor, "*n"], mean: float, std: float, low: float, high: float) -> Float[Tensor, "*n"]:
    """Return normal numbers on [low, high] by the inverse of their distribution function.

    Args:
        u: Uniform draws in [0, 1).
        mean: Mean before truncation.
        std: Standard deviation before truncation.
        low: Smallest value.
        high: Largest value.
    """
    below, above = (0.5 * (1.0 + math.erf((edge - mean) / (std * math.sqrt(2.0)))) for edge in (low, high))
    standard = math.sqrt(2.0) * torch.erfinv(2.0 * (below + u.double() * (above - below)) - 1.0)
    return (mean + std * standard).clamp(low, high).to(u.dtype)


def von_mises(u: Float[Tensor, "*n"], concentration: float) -> Float[Tensor, "*n"]:
    """Return angles around 0 in radians by the inverse of their distribution function, interpolated on a fine table.

    Args:
        u: Uniform draws in [0, 1).
        concentration: kappa; 0 is uniform on the circle.
    """
    angles, cumulative = _von_mises_table(concentration)
    upper = torch.searchsorted(cumulative, u.double().contiguous(), right=True).clamp(1, len(angles) - 1)
    low, high = cumulative[upper - 1], cumulative[upper]
    share = (u.double() - low) / (high - low).clamp_min(1e-300)
    return (angles[upper - 1] + share * (angles[upper] - angles[upper - 1])).to(u.dtype)


@lru_cache(maxsize=8)
def _von_mises_table(concentration: float, num: int = 8193) -> tuple[Float[Tensor, " num"], Float[Tensor, " num"]]:
    """Return angles from -pi to pi and the distribution function there, by the trapezoidal rule."""
    angles = torch.linspace(-math.pi, math.pi, num, dtype=torch.float64)
    density = torch.exp(concentration * (angles.cos() - 1.0))
    cumulative = torch.cat((density.new_zeros(1), ((density[1:] + density[:-1]) / 2).cumsum(0)))
    return angles, cumulative / cumulative[-1]
