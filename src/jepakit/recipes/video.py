"""Recipes for video at a laptop's size: moving digits without a download, or anyone's clips in the same form.

The arms share encoder, predictor and clips; they differ in what is hidden and in what is to be predicted.
"""

from typing import Any

from jepakit.masking import FutureMask, TubeMask
from jepakit.methods import PixelsConfig, VJEPAConfig
from jepakit.nn import ViTConfig
from jepakit.recipes.config import VideoRecipe
from jepakit.recipes.data import VideoData
from jepakit.recipes.pace import small_training
from jepakit.views import Augment, ClipPreprocess, ClipViews, Preprocess

_FRAMES, _SIDE = 16, 32
_VIT = ViTConfig(
    image_size=_SIDE,
    patch_size=8,
    num_frames=_FRAMES,
    dim=128,
    depth=4,
    num_heads=4,
    in_channels=1,
    positions="rotary",
    stem="cosine",
)
_SHORT = TubeMask(grid=_VIT.grid, num_blocks=6, scale=(0.15, 0.15))
_LONG = TubeMask(grid=_VIT.grid, num_blocks=2, scale=(0.5, 0.5))
_SHARED: dict[str, Any] = {
    "encoder": _VIT,
    "augment": ClipViews(frame=Augment(image_size=_SIDE, crop_scale=(1.0, 1.0), crop_aspect=(1.0, 1.0))),
    "preprocess": ClipPreprocess(num_frames=_FRAMES, frame=Preprocess(image_size=_SIDE, channels=1)),
    "predictor_dim": 64,
    "predictor_depth": 2,
    "predictor_heads": 4,
    "context_pass": "once",
}
"""What all arms have in common."""


def _recipe(name: str, method: VJEPAConfig | PixelsConfig, num_steps: int = 1000) -> VideoRecipe:
    return VideoRecipe(
        recipe=name,
        method=method,
        data=VideoData(train="moving-digits", num_frames=_FRAMES, stored_size=_SIDE),
        training=small_training(num_steps, 16),
    )


def video_vjepa() -> VideoRecipe:
    """Learn clips by predicting whitened embeddings of hidden tubes, with a short-range and a long-range mask."""
    masks: dict[str, Any] = {"mask": _SHORT, "further_masks": (_LONG,), "mask_tokens": 2}
    method = VJEPAConfig(**_SHARED, **masks, distance="mse", momentum=0.99, target_norm="whiten")
    return _recipe("video-vjepa", method)


def video_future() -> VideoRecipe:
    """Learn clips by predicting whitened embeddings of the next moments from those before."""
    future = FutureMask(grid=_VIT.grid, horizons=(1, 2), seen=(0.4, 0.8))
    masks: dict[str, Any] = {"mask": future, "further_masks": (), "mask_tokens": 1}
    method = VJEPAConfig(**_SHARED, **masks, distance="mse", momentum=0.99, target_norm="whiten")
    return _recipe("video-future", method)


def video_pixels() -> VideoRecipe:
    """Learn clips by predicting the pixels of hidden tubes: the arm without embeddings."""
    masks: dict[str, Any] = {"mask": _SHORT, "further_masks": (_LONG,), "mask_tokens": 2}
    return _recipe("video-pixels", PixelsConfig(**_SHARED, **masks, standardise=False))
