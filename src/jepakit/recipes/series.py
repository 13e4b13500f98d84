"""Recipes for time series: a window is laid out as channels by moments, and a small transformer reads its patches.

`--data.train` names the record; sizes follow it. All share encoder, mask and number of windows seen, and differ in
what is to be predicted. Half of the views have a gap, and half lack channels. One is for watching a record instead:
what makes embeddings serve forecasts and gaps makes it find less.
"""

from dataclasses import replace
from typing import Any

from jepakit.masking import FutureMask, RandomMask
from jepakit.methods import IJEPAConfig, IJEPASIGRegConfig, PixelsConfig
from jepakit.nn import ViTConfig
from jepakit.recipes.config import ImageMethodConfig, SignalRecipe
from jepakit.recipes.data import SeriesData
from jepakit.recipes.pace import small_training
from jepakit.views import SeriesPreprocess, SignalViews

_LENGTH, _PATCH = 192, 12
_PREPROCESS = SeriesPreprocess(signal_channels=1, length=_LENGTH)
_VIT = ViTConfig(
    image_size=(1, _LENGTH), patch_size=(1, _PATCH), dim=96, depth=2, num_heads=4, in_channels=2, stem="linear"
)
_SHARED: dict[str, Any] = {
    "encoder": _VIT,
    "mask": RandomMask(grid=_VIT.grid, target_fraction=0.5),
    "augment": SignalViews(preprocess=_PREPROCESS, gap=0.7, channel_drop=0.8),
    "preprocess": _PREPROCESS,
    "predictor_dim": 64,
    "predictor_depth": 1,
    "predictor_heads": 4,
    "context_pass": "once",
}


def _recipe(
    name: str, method: ImageMethodConfig, length: int = _LENGTH, num_steps: int = 1500, batch_size: int = 128
) -> SignalRecipe:
    return SignalRecipe(
        recipe=name,
        method=method,
        data=SeriesData(train="record.csv", length=length),
        training=small_training(num_steps, batch_size, num_workers=0),
    )


def series_ijepa() -> SignalRecipe:
    """Learn a record by predicting whitened embeddings of hidden stretches, targets from a moving average (TS-JEPA)."""
    method = IJEPAConfig(**_SHARED, distance="mse", momentum=0.99, target_norm="whiten")
    return _recipe("series-ijepa", method)


def series_ijepa_sigreg() -> SignalRecipe:
    """Learn a record by masked prediction in the live encoder's space, kept open by SIGReg."""
    return _recipe("series-ijepa-sigreg", IJEPASIGRegConfig(**_SHARED, projector_dims=(256, 64), sigreg_weight=3.0))


def series_future() -> SignalRecipe:
    """Learn a record by predicting whitened embeddings of its future, near and far, from its past alone."""
    mask = FutureMask(grid=_VIT.grid, horizons=(1, 2, 4), seen=(0.4, 0.8))
    method = IJEPAConfig(**_SHARED | {"mask": mask}, distance="mse", momentum=0.99, target_norm="whiten")
    return _recipe("series-future", method)


def series_values() -> SignalRecipe:
    """Learn a record by predicting the hidden values themselves: the arm without embeddings."""
    return _recipe("series-values", PixelsConfig(**_SHARED, standardise=False))


def series_watch() -> SignalRecipe:
    """Learn what is ordinary in a record, so as to be surprised: hidden values of short windows that lack nothing."""
    whole = {"encoder": replace(_VIT, stem="cosine"), "augment": SignalViews(preprocess=_PREPROCESS)}
    method = PixelsConfig(**_SHARED | whole, standardise=False)
    return _recipe("series-watch", method, length=96, num_steps=1000, batch_size=64)
