"""Tell what this machine can do for jepakit, and what stands in the way."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from jepakit.training.precision import choose_device, has_bf16

_EXTRAS = {
    "data": ("pyarrow", "datasets"),
    "hub": ("huggingface_hub", "transformers"),
    "timm": ("timm",),
    "loggers": ("tensorboard", "wandb", "trackio"),
}


@dataclass(frozen=True)
class Finding:
    """Hold one line: what was looked at, what was found, and advice where something is amiss."""

    name: str
    found: str
    advice: str = ""


def doctor(folder: Path | str = ".") -> list[Finding]:
    """Look at Python, torch, device, number formats, torchvision, extras and the disk; changes nothing.

    Args:
        folder: Where runs would be written.
    """
    device = choose_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    speed = "yes" if has_bf16(device) else "no: fp32 is used"
    return [
        Finding("python", platform.python_version()),
        Finding("torch", torch.__version__, _torch_advice()),
        Finding("device", f"{device.type} ({name})"),
        Finding("cores and threads", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()} threads"),
        Finding("bf16 in hardware", speed),
        Finding("torch.compile", *_compiler()),
        Finding("torchvision", *_torchvision()),
        *(_extra(extra, packages) for extra, packages in _EXTRAS.items()),
        Finding("disk", f"{shutil.disk_usage(folder).free / 2**30:.1f} GiB free"),
    ]


def _torch_advice() -> str:
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    return "" if (major, minor) >= (2, 6) else "jepakit needs torch 2.6 or newer"


def _compiler() -> tuple[str, str]:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    return (
        (f"possible ({compiler})", "") if compiler else ("not possible", "install a C++ compiler, or leave compile off")
    )


def _torchvision() -> tuple[str, str]:
    """Import torchvision in a process of its own: beside a CPU torch its PyPI wheel breaks whatever imports it."""
    if importlib.util.find_spec("torchvision") is None:
        return "absent (not needed)", ""
    command = [sys.executable, "-c", "import torchvision"]
    broken = subprocess.run(command, capture_output=True, check=False).returncode != 0
    return ("broken", "pip uninstall torchvision: jepakit does not need it") if broken else ("works", "")


def _extra(extra: str, packages: tuple[str, ...]) -> Finding:
    have = [f"{p} {importlib.metadata.version(p)}" for p in packages if importlib.util.find_spec(p) is not None]
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    advice = f"for {', '.join(missing)}: pip install 'jepakit[{extra}]'" if missing else ""
    return Finding(f"extra {extra}", ", ".join(have) or "absent", advice)
