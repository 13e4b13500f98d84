"""jepakit: learn by predicting embeddings.

The public names load on first use, so that importing the package costs no more than importing torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jepakit import data as data
    from jepakit import evaluation as evaluation
    from jepakit import health as health
    from jepakit import masking as masking
    from jepakit import methods as methods
    from jepakit import nn as nn
    from jepakit import objectives as objectives
    from jepakit import planning as planning
    from jepakit import recipes as recipes
    from jepakit import training as training
    from jepakit import views as views
    from jepakit import worlds as worlds
    from jepakit.commands import agent as agent
    from jepakit.commands import build_report as build_report
    from jepakit.commands import compare as compare
    from jepakit.commands import demo as demo
    from jepakit.commands import doctor as doctor
    from jepakit.commands import embed as embed
    from jepakit.commands import evaluate as evaluate
    from jepakit.commands import evaluate_forecasts as evaluate_forecasts
    from jepakit.commands import evaluate_reaching as evaluate_reaching
    from jepakit.commands import experiment as experiment
    from jepakit.commands import export as export
    from jepakit.commands import import_checkpoint as import_checkpoint
    from jepakit.commands import plan as plan
    from jepakit.commands import surprise as surprise
    from jepakit.commands import train as train
    from jepakit.estimator import JEPATransformer as JEPATransformer
    from jepakit.hub import load as load

__version__ = "0.1.0"

_ROOMS = (
    *("data", "evaluation", "health", "masking", "methods", "nn"),
    *("objectives", "planning", "recipes", "training", "views", "worlds"),
)
_NAMES = {
    "JEPATransformer": "jepakit.estimator",
    "agent": "jepakit.commands",
    "build_report": "jepakit.commands",
    "compare": "jepakit.commands",
    "demo": "jepakit.commands",
    "doctor": "jepakit.commands",
    "embed": "jepakit.commands",
    "evaluate": "jepakit.commands",
    "evaluate_forecasts": "jepakit.commands",
    "evaluate_reaching": "jepakit.commands",
    "experiment": "jepakit.commands",
    "export": "jepakit.commands",
    "import_checkpoint": "jepakit.commands",
    "load": "jepakit.hub",
    "plan": "jepakit.commands",
    "surprise": "jepakit.commands",
    "train": "jepakit.commands",
}

__all__ = [  # noqa: RUF022 - rooms first, then names
    "data",
    "evaluation",
    "health",
    "masking",
    "methods",
    "nn",
    "objectives",
    "planning",
    "recipes",
    "training",
    "views",
    "worlds",
    "JEPATransformer",
    "agent",
    "build_report",
    "compare",
    "demo",
    "doctor",
    "embed",
    "evaluate",
    "evaluate_forecasts",
    "evaluate_reaching",
    "experiment",
    "export",
    "import_checkpoint",
    "load",
    "plan",
    "surprise",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name the first time it is asked for (PEP 562)."""
    if name in _ROOMS:
        return importlib.import_module(f"jepakit.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'jepakit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
