"""The examples run: the README's lines, a bare loop, Lightning, and the Hugging Face Trainer, each for a few steps."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from scripts import ROOT, script
from tiny_runs import quick_scoring, tiny
from torch import nn

from jepakit import recipes
from jepakit.health import diagnose, measure
from jepakit.jepa import JEPA


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
    names = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert names == {"bare_loop", "with_lightning", "with_hugging_face_trainer"}
    assert all("python examples/" in (ROOT / f"examples/{name}.py").read_text() for name in names)


def test_the_readme_s_python_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (lines,) = re.findall(r"```python\n(.+?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recipes, "find_recipe", lambda name: partial(tiny, name))
    Image.new("RGB", (40, 30), "red").save("photo.png")
    names: dict[str, Any] = {}
    with quick_scoring():
        exec(lines, names)
    assert names["z"].shape == (1, names["model"].encoder.embedding_dim)
    assert names["e"].shape == (1,)
    assert "ridge random init 0." in capsys.readouterr().out


def test_a_bare_loop() -> None:
    bare = script("examples/bare_loop.py")
    encoder, images = bare.train(num_steps=3, batch_size=32)
    with torch.no_grad():
        values = measure({"encoder": encoder(images[:64])})
    assert diagnose(values).sentence
    assert values["encoder"]["num_samples"] == 64


@pytest.mark.filterwarnings("ignore:.*isinstance\\(treespec, LeafSpec\\):FutureWarning")  # Lightning's own use of torch
@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # said on machines of many cores
def test_lightning() -> None:
    module = script("examples/with_lightning.py").train(num_steps=2)
    assert module.global_step == 2
    assert moved(module.method, "digits-ijepa") > 1e-4
    assert distance(module.method.target.encoder, module.method.encoder) > 1e-4
    fresh = module.method.config.build(seed=0, num_steps=1)
    assert distance(module.method.target.encoder, fresh.target.encoder) > 0  # `after_step` was called


def test_the_hugging_face_trainer() -> None:
    model = script("examples/with_hugging_face_trainer.py").train(num_steps=2)
    assert model.step == 2
    assert moved(model.method, "digits-ijepa-sigreg") > 1e-4
