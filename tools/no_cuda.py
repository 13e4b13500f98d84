"""Fail if the set-up pulled a CUDA build of torch or one of its packages onto a machine that asked for none."""

import importlib.metadata
import sys

import torch


def main() -> int:
    """Name what should not be there."""
    found = [d.name for d in importlib.metadata.distributions() if d.name.startswith("nvidia-")]
    found += [d.name for d in importlib.metadata.distributions() if d.name in ("torchvision", "torchaudio", "timm")]
    if torch.version.cuda is not None:
        found.append(f"torch built for CUDA {torch.version.cuda}")
    for name in found:
        print(f"should not be installed: {name}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
