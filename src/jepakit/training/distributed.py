"""Start and leave a process group as torchrun describes it, and wrap a method so that its gradients are averaged."""

import contextlib
import inspect
import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from jepakit.collectives import world_size


@contextlib.contextmanager
def process_group() -> Iterator[int]:
    """Join the group that torchrun's variables describe for the length of a `with` block; yields the local rank.

    Without those variables, or inside a group that someone else made, nothing is started.
    """
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield local_rank
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield local_rank
    finally:
        dist.destroy_process_group()


def wrap(method: nn.Module) -> nn.Module:
    """Return the method as the loop calls it: itself, or under DistributedDataParallel where there are processes.

    Buffers are not broadcast: batch statistics are already those of all processes, the same everywhere.
    """
    if world_size() == 1:
        return method
    known = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # renamed in torch 2.13
    settings: dict[str, Any] = {name: False}
    return DistributedDataParallel(method, gradient_as_bucket_view=True, **settings)


def any_process(flag: bool) -> bool:
    """Return whether `flag` is set on any process."""
    if world_size() == 1:
        return flag
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    value = torch.tensor(float(flag), device=device)
    dist.all_reduce(value, op=dist.ReduceOp.MAX)
    return bool(value.item())
