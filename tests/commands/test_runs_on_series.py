"""A run on a record of several channels trains, resumes exactly, embeds, and is scored where there are labels."""

import csv
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import quick_rule, quick_scoring, tiny_series, write_record

from jepakit.cli.entry import run as command
from jepakit.commands import embed, evaluate, evaluate_forecasts, running, train
from jepakit.hub import load
from jepakit.recipes import forecasting
from jepakit.recipes.pipeline import train as train_alone
from jepakit.recipes.signal_splits import fitted_recipe
from jepakit.storage import Run
from jepakit.types import UserError


@pytest.fixture(scope="module")
def series_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny I-JEPA on a record."""
    folder = tmp_path_factory.mktemp("series")
    train(tiny_series(write_record(folder / "a.csv")), folder / "run")
    return folder / "run"


def test_a_run_that_was_interrupted_ends_with_the_weights_of_the_undisturbed_one(tmp_path: Path) -> None:
    recipe = fitted_recipe(tiny_series(write_record(tmp_path / "a.csv"), save_every_s=0.0))
    train_alone(recipe, tmp_path / "whole")

    class Stopped(Exception):
        pass

    original = Run.save_checkpoint

    def stopping(self: Run, *given: object, **named: object) -> object:
        saved = original(self, *given, **named)  # type: ignore[arg-type]
        if (self.checkpoint_state() or {})["step"] == 2:
            raise Stopped
        return saved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "save_checkpoint", stopping)
        with pytest.raises(Stopped):
            train_alone(recipe, tmp_path / "halved")
    again = train_alone(recipe, tmp_path / "halved")
    assert again.result.step == 4
    whole, halved = (Run(tmp_path / name).load_checkpoint() for name in ("whole", "halved"))
    assert whole is not None and halved is not None
    assert whole[0].keys() == halved[0].keys()
    assert all(torch.equal(tensor, halved[0][name]) for name, tensor in whole[0].items())


def test_every_window_of_another_record_is_embedded_and_named(series_run: Path, tmp_path: Path) -> None:
    other = write_record(tmp_path / "b.csv", num=100)
    embedded = embed(series_run, other, tmp_path / "z.npy")
    assert embedded.z.shape == (4, 16)
    with (tmp_path / "z.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1] == ["0", "2020-01-01 00:00:00 to 2020-01-01 23:00:00"]
    windows = torch.from_numpy(
        np.loadtxt(other, delimiter=",", skiprows=1, usecols=(1, 2, 3), converters=lambda v: float(v or "nan"))
    )
    model = load(series_run)
    torch.testing.assert_close(embedded.z[1:2], model.encode(windows.T[None, :, 24:48].float()))
    assert model.energy(windows.T[None, :, 24:48].float()).shape == (1,)


def test_a_record_of_other_channels_is_one_sentence(series_run: Path, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("\n".join(["a,b", *("1,2" for _ in range(30))]))
    with pytest.raises(UserError, match="windows of 3 channels x 24 moments, got 2 x 24"):
        embed(series_run, tmp_path / "b.csv", tmp_path / "z.npy")
    with pytest.raises(UserError, match=r"array of \(samples, channels, moments\), got list"):
        load(series_run).encode(["a.csv"])


def test_a_constant_channel_and_one_hardly_measured_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{i % 7},5,{'' if i % 50 else 1}" for i in range(400)]
    path.write_text("\n".join(["a,constant,rare", *rows]))
    trained = train_alone(fitted_recipe(tiny_series(path)), tmp_path / "run")
    assert trained.result.step == 4
    assert bool(embed(tmp_path / "run", path, tmp_path / "z.npy").z.isfinite().all())


def test_labelled_windows_are_probed_beside_floors_and_under_corruption(tmp_path: Path) -> None:
    kinds = torch.arange(120) % 2
    phase = 2 * torch.pi * torch.rand(120, 1, 1)
    x = (torch.arange(24.0) * (0.5 + kinds[:, None, None]) + phase).sin().expand(120, 2, 24)
    np.savez(tmp_path / "a.npz", x=x.numpy(), y=kinds.numpy())
    with quick_scoring(quick_rule):
        train(replace(tiny_series(tmp_path / "a.npz")), tmp_path / "run")
        evaluation = evaluate(tmp_path / "run", probes=("ridge", "knn"))
    arms = {score.arm for score in evaluation.scores}
    assert arms == {"jepa", "random init", "raw values", "statistics", "chance"}
    assert {(curve.arm, curve.kind) for curve in evaluation.robustness} == {(arm, "noise") for arm in arms - {"chance"}}
    values = {(score.arm, score.name): score.value for score in evaluation.scores}
    assert values["statistics", "ridge"] > 0.9 > values["chance", "ridge"]


def test_a_run_on_a_record_is_evaluated_by_forecasting_it(series_run: Path, tmp_path: Path, capsys: Any) -> None:
    run = Path(shutil.copytree(series_run, tmp_path / "run"))
    assert not (run / "evaluation.json").exists()  # the usual horizons do not fit into 80 hours
    with pytest.raises(UserError, match=r"horizon of 336 moments after a window of 24 does not fit .*--horizons"):
        evaluate_forecasts(run)
    with pytest.raises(UserError, match="future is to be forecast: evaluate_forecasts"):
        evaluate(run)
    assert command(["evaluate", str(run), "--horizons", "6", "12"]) == 0
    told = capsys.readouterr().out
    assert "squared error 12 moments ahead, dev part" in told and "jepa less this" in told
    record = json.loads((run / "evaluation.json").read_text())
    arms = {"jepa", "random init", "linear, window normalised", "linear, last value taken off", "linear, raw window"}
    assert {row["arm"] for row in record["forecasts"]} == arms | {"seasonal naive", "naive"}
    assert {row["arm"] for row in record["forecasts"] if not row["is_floor"]} == {"jepa"}
    assert record["protocol"]["season"] == 24 and record["protocol"]["num_windows"] == {"6": 75, "12": 69}
    assert (record["checkpoint"], record["step"], record["kind"]) == ("last", 4, "forecast")
    page = (run / "report.html").read_text()
    assert 'id="forecasts"' in page and "what came" in page
    final = evaluate_forecasts(run, final=True, horizons=(6,), season=12)
    assert final["protocol"]["split"] == "test" and final["protocol"]["season"] == 12
    kept = [json.loads(line) for line in (run / "final-records.jsonl").read_text().splitlines()]
    assert kept == [json.loads((run / "evaluation.json").read_text())]
    with pytest.raises(UserError, match="A season of 25 moments does not fit into a window of 24"):
        evaluate_forecasts(run, horizons=(6,), season=25)
    with pytest.raises(UserError, match=r"from 1, got \(0,\)"):
        evaluate_forecasts(run, horizons=(0,))


def test_training_ends_with_the_forecasts_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "feasible_horizons", partial(forecasting.feasible_horizons, horizons=(6, 96)))
    recipe = tiny_series(write_record(tmp_path / "a.csv"))
    train(recipe, tmp_path / "run")
    record = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert record["protocol"]["horizons"] == [6]
    before = (tmp_path / "run/evaluation.json").stat().st_mtime_ns
    train(recipe, tmp_path / "run")
    assert (tmp_path / "run/evaluation.json").stat().st_mtime_ns == before
