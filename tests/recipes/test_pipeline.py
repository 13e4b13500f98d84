"""The pipeline notes what is odd once, says how to repeat a run, and compiles nothing but networks."""

import json
import shlex
import sys
from pathlib import Path

import pytest
import torch
from small_methods import batch, build

from jepakit.data import Skipped
from jepakit.recipes.pipeline import compile_networks, environment, health_inputs, note_skipped
from jepakit.storage import Run


def test_every_skipped_file_is_noted_once_whoever_met_it(tmp_path: Path) -> None:
    run = Run(tmp_path)
    note_skipped(run, [Skipped("a.png", "the file is empty", 3)])
    note_skipped(run, [Skipped("b.png", "truncated", 0), Skipped("a.png", "the file is empty", 9)])
    note_skipped(run, [])
    assert json.loads((tmp_path / "skipped.json").read_text()) == [
        {"name": "a.png", "reason": "the file is empty"},
        {"name": "b.png", "reason": "truncated"},
    ]


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/x/bin/jepakit", "train", "a b", "--out", "r"], ["jepakit", "train", "a b", "--out", "r"]),
        (["/x/site-packages/jepakit/__main__.py", "demo"], ["jepakit", "demo"]),
        (["benchmarks/digits.py", "--seeds", "1"], ["python", "benchmarks/digits.py", "--seeds", "1"]),
        (["/x/pytest/__main__.py", "-q"], ["python", "/x/pytest/__main__.py", "-q"]),
    ],
)
def test_the_command_is_as_one_would_type_it_again(
    argv: list[str], command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert shlex.split(environment(torch.device("cpu"))["command"]) == command


def test_health_is_measured_on_the_same_inputs_each_time() -> None:
    method = build("ijepa")
    images, views = health_inputs(method, batch(6).image)
    again, views_again = health_inputs(method, batch(6).image)
    assert torch.equal(images, again)
    assert torch.equal(views, views_again)
    assert views.shape == (6, 4, 3, 16, 16)
    assert float((views[:, 0] - views[:, 1]).abs().max()) > 0.1
    torch.testing.assert_close(images, method.preprocess(batch(6).image))


def test_compiling_marks_the_networks_and_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    method = build("transform_jepa").eval()
    compiled: list[torch.nn.Module] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, *_, **__: compiled.append(self))
    compile_networks(method)
    assert {id(module) for module in compiled} == {
        id(module) for module in (method.encoder, method.predictor, method.projector, method.target)
    }
