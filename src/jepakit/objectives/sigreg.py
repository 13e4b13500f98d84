"""Push embeddings towards an isotropic Gaussian: the Epps-Pulley statistic over random slices (SIGReg).

The one normalisation of this project is the statistic *divided by the number of samples*, per group across samples,
averaged over slices and groups:

    sigreg = mean over groups and slices of  ∫ |φ_N(t) - exp(-t²/2)|² exp(-t²/2) dt,    t from -t_max to t_max

with φ_N the empirical characteristic function of one slice. It estimates a distance between distributions, so its value
and its gradient with respect to an encoder's weights do not grow with the batch, and a weight tuned at one batch size
holds at another. What it reads (t_max = 3): about 1.05 / N for N samples of N(0, I), which is what sampling noise
leaves; 0.402 where all samples are zero; about 1.07 where all are one far constant; about 1.15 for N(0, 100 I). The
literature's statistic is N times as large. `weight_from` converts the weights of other implementations.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.collectives import all_reduce_sum
from jepakit.objectives.characteristic import characteristic_sums
from jepakit.objectives.moments import global_mean
from jepakit.random import Stream
from jepakit.types import UserError


def sliced_epps_pulley(
    z: Float[Tensor, "b g d"], directions: Float[Tensor, "num_slices d"], *, num_knots: int = 17, t_max: float = 3.0
) -> Float[Tensor, ""]:
    """Return the Epps-Pulley statistic divided by the number of samples, averaged over slices and groups.

    The value is that of the samples of all processes, exact with uneven shares, and so is the gradient under the
    convention of `jepakit.collectives`. Computed in float32 (float64 for float64 input), also under autocast; on CUDA
    its matrix products follow torch's setting for float32. Faster still as `torch.compile(sliced_epps_pulley)`.

    Args:
        z: Embeddings; each group's samples are tested apart.
        directions: Unit vectors, the same on every process; they carry no gradient.
        num_knots: Knots of the trapezoid rule on [0, t_max].
        t_max: End of the integral, in units of 1 / standard deviation.

    Source: Balestriero and LeCun 2025, "LeJEPA" (arXiv 2511.08544), SIGReg; Epps and Pulley 1983, Biometrika 70(3).
    Deviations: divided by the number of samples, see the head of this file.

    Example:
        >>> z = torch.zeros(8, 1, 4)
        >>> round(float(sliced_epps_pulley(z, torch.eye(4))), 3)
        0.402
    """
    return _statistic_per_slice(z, directions, num_knots, t_max).mean()


def _statistic_per_slice(
    z: Float[Tensor, "b g d"], directions: Float[Tensor, "num_slices d"], num_knots: int, t_max: float
) -> Float[Tensor, "g num_slices"]:
    """Return the statistic over N of each group and slice."""
    with torch.autocast(z.device.type, enabled=False):
        z = z if z.dtype == torch.float64 else z.float()
        spacing = t_max / (num_knots - 1)
        sums = torch.stack(characteristic_sums(z, directions.to(z.dtype), spacing, num_knots))
        cos, sin = all_reduce_sum(sums)
        count = cos[..., :1].detach()  # at the knot zero every sample adds one
        knots = spacing * torch.arange(num_knots, device=z.device, dtype=z.dtype)
        gaussian = torch.exp(-0.5 * knots.square())
        error = (cos / count - gaussian).square() + (sin / count).square()
        trapezoid = torch.full_like(knots, 2 * spacing)  # the integrand is even: both halves at once
        trapezoid[0] = trapezoid[-1] = spacing
        per_slice: Tensor = error @ (trapezoid * gaussian)
        return per_slice


@dataclass(frozen=True, kw_only=True)
class SIGReg:
    """Regularize a space with `sliced_epps_pulley` over directions that are drawn anew at every step.

    Args:
        num_slices: How many directions; 256 serve small problems, 1024 is common.
        num_knots: Knots of the integral on [0, t_max].
        t_max: End of the integral.
        seed: Seed of the directions; give two terms on one space different seeds.
    """

    num_slices: int = 1024
    num_knots: int = 17
    t_max: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings with which nothing could be measured."""
        if self.num_slices < 1:
            raise UserError(f"SIGReg needs at least 1 slice, got num_slices={self.num_slices}; 256 to 1024 are usual.")
        if self.num_knots < 2:
            raise UserError(f"SIGReg needs at least 2 knots, got num_knots={self.num_knots}; 17 is usual.")
        if not (math.isfinite(self.t_max) and self.t_max > 0):
            raise UserError(f"SIGReg needs a positive, finite t_max, got {self.t_max}; 3 and 5 are usual.")

    def __call__(self, z: Float[Tensor, "b g d"], step: int) -> Float[Tensor, ""]:
        """Return the statistic of `z` over the directions of `step`."""
        return sliced_epps_pulley(z, self.directions(step, z), num_knots=self.num_knots, t_max=self.t_max)

    def directions(self, step: int, z: Float[Tensor, "b g d"]) -> Float[Tensor, "num_slices d"]:
        """Return the unit vectors of `step` for embeddings like `z`: the same on every process and device."""
        slices = torch.arange(self.num_slices, device=z.device)
        normal = Stream(self.seed, "sigreg").normal(step, slices, z.shape[-1])
        return torch.nn.functional.normalize(normal, dim=-1)


class SIGRegParts(NamedTuple):
    """Hold where a statistic comes from: `total` = `location` + `scale` + `shape`, each over the number of samples."""

    total: Float[Tensor, ""]
    location: Float[Tensor, ""]
    scale: Float[Tensor, ""]
    shape: Float[Tensor, ""]


@torch.no_grad()
def decompose(
    z: Float[Tensor, "b g d"], directions: Float[Tensor, "num_slices d"], *, num_knots: int = 17, t_max: float = 3.0
) -> SIGRegParts:
    """Split `sliced_epps_pulley` into what shifting, what scaling and what neither could mend.

    `location` is the fall of the statistic when each group's mean is removed, `scale` the further fall when each
    projection is divided by its standard deviation, `shape` the rest. A projection without spread has no shape: its
    centred statistic counts as scale. Sampling noise can make a part slightly negative; `shape` of N Gaussian samples
    lies below 1.05 / N, since two parameters are fitted.
    """
    z = z if z.dtype == torch.float64 else z.float()
    directions = directions.to(z.dtype)
    mean, count = global_mean(z)
    centred = z - mean
    total = _statistic_per_slice(z, directions, num_knots, t_max).mean()
    about_mean = _statistic_per_slice(centred, directions, num_knots, t_max).mean()
    shapes = []
    for group, group_mean in zip(centred.split(1, dim=1), mean[0], strict=True):  # one group's projections at a time
        variance = all_reduce_sum((group[:, 0] @ directions.mT).square().sum(dim=0)) / count
        rounding = 100 * torch.finfo(z.dtype).eps * (directions @ group_mean).abs()
        has_spread = variance.sqrt() > rounding + torch.finfo(z.dtype).tiny
        std = torch.where(has_spread, variance, 1).sqrt()
        statistic = _statistic_per_slice(group, directions / std[:, None], num_knots, t_max)[0]
        shapes.append(torch.where(has_spread, statistic, 0).mean())
    shape = torch.stack(shapes).mean()
    return SIGRegParts(total, location=total - about_mean, scale=about_mean - shape, shape=shape)


class ObjectiveWeights(NamedTuple):
    """Hold the weights of the mean squared prediction error and of `SIGReg` in a loss."""

    prediction: float
    sigreg: float


Scaling = Literal["lejepa", "minimal", "lightly", "spt", "eb_jepa"]


def weight_from(source: Scaling, weight: float, num_samples: int, num_views: int = 1) -> ObjectiveWeights:
    """Convert a SIGReg weight of another public implementation into weights for this one: the same loss.

    - `lejepa` (package and paper, algorithm 2), `minimal` (its MINIMAL.md), `lightly`: (1 - weight) * prediction +
      weight * N * statistic, computed per view and averaged.
    - `spt` (stable-pretraining): prediction + weight * V N * statistic, with the V views pooled into one group. Exact
      for embeddings given as one group of V N samples; with one group for each view it is the same up to sampling
      noise, where the views share a distribution.
    - `eb_jepa`: prediction + weight * statistic, already over N. It integrates over 10 knots on [-3, 3], which makes
      its value differ from ours by less than 1 % up to a standard deviation of one, and by 11 % at three.

    Args:
        source: Where the weight comes from.
        weight: The weight there, often called lambda.
        num_samples: Samples of one view over all processes, in their run (not in yours, if they differ).
        num_views: Views of a sample, read by `spt` alone.

    Raises:
        UserError: The source is unknown, or a mixing weight lies outside [0, 1).
    """
    if source in ("lejepa", "minimal", "lightly"):
        if not 0 <= weight < 1:
            raise UserError(f"The weight of {source} mixes two terms and lies in [0, 1), got {weight}; usual is 0.05.")
        return ObjectiveWeights(prediction=1 - weight, sigreg=weight * num_samples)
    if source == "spt":
        return ObjectiveWeights(prediction=1.0, sigreg=weight * num_samples * num_views)
    if source == "eb_jepa":
        return ObjectiveWeights(prediction=1.0, sigreg=weight)
    raise UserError(f"No scaling is called {source!r}; choose lejepa, minimal, lightly, spt or eb_jepa.")
