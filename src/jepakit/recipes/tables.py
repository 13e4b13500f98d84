"""Recipes for tables: a row is laid out as a line a feature, and a small transformer reads each as a token of its own.

`--data.train` names the table; sizes, categories and scales follow its training rows. The arms share encoder, mask and
rows seen; the learning rate of each was chosen for it on development splits.
"""

from typing import Any

from jepakit.masking import SubsetMask
from jepakit.methods import IJEPAConfig, PixelsConfig
from jepakit.nn import ViTConfig
from jepakit.recipes.config import ImageMethodConfig, SignalRecipe
from jepakit.recipes.data import TableData
from jepakit.training import TrainingConfig
from jepakit.views import TablePreprocess, TableViews

_PREPROCESS = TablePreprocess(num_categories=(0,) * 30)
_VIT = ViTConfig(
    image_size=_PREPROCESS.shape,
    patch_size=1,
    dim=64,
    depth=2,
    num_heads=4,
    mlp_dim=128,
    in_channels=_PREPROCESS.channels,
    stem="feature",
)
_SHARED: dict[str, Any] = {
    "encoder": _VIT,
    "mask": SubsetMask(grid=_VIT.grid),
    "augment": TableViews(preprocess=_PREPROCESS),
    "preprocess": _PREPROCESS,
    "predictor_dim": 32,
    "predictor_depth": 1,
    "predictor_heads": 4,
    "context_pass": "once",
}


def _recipe(name: str, method: ImageMethodConfig, learning_rate: float, num_steps: int = 300) -> SignalRecipe:
    return SignalRecipe(
        recipe=name,
        method=method,
        data=TableData(train="breast_cancer"),
        training=TrainingConfig(
            num_steps=num_steps,
            batch_size=64,
            learning_rate=learning_rate,
            warmup_steps=num_steps // 10,
            weight_decay=0.02,
            health_every=num_steps // 5,
            num_workers=0,
            precision="fp32",
        ),
    )


def table_ijepa() -> SignalRecipe:
    """Learn a table by predicting embeddings of hidden features, targets from a moving average (T-JEPA)."""
    method = IJEPAConfig(**_SHARED, distance="mse", momentum=0.99, target_norm="whiten")
    return _recipe("table-ijepa", method, learning_rate=1e-3)


def table_values() -> SignalRecipe:
    """Learn a table by predicting the hidden values themselves: the arm without embeddings."""
    return _recipe("table-values", PixelsConfig(**_SHARED, standardise=False), learning_rate=3e-3)
