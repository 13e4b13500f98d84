"""Small forms of every method of clips, for tests: four frames of 16x16 pixels."""

from typing import Any

import torch

from jepakit.methods import VJEPAConfig
from jepakit.nn import ViTConfig
from jepakit.types import VideoBatch
from jepakit.views import Augment, ClipPreprocess, ClipViews, Preprocess

ENCODER = ViTConfig(image_size=16, patch_size=4, dim=24, depth=2, num_heads=2, num_frames=4, in_channels=1)
SHARED: dict[str, Any] = {
    "encoder": ENCODER,
    "augment": ClipViews(frame=Augment(image_size=1, crop_scale=(0.8, 1.0))),
    "preprocess": ClipPreprocess(num_frames=1, frame=Preprocess(image_size=1, channels=1)),
    "predictor_dim": 24,
    "predictor_depth": 2,
    "predictor_heads": 2,
}
CLIPS: dict[str, Any] = {"vjepa": VJEPAConfig(**SHARED)}


def batch(num: int = 3) -> VideoBatch:
    """Return random clips."""
    generator = torch.Generator().manual_seed(0)
    video = torch.randint(0, 256, (num, 4, 1, 16, 16), dtype=torch.uint8, generator=generator)
    return VideoBatch(video, torch.arange(num))
