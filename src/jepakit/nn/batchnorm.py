"""Normalise over the batch of all processes: BatchNorm that is exact on CPU and GPU, with uneven shares too.

torch's own SyncBatchNorm refuses CPU tensors. This one is torch.nn.BatchNorm itself in one process or in eval mode, and
has its parameters, buffers and state dict; over several processes it shares sums through `jepakit.collectives`, so that
values, gradients and running statistics are those of one process with the whole batch.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from jepakit.collectives import all_reduce_sum, world_size
from jepakit.types import UserError


class BatchNorm(_BatchNorm):
    """Normalise each channel (axis 1) over the batch and every further axis, over all processes.

    Takes (b, d), (b, d, n), (b, c, h, w) or (b, c, t, h, w). Arguments, parameters and state dict are those of
    torch.nn.BatchNorm1d.

    Source: Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 1. Deviations: none; two reductions (mean, then squared
    deviations) keep float32 accurate where the mean is large.
    """

    def forward(self, x: Float[Tensor, "b d *rest"]) -> Float[Tensor, "b d *rest"]:
        """Normalise `x`; in training the running statistics move on.

        Raises:
            UserError: `x` has other channels, or is one value a channel, of which there are no statistics.
        """
        self._check_input_dim(x)
        uses_batch = self.training or self.running_mean is None
        if uses_batch and world_size() == 1 and x.numel() == x.shape[1]:
            raise UserError(
                f"BatchNorm learns from at least two values a channel, got shape {tuple(x.shape)}, a batch of one "
                "image; use a larger batch."
            )
        if world_size() == 1 or not uses_batch:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = x if x.dtype == torch.float64 else x.float()
            axes = [axis for axis in range(x.ndim) if axis != 1]
            sums = all_reduce_sum(torch.cat((wide.sum(axes), wide.new_full((1,), x.numel() / x.shape[1]))))
            count = sums[-1].detach()
            mean = sums[:-1] / count
            centred = wide - _per_channel(mean, x)
            variance = all_reduce_sum(centred.square().sum(axes)) / count
            if self.training:
                self._track(mean.detach(), variance.detach() * count / (count - 1))
            gain = torch.rsqrt(variance + self.eps)
            gain = gain if self.weight is None else gain * self.weight
            y = centred * _per_channel(gain, x)
            y = y if self.bias is None else y + _per_channel(self.bias, x)
        return y.to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Float[Tensor, " d"], variance: Float[Tensor, " d"]) -> None:
        """Move the running statistics towards those of this batch."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / self.num_batches_tracked if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2 or input.shape[1] != self.num_features:
            raise UserError(
                f"BatchNorm over {self.num_features} channels takes (b, {self.num_features}, ...), "
                f"got shape {tuple(input.shape)}; put the channels on axis 1."
            )


def _per_channel(vector: Float[Tensor, " d"], like: Tensor) -> Tensor:
    """Shape one number per channel so that it broadcasts against `like`."""
    return vector.reshape(1, -1, *[1] * (like.ndim - 2))


def convert_batchnorm(module: nn.Module) -> nn.Module:
    """Replace every torch BatchNorm in `module` (itself too) by `BatchNorm`, keeping its parameters, buffers and mode.

    Works in place and returns the module, or its replacement where it is a BatchNorm itself. Call it before the
    optimizer is made or after: the parameters stay the same objects. Subclasses of torch's (such as timm's, which hold
    an activation too) stay as they are, with statistics of each process alone.
    """
    if type(module) in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm):
        assert isinstance(module, _BatchNorm)
        return _converted(module)
    for name, child in module.named_children():
        setattr(module, name, convert_batchnorm(child))
    return module


def _converted(source: _BatchNorm) -> BatchNorm:
    """Return a `BatchNorm` that holds the parameters and buffers of `source` themselves."""
    new = BatchNorm(
        source.num_features, source.eps, source.momentum, source.affine, source.track_running_stats, device="meta"
    )
    new.weight, new.bias = source.weight, source.bias
    new.running_mean, new.running_var = source.running_mean, source.running_var
    new.num_batches_tracked = source.num_batches_tracked
    return new.train(source.training)
