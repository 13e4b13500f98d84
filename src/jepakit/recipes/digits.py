"""Recipes for scikit-learn's bundled digits: 1,797 real scans of 8x8 pixels, seconds to a minute on a laptop.

Thirty per cent are a stratified test split that no training and no choice ever sees. All recipes share the encoder's
size and the number of images seen, so that they can be compared.
"""

from jepakit.masking import RandomMask
from jepakit.methods import (
    IJEPAConfig,
    IJEPASIGRegConfig,
    LeJEPAConfig,
    PixelsConfig,
    TransformJEPAConfig,
    VICRegConfig,
)
from jepakit.nn import ResNetConfig, ViTConfig
from jepakit.recipes.config import ImageData, ImageMethodConfig, ImageRecipe
from jepakit.training import TrainingConfig
from jepakit.views import Augment, MultiCrop, Preprocess

_PREPROCESS = Preprocess(image_size=8, channels=1, mean=(0.3,), std=(0.37,))
_VIT = ViTConfig(image_size=8, patch_size=2, dim=64, depth=3, num_heads=4, in_channels=1, positions="rotary")
_CONV = ResNetConfig(num_blocks=(1, 1, 1), width=16, in_channels=1)
_GENTLE = Augment(
    image_size=8,
    channels=1,
    crop_scale=(0.7, 1.0),
    crop_aspect=(0.8, 1.25),
    shift_fraction=0.125,
    rotation_degrees=15.0,
    noise_std=0.05,
)


def _recipe(name: str, method: ImageMethodConfig, learning_rate: float = 3e-3, num_steps: int = 700) -> ImageRecipe:
    return ImageRecipe(
        recipe=name,
        method=method,
        data=ImageData(train="digits", stored_size=8, num_health=128),
        training=TrainingConfig(
            num_steps=num_steps,
            batch_size=256,
            learning_rate=learning_rate,
            warmup_steps=num_steps // 10,
            weight_decay=0.01,
            health_every=num_steps // 5,
            log_every=50,
            num_workers=0,
            precision="fp32",
        ),
    )


_MASK = RandomMask(grid=_VIT.grid, target_fraction=0.5)


def digits_transform() -> ImageRecipe:
    """Learn digits by predicting an image's embedding after a known shift, rotation and scaling."""
    method = TransformJEPAConfig(encoder=_CONV, augment=_GENTLE, preprocess=_PREPROCESS, projector_dims=(256, 16))
    return _recipe("digits-transform", method)


def digits_ijepa() -> ImageRecipe:
    """Learn digits by predicting the embeddings of hidden pixels, targets from a moving average."""
    method = IJEPAConfig(
        encoder=_VIT,
        mask=_MASK,
        augment=_GENTLE,
        preprocess=_PREPROCESS,
        predictor_dim=48,
        predictor_depth=1,
        predictor_heads=4,
        momentum=0.99,
    )
    return _recipe("digits-ijepa", method)


def digits_ijepa_sigreg() -> ImageRecipe:
    """Learn digits by masked prediction in the live encoder's space, kept open by SIGReg."""
    method = IJEPASIGRegConfig(
        encoder=_VIT,
        mask=_MASK,
        augment=_GENTLE,
        preprocess=_PREPROCESS,
        predictor_dim=48,
        predictor_depth=1,
        predictor_heads=4,
    )
    return _recipe("digits-ijepa-sigreg", method)


def digits_lejepa() -> ImageRecipe:
    """Learn digits by letting four views predict their centre."""
    views = MultiCrop(global_=_GENTLE, num_global=4)
    method = LeJEPAConfig(encoder=_CONV, views=views, preprocess=_PREPROCESS, projector_dims=(256, 16), num_slices=256)
    return _recipe("digits-lejepa", method)


def digits_vicreg() -> ImageRecipe:
    """Learn digits by making two views equal, kept open by variance and covariance."""
    method = VICRegConfig(encoder=_CONV, augment=_GENTLE, preprocess=_PREPROCESS, projector_dims=(256, 256))
    return _recipe("digits-vicreg", method)


def digits_pixels() -> ImageRecipe:
    """Learn digits by predicting the raw pixels that are hidden: the arm without embeddings."""
    method = PixelsConfig(
        encoder=_VIT,
        mask=_MASK,
        augment=_GENTLE,
        preprocess=_PREPROCESS,
        predictor_dim=48,
        predictor_depth=1,
        predictor_heads=4,
        standardise=False,
    )
    return _recipe("digits-pixels", method)
