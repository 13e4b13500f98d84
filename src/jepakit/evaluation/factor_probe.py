"""Read a world's factors (places, angles, ...) from embeddings: ridge regression on labels of held-out trajectories.

Where a linear reading is too little, `num_features` rectified random features of the standardised embedding stand
beside it: a small network whose first layer is drawn and whose second has a closed form.

Source: ridge as in `jepakit.evaluation.ridge`; random features after Rahimi and Recht 2008 (NIPS 20). Deviations: rows
of one trajectory are left out one by one for the choice of the penalty, so what it scores must be other trajectories.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from jepakit.evaluation.features import Scaler, require_finite
from jepakit.evaluation.ridge import RIDGE_GRID, left_out_error, penalty_unit, principal_axes
from jepakit.random import Stream
from jepakit.types import UserError, require


@dataclass(frozen=True)
class FactorProbe:
    """Hold a linear reading of several factors.

    Args:
        scaler: Standardises tokens laid end to end.
        drawn: Weights of the random features, a bias as the last row; no columns for a linear probe.
        weight: What each feature says of each factor, by name; the bias as the last row.
    """

    scaler: Scaler
    drawn: Float[Tensor, "d1 k"]
    weight: Mapping[str, Float[Tensor, "_ _"]]

    def __call__(self, z: Float[Tensor, "r n d"]) -> dict[str, Float[Tensor, "r _"]]:
        """Return what is read of each factor."""
        x = features_of(self.scaler(z.flatten(1).float()), self.drawn)
        return {name: x @ weight[:-1] + weight[-1] for name, weight in self.weight.items()}


def fit_factors(
    z: Float[Tensor, "r n d"], factors: Mapping[str, Float[Tensor, "r _"]], num_features: int = 0, seed: int = 0
) -> FactorProbe:
    """Fit a probe to labelled embeddings; each factor's penalty is that of its smallest leave-one-out error.

    Args:
        z: Tokens, laid end to end.
        factors: Labels by name; those that do not vary are left out.
        num_features: Random features beside the linear ones; 0 for a linear probe.
        seed: Of the random features.

    Raises:
        UserError: There are fewer than two embeddings, one is not finite, or no factor varies.
    """
    require(len(z) >= 2, f"A probe is fitted to at least 2 embeddings, got {len(z)}.")
    flat = z.flatten(1).float()
    require_finite(flat)
    varying = {name: label for name, label in factors.items() if bool((label != label[:1]).any())}
    if not varying:
        raise UserError(f"None of the factors {', '.join(factors)} varies, so there is nothing for a probe to read.")
    scaler = Scaler.standardising(flat)
    inputs, one = flat.shape[1] + 1, torch.zeros(1, dtype=torch.long, device=z.device)
    drawn = Stream(seed, "factor-probe").normal(0, one, inputs * num_features).view(inputs, num_features)
    drawn = drawn / flat.shape[1] ** 0.5
    x = features_of(scaler(flat), drawn).double()
    mean = x.mean(dim=0)
    values, axes = principal_axes(x - mean)
    coordinates = (x - mean) @ axes
    weight = {name: _ridge(coordinates, values, axes, mean, label.double()) for name, label in varying.items()}
    return FactorProbe(scaler, drawn, weight)


def features_of(x: Float[Tensor, "r d"], drawn: Float[Tensor, "d1 k"]) -> Float[Tensor, "r d_plus_k"]:
    """Return embeddings and their rectified random features."""
    return torch.cat((x, (x @ drawn[:-1] + drawn[-1]).relu()), dim=1)


def _ridge(
    coordinates: Float64[Tensor, "r k"],
    values: Float64[Tensor, " k"],
    axes: Float64[Tensor, "d k"],
    mean: Float64[Tensor, " d"],
    labels: Float64[Tensor, "r f"],
) -> Float[Tensor, "d1 f"]:
    """Return the weights for one factor, the bias as the last row."""
    bias = labels.mean(dim=0)
    targets = labels - bias
    moments = coordinates.T @ targets
    grid = torch.tensor(RIDGE_GRID, dtype=torch.float64, device=values.device)
    damped = values + penalty_unit(values, len(axes)) * grid[:, None]
    best = left_out_error(coordinates, targets, moments, damped, len(labels), 1).argmin()
    weight = axes @ (moments / damped[best][:, None])
    return torch.cat((weight, (bias - mean @ weight)[None])).float()


def explained(true: Float[Tensor, "r f"], read: Float[Tensor, "r f"]) -> float:
    """Return R2: the share of a factor's variance that a reading explains, over all its numbers together.

    It is 1 for a perfect reading, 0 for one no better than the mean, and below 0 for one that is worse.

    Raises:
        UserError: The factor does not vary, so there is no variance to explain.
    """
    true, read = true.double(), read.double()
    missed, varied = (true - read).square().sum(), (true - true.mean(dim=0)).square().sum()
    require(float(varied) > 0.0, "A factor that does not vary has no variance that a reading could explain.")
    return float(1.0 - missed / varied)
