"""Whiten target tokens over the batch of all processes: drop what all samples share, weigh every direction alike.

Where a small network has seen little data, most of its tokens' variance lies between positions and in a few directions.
A predictor then scores well by knowing where. Of whitened tokens it cannot: at every position they have mean zero over
the samples, and every direction weighs the same, so a constant answer costs as much as any can.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.collectives import all_reduce_sum, global_count

_MOMENTUM = 0.1
_RIDGE = 1e-3
_EPS = 1e-5


class Whitening(nn.Module):
    """Centre tokens per position and decorrelate their dimensions; no weights, and no gradient passes.

    In training the statistics are the batch's, over all processes, and their running means are kept for eval mode:
    there an input's whitened tokens do not depend on what else is in its batch. A thousandth of the mean variance is
    added to each direction, and BatchNorm's 1e-5, so that directions which hold nothing are not blown up to unit size.

    Args:
        num_tokens: Positions.
        dim: Width of a token.

    Source: Ermolov et al. 2021, "Whitening for self-supervised representation learning" (arXiv 2007.06346), whose
    Cholesky form this is. Deviations: it whitens targets alone, per position centred with one covariance for all
    positions, and keeps running statistics as BatchNorm does.
    """

    mean: Tensor
    covariance: Tensor

    def __init__(self, num_tokens: int, dim: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_tokens, dim))
        self.register_buffer("covariance", torch.eye(dim))

    @torch.no_grad()
    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Return whitened tokens in at least float32; in training the running statistics move on."""
        with torch.autocast(tokens.device.type, enabled=False):
            wide = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
            mean, covariance = self._batch_statistics(wide) if self.training else (self.mean, self.covariance)
            ridge = _RIDGE * covariance.diagonal().mean() + _EPS
            # cholesky_ex: torch.linalg.cholesky would wait for the device to say whether it went well
            factor, _ = torch.linalg.cholesky_ex(covariance + ridge * torch.eye(len(covariance), device=tokens.device))
            rows = (wide - mean).flatten(0, 1).to(covariance.dtype)
            return torch.linalg.solve_triangular(factor, rows.mT, upper=False).mT.unflatten(0, wide.shape[:2])

    def _batch_statistics(self, tokens: Float[Tensor, "b n d"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "d d"]]:
        """Return mean per position and pooled covariance over all processes; the running statistics move on."""
        count = global_count(tokens)
        mean = all_reduce_sum(tokens.sum(dim=0)) / count
        rows = (tokens - mean).flatten(0, 1)
        covariance = all_reduce_sum(rows.mT @ rows) / (count * tokens.shape[1])
        self.mean.lerp_(mean.to(self.mean.dtype), _MOMENTUM)
        self.covariance.lerp_(covariance.to(self.covariance.dtype), _MOMENTUM)
        return mean, covariance
