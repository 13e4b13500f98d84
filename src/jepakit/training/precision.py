"""Choose device and number format: bf16 where the machine computes in it, fp32 elsewhere."""

import contextlib

import torch

from jepakit.types import UserError


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device called `name`; `auto` is this process's GPU where there is one, else the CPU.

    Raises:
        UserError: The name is not of a CPU or a GPU, or of a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdecimal()):
        raise UserError(f"--training.device must be auto, cpu, cuda or cuda:NUMBER, got {name!r}.")
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"Device {name!r} was asked for, but torch {torch.__version__} sees no GPU; use --training.device cpu."
        )
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"Device {name!r} was asked for, but there are {torch.cuda.device_count()} GPUs, from cuda:0 on."
        )
    return torch.device(name)


def has_bf16(device: torch.device) -> bool:
    """Return whether matrix products in bfloat16 run on this device's own units."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a step computes: bf16 autocast, or none."""
    use_bf16 = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16) if use_bf16 else contextlib.nullcontext()
