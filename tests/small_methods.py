"""Small forms of every method, for tests: 16x16 images in seconds."""

from dataclasses import replace
from typing import Any

import torch

from jepakit.masking import MultiBlock
from jepakit.methods import (
    IJEPAConfig,
    IJEPASIGRegConfig,
    LeJEPAConfig,
    PixelsConfig,
    ReleasedConfig,
    TransformJEPAConfig,
    VICRegConfig,
)
from jepakit.nn import ResNetConfig, ViTConfig
from jepakit.random import Stream
from jepakit.types import ImageBatch
from jepakit.views import Augment, MultiCrop, Preprocess

VIT = ViTConfig(image_size=16, patch_size=4, dim=32, depth=2, num_heads=2)
CONV = ResNetConfig(num_blocks=(1, 1), width=8)
MASK = MultiBlock(grid=(4, 4), num_targets=2, target_scale=(0.15, 0.25), min_keep=3)
PREPROCESS = Preprocess(image_size=16)
AUGMENT = Augment(image_size=16, flip_prob=0.5, jitter_prob=0.5)
_MASKED: dict[str, Any] = {
    "encoder": VIT,
    "mask": MASK,
    "augment": AUGMENT,
    "preprocess": PREPROCESS,
    "predictor_dim": 16,
    "predictor_depth": 1,
    "predictor_heads": 2,
}
_LOCAL = replace(AUGMENT, image_size=8)
CONFIGS: dict[str, Any] = {
    "ijepa": IJEPAConfig(**_MASKED, momentum=0.9),
    "ijepa_whitened": IJEPAConfig(
        **_MASKED | {"encoder": replace(VIT, stem="cosine")}, momentum=0.9, target_depth=1, target_norm="whiten"
    ),
    "ijepa_sigreg": IJEPASIGRegConfig(**_MASKED, num_slices=16, projector_dims=(16, 8)),
    "pixels": PixelsConfig(**_MASKED),
    "lejepa": LeJEPAConfig(
        encoder=CONV,
        views=MultiCrop(global_=AUGMENT, local=_LOCAL, num_global=2, num_local=1),
        preprocess=PREPROCESS,
        projector_dims=(16, 8),
        num_slices=16,
    ),
    "vicreg": VICRegConfig(encoder=CONV, augment=AUGMENT, preprocess=PREPROCESS, projector_dims=(16, 16)),
    "transform_jepa": TransformJEPAConfig(
        encoder=CONV, augment=AUGMENT, preprocess=PREPROCESS, projector_dims=(16, 8), predictor_dim=16, num_slices=16
    ),
}
ENCODERS: dict[str, Any] = {"released": ReleasedConfig(encoder=VIT, preprocess=PREPROCESS)}
"""What is never trained, so it stands under none of the tests of training."""
MASKED_NAMES = ("ijepa", "ijepa_whitened", "ijepa_sigreg", "pixels")


def build(name: str, seed: int = 0, num_steps: int = 20) -> Any:
    """Build a small method."""
    return CONFIGS[name].build(seed=seed, num_steps=num_steps)


def batch(num: int = 12, start: int = 0) -> ImageBatch:
    """Return random images, each a function of its id alone."""
    ids = torch.arange(start, start + num)
    pixels = Stream(0, "test/images").integers(0, ids, 3 * 16 * 16, 256)
    return ImageBatch(pixels.view(num, 3, 16, 16).to(torch.uint8), ids)
