"""Recipes for small colour images (32x32) on a laptop: one encoder size, minutes, no GPU.

`--data.train` names the images: a folder, a parquet file or a saved dataset. The stock recipes of the papers fail at
this size; these are our own defaults for small data.
"""

from typing import Any

from jepakit.masking import RandomMask
from jepakit.methods import (
    IJEPAConfig,
    IJEPASIGRegConfig,
    LeJEPAConfig,
    PixelsConfig,
    TransformJEPAConfig,
    VICRegConfig,
)
from jepakit.nn import ConvNetConfig, ViTConfig
from jepakit.recipes.config import ImageMethodConfig, ImageRecipe
from jepakit.recipes.data import ImageData
from jepakit.recipes.pace import small_training
from jepakit.views import Augment, MultiCrop, Preprocess

_PREPROCESS = Preprocess(image_size=32, mean=(0.491, 0.482, 0.447), std=(0.247, 0.243, 0.262))
_CONV = ConvNetConfig(stem_width=64, widths=(96, 192, 256), pools=(True, True, False))
_VIT = ViTConfig(image_size=32, patch_size=4, dim=240, depth=1, num_heads=5, stem="cosine")
_MASKED: dict[str, Any] = {
    "encoder": _VIT,
    "mask": RandomMask(grid=_VIT.grid, target_fraction=0.7),
    "augment": Augment(image_size=32, crop_scale=(0.5, 1.0), flip_prob=0.5),
    "preprocess": _PREPROCESS,
    "predictor_dim": 96,
    "predictor_depth": 2,
    "predictor_heads": 4,
    "context_pass": "once",
}
"""What I-JEPA, I-JEPA with SIGReg and pixel prediction share: they differ in what is to be predicted alone."""
_STRONG = Augment(
    image_size=24,  # three quarters of the image's side: half the work, and the network takes 32 pixels as well
    crop_scale=(0.2, 1.0),
    flip_prob=0.5,
    jitter=(0.4, 0.4, 0.2, 0.1),
    jitter_prob=0.8,
    gray_prob=0.2,
)


def _recipe(name: str, method: ImageMethodConfig, muon_ratio: float, num_steps: int = 3000) -> ImageRecipe:
    return ImageRecipe(
        recipe=name,
        method=method,
        data=ImageData(train="images", stored_size=32, num_health=512, test_fraction=0.2, dev_fraction=0.1),
        training=small_training(num_steps, 128, muon_ratio=muon_ratio, health_every=num_steps // 6),
    )


def small_transform() -> ImageRecipe:
    """Learn small images by predicting an embedding under a known crop, flip and colour change."""
    method = TransformJEPAConfig(encoder=_CONV, augment=_STRONG, preprocess=_PREPROCESS, projector_dims=(512, 128))
    return _recipe("small-transform", method, muon_ratio=8.0)


def small_lejepa() -> ImageRecipe:
    """Learn small images by letting two views predict their centre."""
    views = MultiCrop(global_=_STRONG, num_global=2)
    method = LeJEPAConfig(encoder=_CONV, views=views, preprocess=_PREPROCESS, projector_dims=(512, 128), num_slices=256)
    return _recipe("small-lejepa", method, muon_ratio=8.0)


def small_vicreg() -> ImageRecipe:
    """Learn small images by making two views equal, kept open by variance and covariance."""
    method = VICRegConfig(encoder=_CONV, augment=_STRONG, preprocess=_PREPROCESS, projector_dims=(512, 512))
    return _recipe("small-vicreg", method, muon_ratio=8.0)


def small_ijepa() -> ImageRecipe:
    """Learn small images by predicting whitened embeddings of hidden patches, targets from a moving average."""
    method = IJEPAConfig(**_MASKED, distance="mse", momentum=0.99, target_norm="whiten")
    return _recipe("small-ijepa", method, muon_ratio=4.0)


def small_ijepa_sigreg() -> ImageRecipe:
    """Learn small images by masked prediction in the live encoder's space, kept open by SIGReg."""
    method = IJEPASIGRegConfig(**_MASKED, projector_dims=(512, 128), sigreg_weight=3.0)
    return _recipe("small-ijepa-sigreg", method, muon_ratio=4.0)


def small_pixels() -> ImageRecipe:
    """Learn small images by predicting the raw pixels of hidden patches: the arm without embeddings."""
    return _recipe("small-pixels", PixelsConfig(**_MASKED), muon_ratio=4.0)
