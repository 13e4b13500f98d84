"""Runs are compared item by item on one set of images, and never on two."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_runs import quick_rule, tiny, tiny_series, write_images, write_record

from jepakit.cli.entry import run as command
from jepakit.commands import compare, comparison, evaluate_forecasts
from jepakit.evaluation import fit_ridge
from jepakit.evaluation.forecasting import ForecastConfig, forecast_arms
from jepakit.evaluation.intervals import over_stretches
from jepakit.hub import load
from jepakit.recipes import ImageData, train
from jepakit.recipes.forecasting import Scale, encoder_head
from jepakit.recipes.signal_splits import fitted_recipe, parts_of, record_of
from jepakit.recipes.splits import open_sources, read_probing
from jepakit.types import UserError

DATA = ImageData(train="digits", stored_size=8, num_health=24)


@pytest.fixture(scope="module")
def other_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run with another seed and another rate."""
    folder = tmp_path_factory.mktemp("runs") / "other"
    train(tiny(seed=1, num_steps=8, learning_rate=3e-3), folder)
    return folder


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "EvaluationConfig", quick_rule)


def test_differences_are_paired_and_equal_an_independent_computation(tiny_run: Path, other_run: Path) -> None:
    found = compare([tiny_run, other_run])
    assert found.evaluation is not None
    probing = read_probing(open_sources(DATA), DATA, 1, 0, final=False)
    assert probing is not None
    correct = []
    for run in (tiny_run, other_run):
        model = load(run)
        train_z, test_z = model.encode(probing.train.content), model.encode(probing.test.content)
        predicted = fit_ridge(train_z, probing.train.labels, 10).predict(test_z)
        correct.append((predicted == probing.test.labels).double().numpy())
    difference = correct[1] - correct[0]
    low, high = stats.t.interval(0.95, len(difference) - 1, difference.mean(), stats.sem(difference))
    gain = next(g for g in found.evaluation.gains if g.name == "ridge")
    assert (gain.arm, gain.against) == (str(other_run), str(tiny_run))
    np.testing.assert_allclose((gain.value, gain.low, gain.high), (difference.mean(), low, high), atol=1e-12)
    assert gain.n == len(probing.test)
    scores = {s.arm: s.value for s in found.evaluation.scores if s.name == "ridge"}
    assert scores[str(tiny_run)] == pytest.approx(correct[0].mean())
    assert scores[str(other_run)] == pytest.approx(correct[1].mean())


def test_settings_that_differ_are_listed_and_no_others(tiny_run: Path, other_run: Path) -> None:
    found = compare([tiny_run, other_run])
    assert found.settings == {
        str(other_run): [
            "training.num_steps: 4 -> 8",
            "training.learning_rate: 0.001 -> 0.003",
            "seed: 0 -> 1",
        ]
    }
    assert [row["step"] for row in found.curves[str(other_run)] if row["kind"] == "train"] == [2, 4, 6, 8]


def test_the_page_shows_both_runs(tiny_run: Path, other_run: Path, tmp_path: Path) -> None:
    found = compare([tiny_run, other_run], out=tmp_path / "page/comparison.html")
    assert found.page == tmp_path / "page/comparison.html"
    page = found.page.read_text()
    assert "training.learning_rate" in page
    assert "paired" in page


def test_a_comparison_on_the_test_split_is_kept_by_every_run(tiny_run: Path, other_run: Path, tmp_path: Path) -> None:
    runs = [Path(shutil.copytree(run, tmp_path / run.name)) for run in (tiny_run, other_run)]
    found = compare(runs, final=True)
    assert found.evaluation is not None
    assert found.evaluation.protocol["split"] == "test"
    for run in runs:
        (line,) = (run / "final-records.jsonl").read_text().splitlines()
        kept = json.loads(line)
        assert kept["gains"] == found.evaluation.to_json()["gains"]
        steps = {str(runs[0]): 4, str(runs[1]): 8}
        assert (kept["checkpoint"], kept["step"]) == ("last", steps[str(run)])
        assert kept["runs"] == {path: {"checkpoint": "last", "step": step} for path, step in steps.items()}
    compare(runs)
    assert len((runs[0] / "final-records.jsonl").read_text().splitlines()) == 1


def with_data(run: Path, folder: Path, **changes: Any) -> Path:
    """Copy a run and change what its configuration says of its data."""
    copy = Path(shutil.copytree(run, folder / "changed"))
    config = json.loads((copy / "config.json").read_text())
    config["data"] |= changes
    (copy / "config.json").write_text(json.dumps(config))
    return copy


@pytest.mark.parametrize(("key", "value"), [("train", "elsewhere"), ("split_seed", 1), ("test_fraction", 0.2)])
def test_runs_of_other_images_or_splits_are_refused(tiny_run: Path, tmp_path: Path, key: str, value: Any) -> None:
    changed = with_data(tiny_run, tmp_path, **{key: value})
    with pytest.raises(UserError, match=rf"cannot be compared: data\.{key} differs"):
        compare([tiny_run, changed])


def test_settings_of_training_s_images_alone_may_differ(tiny_run: Path, tmp_path: Path) -> None:
    assert compare([tiny_run, with_data(tiny_run, tmp_path, num_health=20)]).evaluation is not None


def test_fewer_than_two_different_runs_are_refused(tiny_run: Path, other_run: Path) -> None:
    for runs in ([], [tiny_run], [tiny_run, tiny_run], [tiny_run, other_run, other_run / "../other"]):
        with pytest.raises(UserError, match="needs two different runs or more"):
            compare(runs)


def test_unlabelled_runs_are_compared_by_settings_and_curves(tmp_path: Path) -> None:
    write_images(tmp_path / "images/only-one-folder", per_class=8)
    data = ImageData(train=str(tmp_path / "images/only-one-folder"), stored_size=8, labels="none")
    runs = [tmp_path / f"run-{seed}" for seed in range(2)]
    for seed, run in enumerate(runs):
        train(tiny(data=data, seed=seed, batch_size=8, num_steps=2), run)
    found = compare(runs, out=tmp_path / "page.html")
    assert found.evaluation is None
    assert found.settings == {str(runs[1]): ["seed: 0 -> 1"]}
    assert (tmp_path / "page.html").exists()


@pytest.fixture(scope="module")
def series_runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Train two runs on one record, of other seeds."""
    folder = tmp_path_factory.mktemp("series")
    record = write_record(folder / "a.csv")
    for seed in range(2):
        train(fitted_recipe(tiny_series(record, seed=seed)), folder / f"run-{seed}")
    return [folder / "run-0", folder / "run-1"]


def test_forecasts_of_runs_on_one_record_are_paired_window_by_window(
    series_runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = compare(series_runs, horizons=(6, 12), out=tmp_path / "page.html")
    assert found.evaluation is None and found.forecasts is not None
    data: Any = fitted_recipe(tiny_series(series_runs[0].parent / "a.csv")).data
    record = record_of(data)
    parts = parts_of(data, len(record))
    scale = Scale.of(record.values[:, slice(*parts["train"])])
    heads = {str(run): encoder_head(load(run).method, scale) for run in series_runs}
    told = forecast_arms(scale(record.values), parts, heads, ForecastConfig(length=24, horizons=(6, 12)))
    first, second = (next(t for t in told if (t.arm, t.horizon) == (str(run), 6)).squared for run in series_runs)
    own = over_stretches(second - first, 6, seed=0)
    (row,) = [
        row
        for row in found.forecasts["differences"]
        if (row["horizon"], row["arm"], row["against"]) == (6, str(series_runs[1]), str(series_runs[0]))
    ]
    np.testing.assert_allclose((row["value"], row["low"], row["high"]), (own.value, own.low, own.high), atol=1e-9)
    assert torch.isfinite(second - first).all() and own.low < own.high
    alone = evaluate_forecasts(shutil.copytree(series_runs[1], tmp_path / "alone"), horizons=(6, 12))
    (value,) = [r["value"] for r in alone["forecasts"] if (r["arm"], r["horizon"], r["measure"]) == ("jepa", 6, "mse")]
    (same,) = [
        r["value"]
        for r in found.forecasts["forecasts"]
        if (r["arm"], r["horizon"], r["measure"]) == (str(series_runs[1]), 6, "mse")
    ]
    assert same == pytest.approx(value, rel=1e-6)
    page = (tmp_path / "page.html").read_text()
    assert 'id="forecasts"' in page and "12 moments ahead" in page and "this less" in page
    assert page.count("paired</th>") == 2
    assert command(["compare", *map(str, series_runs), "--horizons", "6", "--out", str(tmp_path / "page.html")]) == 0
    assert f"this less {series_runs[0]} {row['value']:+.3f}" in capsys.readouterr().out


def test_final_forecasts_are_kept_by_every_run(series_runs: list[Path], tmp_path: Path) -> None:
    runs = [Path(shutil.copytree(run, tmp_path / run.name)) for run in series_runs]
    compare(runs, horizons=(6,), final=True)
    for run in runs:
        (line,) = (run / "final-records.jsonl").read_text().splitlines()
        kept = json.loads(line)
        assert (kept["kind"], kept["protocol"]["split"], kept["step"]) == ("forecast", "test", 4)
        assert set(kept["runs"]) == {str(run) for run in runs}


@pytest.mark.parametrize(("key", "value"), [("length", 12), ("num_rows", 300), ("class", "TableData")])
def test_runs_on_other_windows_of_a_record_are_refused(
    series_runs: list[Path], tmp_path: Path, key: str, value: Any
) -> None:
    changed = with_data(series_runs[1], tmp_path, **{key: value})
    with pytest.raises(UserError, match=rf"cannot be compared: data\.{key} differs .* of other windows"):
        compare([series_runs[0], changed], horizons=(6,))


def test_horizons_that_do_not_fit_into_the_record_are_one_sentence(series_runs: list[Path]) -> None:
    with pytest.raises(UserError, match=r"horizon of 336 moments after a window of 24 does not fit .*--horizons"):
        compare(series_runs)
