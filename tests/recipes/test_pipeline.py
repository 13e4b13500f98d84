"""The pipeline notes what is odd once, says how to repeat a run, and compiles nothing but networks."""

import json
import shlex
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small_methods import batch, build
from tiny_runs import tiny, write_images

from jepakit.data import Loader, Skipped
from jepakit.recipes import ImageData, ImageRecipe, pipeline, splits
from jepakit.recipes.feeds import health_inputs
from jepakit.recipes.pipeline import compile_networks, environment, note_skipped, train
from jepakit.storage import Run
from jepakit.types import UserError


def skipped_in(run: Path) -> set[str]:
    return {skip["name"] for skip in json.loads((run / "skipped.json").read_text())}


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImageRecipe:
    """Return a recipe on a folder of which every fourth file is broken, decoded as it is needed."""
    for path in write_images(tmp_path / "images", per_class=40, classes=1)[::4]:
        path.write_bytes(b"")
    monkeypatch.setattr(pipeline, "Loader", partial(Loader, memory_budget=0))
    data = ImageData(train=str(tmp_path / "images"), stored_size=8, num_health=4)
    return tiny(data=data, batch_size=8, num_steps=2, log_every=1)


def test_what_other_processes_could_not_read_is_noted_too(
    broken: ImageRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Skipped("elsewhere.png", "torn", 5)
    monkeypatch.setattr(pipeline, "gather", lambda met: [met, [elsewhere, *met]])
    train(broken, tmp_path / "run")
    noted = json.loads((tmp_path / "run/skipped.json").read_text())
    assert {"name": "elsewhere.png", "reason": "torn"} in noted
    assert len(noted) == len(skipped_in(tmp_path / "run")) > 1


@pytest.mark.parametrize("fault", [KeyboardInterrupt, UserError], ids=["interrupt", "error"])
def test_what_was_met_before_training_stopped_early_is_noted(
    broken: ImageRecipe, fault: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_step, met = Loader.from_step, []

    def stopping(self: Loader, step: int) -> Iterator[Any]:
        for number, item in from_step(self, step):
            if number == 1:
                met.extend(self.skipped)
                raise fault
            yield number, item

    monkeypatch.setattr(Loader, "from_step", stopping)
    monkeypatch.setattr(pipeline, "gather", lambda _: pytest.fail("waits for processes that may have gone"))
    (tmp_path / "run").mkdir()
    with pytest.raises(fault):
        train(broken, tmp_path / "run")
    assert met
    assert skipped_in(tmp_path / "run") >= {skip.name for skip in met}
    note_skipped(Run(tmp_path / "run"), [Skipped("of an earlier part.png", "torn", 0)])
    with pytest.raises(fault):
        train(broken, tmp_path / "run")
    assert "of an earlier part.png" in skipped_in(tmp_path / "run")


def test_images_that_are_not_looked_for_are_noted_once(broken: ImageRecipe, tmp_path: Path) -> None:
    (tmp_path / "images/a.heic").write_bytes(b"")
    for _ in range(2):
        train(broken, tmp_path / "run")
    noted = json.loads((tmp_path / "run/skipped.json").read_text())
    assert [skip["name"] for skip in noted if "heic" in skip["reason"]] == [f"1 file in {tmp_path / 'images'}"]


def test_a_run_that_could_not_be_scored_for_its_size_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "MAX_PROBE_BYTES", 1000)
    with pytest.raises(UserError, match=r"The 1797 labelled images would fill"):
        train(tiny(), tmp_path / "run")
    assert not (tmp_path / "run/config.json").exists()


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
