"""Sum over all processes inside autograd; the identity where there is one process.

The project's one rule for many processes: *every loss is the global value, the same on every process*. A statistic over
the whole batch is a sum through `all_reduce_sum`, whose backward is again a sum over processes. DistributedDataParallel
then averages gradients that are each `world` times too large in total, and the result is exactly the gradient that one
process would have computed on the whole batch, uneven shares included.
"""

from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes; read at call time, so a process group made later counts."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number, 0 where there is one process."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def gather(item: T) -> list[T]:
    """Return the `item` of each process, by rank; it travels pickled, and every process must call this."""
    if world_size() == 1:
        return [item]
    items: list[Any] = [None] * world_size()
    dist.all_gather_object(items, item)
    return items


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def all_reduce_sum(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the sum of `x` over all processes; its gradient is the sum of theirs."""
    if world_size() == 1:
        return x
    total: Tensor = _AllReduceSum.apply(x)
    return total


def weighted_mean(x: Float[Tensor, " r"], weight: Float[Tensor, " r"]) -> Float[Tensor, ""]:
    """Return sum(weight * x) / sum(weight) over the rows of all processes; `weight` carries no gradient."""
    total = all_reduce_sum(torch.stack(((weight * x).sum(), weight.detach().sum())))
    return total[0] / total[1].detach()


def global_count(x: Tensor) -> Tensor:
    """Return the number of first-axis entries of `x` over all processes, as a float32 scalar on x's device."""
    return all_reduce_sum(torch.full((), float(x.shape[0]), device=x.device))
