"""The examples run: a bare loop, Lightning, and the Hugging Face Trainer, each for a few steps."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from jepakit.health import diagnose, measure
from jepakit.jepa import JEPA

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    """Import an example by its file, as `python examples/NAME.py` would, without running its last lines."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def moved(method: JEPA, recipe: str) -> float:
    """Return how far the encoder's weights went from where they began."""
    from jepakit.recipes import find_recipe

    return distance(method.encoder, find_recipe(recipe)().method.build(seed=0, num_steps=1).encoder)


@torch.no_grad()
def distance(one: nn.Module, other: nn.Module) -> float:
    """Return the largest difference between two networks' weights."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


def test_every_example_is_tried_here() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {"bare_loop", "with_lightning", "with_hugging_face_trainer"}
    assert all("python examples/" in (EXAMPLES / f"{name}.py").read_text() for name in names)


def test_a_bare_loop() -> None:
    bare = example("bare_loop")
    encoder, images = bare.train(num_steps=3, batch_size=32)
    with torch.no_grad():
        values = measure({"encoder": encoder(images[:64])})
    assert diagnose(values).sentence
    assert values["encoder"]["num_samples"] == 64


@pytest.mark.filterwarnings("ignore:.*isinstance\\(treespec, LeafSpec\\):FutureWarning")  # Lightning's own use of torch
@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # said on machines of many cores
def test_lightning() -> None:
    module = example("with_lightning").train(num_steps=2)
    assert module.global_step == 2
    assert moved(module.method, "digits-ijepa") > 1e-4
    assert distance(module.method.target.encoder, module.method.encoder) > 1e-4
    fresh = module.method.config.build(seed=0, num_steps=1)
    assert distance(module.method.target.encoder, fresh.target.encoder) > 0  # `after_step` was called


def test_the_hugging_face_trainer() -> None:
    model = example("with_hugging_face_trainer").train(num_steps=2)
    assert model.step == 2
    assert moved(model.method, "digits-ijepa-sigreg") > 1e-4
