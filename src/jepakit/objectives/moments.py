"""Compute per-group moments over the samples of all processes: exact with uneven shares, in value and gradient."""

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.collectives import all_reduce_sum, global_count, world_size
from jepakit.types import UserError


def global_mean(z: Float[Tensor, "b g d"]) -> tuple[Float[Tensor, "1 g d"], Float[Tensor, ""]]:
    """Return the mean of each group over the samples of all processes, and their number."""
    count = global_count(z).detach()
    return all_reduce_sum(z.sum(dim=0, keepdim=True)) / count, count


def global_variance(z: Float[Tensor, "b g d"], *, is_unbiased: bool) -> Float[Tensor, "g d"]:
    """Return the variance of each group and dimension over the samples of all processes, in two passes.

    Args:
        z: Embeddings.
        is_unbiased: Divide by N - 1 and not by N.

    Raises:
        UserError: One sample only, and an unbiased variance asked for.
    """
    if is_unbiased:
        _require_two_samples(z)
    mean, count = global_mean(z)
    total = all_reduce_sum((z - mean).square().sum(dim=0))
    return total / (count - 1 if is_unbiased else count)


def global_covariance(z: Float[Tensor, "b g d"]) -> Float[Tensor, "g d d"]:
    """Return the unbiased covariance matrix of each group over the samples of all processes, in two passes.

    Raises:
        UserError: One sample only.
    """
    _require_two_samples(z)
    mean, count = global_mean(z)
    centred = z - mean
    return all_reduce_sum(torch.einsum("bgi,bgj->gij", centred, centred)) / (count - 1)


def _require_two_samples(z: Tensor) -> None:
    """Refuse one sample; in several processes the shares of the others are not known without waiting for them."""
    if world_size() == 1 and z.shape[0] < 2:
        raise UserError(f"A variance needs at least 2 samples in a batch, got {z.shape[0]}; use a larger batch.")
