"""Tell what this machine can do for jepakit, and what stands in the way."""

import contextlib
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
    free = shutil.disk_usage(_existing(Path(folder))).free / 2**30
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
        Finding("disk", f"{free:.1f} GiB free", "a run may not fit: free some space" if free < 1 else ""),
    ]


def _existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


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
    """Say which packages of an extra are installed; a folder that happens to be called like one is none."""
    versions = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    missing = [package for package in packages if package not in versions]
    advice = f"for {', '.join(missing)}: pip install 'jepakit[{extra}]'" if missing else ""
    return Finding(f"extra {extra}", ", ".join(f"{p} {v}" for p, v in versions.items()) or "absent", advice)
