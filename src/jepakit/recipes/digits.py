"""Recipes for scikit-learn's bundled digits: 1,797 real scans of 8x8 pixels, seconds to a minute on a laptop.

Thirty per cent are a stratified test split that no training and no choice ever sees. Recipes of one kind (whole views,
or hidden patches) share encoder, optimizer and the number of images seen.
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

_PREPROCESS = Preprocess(image_size=8, channels=1, mean=(0.3,), std=(0.37,))
_CONV = ConvNetConfig(stem_width=32, widths=(64, 128), pools=(True, False), in_channels=1)
_VIT = ViTConfig(image_size=8, patch_size=2, dim=64, depth=1, num_heads=4, in_channels=1, stem="cosine")
_GENTLE = Augment(
    image_size=8,
    channels=1,
    crop_scale=(0.7, 1.0),
    crop_aspect=(0.8, 1.25),
    shift_fraction=0.125,
    rotation_degrees=15.0,
    noise_std=0.05,
)
_MASKED: dict[str, Any] = {
    "encoder": _VIT,
    "mask": RandomMask(grid=_VIT.grid, target_fraction=0.5),
    "augment": _GENTLE,
    "preprocess": _PREPROCESS,
    "predictor_dim": 48,
    "predictor_depth": 1,
    "predictor_heads": 4,
}
"""What I-JEPA, I-JEPA with SIGReg and pixel prediction share: they differ in what is to be predicted alone."""


def _recipe(name: str, method: ImageMethodConfig, muon_ratio: float, num_steps: int = 700) -> ImageRecipe:
    return ImageRecipe(
        recipe=name,
        method=method,
        data=ImageData(train="digits", stored_size=8, num_health=128),
        training=small_training(
            num_steps,
            256,
            muon_ratio=muon_ratio,
            learning_rate=3e-3,
            weight_decay=0.01,
            log_every=50,
            num_workers=0,
            precision="fp32",
        ),
    )


def digits_transform() -> ImageRecipe:
    """Learn digits by predicting an image's embedding after a known shift, rotation and scaling."""
    method = TransformJEPAConfig(encoder=_CONV, augment=_GENTLE, preprocess=_PREPROCESS, projector_dims=(256, 16))
    return _recipe("digits-transform", method, muon_ratio=8.0)


def digits_lejepa() -> ImageRecipe:
    """Learn digits by letting four views predict their centre."""
    views = MultiCrop(global_=_GENTLE, num_global=4)
    method = LeJEPAConfig(encoder=_CONV, views=views, preprocess=_PREPROCESS, projector_dims=(256, 16), num_slices=256)
    return _recipe("digits-lejepa", method, muon_ratio=8.0)


def digits_vicreg() -> ImageRecipe:
    """Learn digits by making two views equal, kept open by variance and covariance."""
    method = VICRegConfig(encoder=_CONV, augment=_GENTLE, preprocess=_PREPROCESS, projector_dims=(256, 256))
    return _recipe("digits-vicreg", method, muon_ratio=8.0)


def digits_ijepa() -> ImageRecipe:
    """Learn digits by predicting whitened embeddings of hidden patches, targets from a moving average."""
    method = IJEPAConfig(**_MASKED, distance="mse", momentum=0.99, target_norm="whiten")
    return _recipe("digits-ijepa", method, muon_ratio=4.0)


def digits_ijepa_sigreg() -> ImageRecipe:
    """Learn digits by masked prediction in the live encoder's space, kept open by SIGReg."""
    method = IJEPASIGRegConfig(**_MASKED, projector_dims=(256, 32), sigreg_weight=3.0)
    return _recipe("digits-ijepa-sigreg", method, muon_ratio=4.0)


def digits_pixels() -> ImageRecipe:
    """Learn digits by predicting the raw pixels that are hidden: the arm without embeddings."""
    return _recipe("digits-pixels", PixelsConfig(**_MASKED, standardise=False), muon_ratio=4.0)
