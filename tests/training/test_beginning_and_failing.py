"""A run that cannot begin leaves no configuration behind; one that fails leaves a report."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import quick_scoring, tiny

from jepakit.commands import running
from jepakit.data import Arrays
from jepakit.jepa import JEPA
from jepakit.recipes import pipeline
from jepakit.training import NonFiniteError
from jepakit.training.progress import Lines
from jepakit.types import ImageBatch, StepOutput, UserError


def test_a_run_whose_trainer_cannot_be_built_leaves_no_configuration_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise UserError("cannot be built")

    monkeypatch.setattr(pipeline, "Trainer", refuse)
    with pytest.raises(UserError, match="cannot be built"):
        pipeline.train(tiny(), tmp_path / "run")
    assert not (tmp_path / "run/config.json").exists()


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loss of every method be NaN at step 1."""
    forward = JEPA.forward

    def poison(self: JEPA, batch: ImageBatch, step: int) -> StepOutput:
        output = forward(self, batch, step)
        return replace(output, loss=output.loss * math.nan) if step == 1 else output

    monkeypatch.setattr(JEPA, "forward", poison)


@pytest.mark.usefixtures("poisoned")
def test_a_loss_that_was_not_finite_leaves_a_report(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="Step 1 was not finite"):
        running.train(tiny(), tmp_path / "run")
    assert "step 1 was not finite" in (tmp_path / "run/report.html").read_text()


@pytest.mark.usefixtures("poisoned")
def test_a_report_that_cannot_be_written_does_not_hide_why_training_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running, "write_report", refuse)
    with pytest.raises(NonFiniteError, match="Step 1 was not finite"):
        running.train(tiny(), tmp_path / "run")


def test_of_several_processes_one_reports_a_loss_that_was_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise NonFiniteError("Step 1", is_main=False)

    monkeypatch.setattr(running, "run_recipe", stop)
    with pytest.raises(NonFiniteError):
        running.train(tiny(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_it_is_said_that_scoring_begins_and_only_where_there_is_something_to_score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for expected in (1, 0):
        with quick_scoring():
            running.train(tiny(num_steps=2), tmp_path / "run", Lines())
        assert capsys.readouterr().err.count("scoring on the development split ...\n") == expected


@pytest.mark.parametrize("num_steps", [1, 3])
def test_a_short_training_in_memory_takes_a_schedule_that_decays(num_steps: int) -> None:
    recipe = tiny(num_steps=40, warmup_steps=10, schedule="wsd", decay_steps=10)
    source = Arrays(torch.zeros(8, 8, 8, dtype=torch.uint8))
    assert pipeline.train_in_memory(recipe, source, seed=0, num_steps=num_steps, batch_size=8) is not None
