"""The comparison page: which runs, which settings differ, curves over equal compute, paired differences in words."""

from pathlib import Path

import fake_runs
import numpy as np
import pytest
from test_report_page import Page

from jepakit.report import build_comparison
from jepakit.report.comparison import differing_settings, run_labels
from jepakit.report.compute import images_seen, seconds_spent
from jepakit.report.material import Material, read
from jepakit.types import UserError


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    first, second = fake_runs.full_run(tmp_path / "a"), fake_runs.full_run(tmp_path / "b")
    fake_runs.write_config(second, 600, seed=7, recipe="digits-<b>lejepa")
    fake_runs.write_metrics(second, 600, kind="dimensional", seed=1)
    return [first, second]


def test_page_is_whole_and_escaped(runs: list[Path], tmp_path: Path) -> None:
    page = Page(build_comparison(runs, tmp_path / "compare.html").read_text(encoding="utf-8"))
    assert page.open == []
    assert page.ids() == {"runs", "probes", "curves", "settings"}
    assert "digits-<b>lejepa" in page.text
    assert "b" not in {tag for tag, attributes in page.elements if not attributes} or "<b>lejepa" not in page.source
    assert "https://" not in page.source
    assert "dimensional collapse" in page.text


def test_settings_that_differ_are_listed_and_others_are_not(runs: list[Path]) -> None:
    told = dict(differing_settings([read(run) for run in runs]))
    assert told == {"recipe": ["digits-ijepa-sigreg", "digits-<b>lejepa"], "seed": ["0", "7"]}


def test_paired_differences_are_said_with_their_intervals(runs: list[Path], tmp_path: Path) -> None:
    first, second = map(str, runs)
    where = {"n": 100, "varies": "label draws", "layer": "last", "pooling": "mean"}
    scores = [
        {"name": "kshot_5", "arm": first, "value": 0.9, "low": 0.89, "high": 0.91, "is_floor": True} | where,
        {"name": "kshot_5", "arm": second, "value": 0.93, "low": 0.92, "high": 0.94, "is_floor": False} | where,
    ]
    gain = {"name": "kshot_5", "arm": second, "against": first, "value": 0.03, "low": 0.021, "high": 0.039}
    path = build_comparison(runs, tmp_path / "c.html", {"protocol": {}, "scores": scores, "gains": [gain]})
    page = Page(path.read_text(encoding="utf-8"))
    assert "digits-<b>lejepa: +3.0 points (+2.1 to +3.9): better" in page.text
    assert "differences are paired, against digits-ijepa-sigreg" in page.text


def test_runs_scored_on_different_splits_are_not_compared_silently(runs: list[Path], tmp_path: Path) -> None:
    document = fake_runs.evaluation()
    document["protocol"]["split"] = "dev"
    fake_runs.write_json(runs[1] / "evaluation.json", document)
    page = Page(build_comparison(runs, tmp_path / "c.html").read_text(encoding="utf-8"))
    assert "rows cannot be compared" in page.text


def test_empty_runs_are_compared_without_a_crash(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    page = Page(build_comparison([tmp_path / "a", tmp_path / "b"], tmp_path / "c.html").read_text())
    assert "The runs have the same settings." in page.text


def test_one_run_or_no_directory_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two runs or more, got 1"):
        build_comparison([tmp_path], tmp_path / "c.html")
    with pytest.raises(UserError, match="missing is no directory"):
        build_comparison([tmp_path, tmp_path / "missing"], tmp_path / "c.html")


def test_clocks_read_seconds_between_log_points_and_images_from_the_batch_size(tmp_path: Path) -> None:
    train = [{"kind": "train", "step": s, "seconds": t} for s, t in ((10, 5.0), (20, 25.0))]
    material = Material(tmp_path, {"training": {"batch_size": 32}}, train=train)
    assert [seconds_spent(material)(s) for s in (0, 5, 10, 15, 20, 21)] == [0.0, 2.5, 5.0, 15.0, 25.0, None]
    assert images_seen(material)(10) == 320
    assert images_seen(Material(tmp_path))(10) is None


def test_labels_tell_runs_apart(tmp_path: Path) -> None:
    config = {"recipe": "same"}
    assert run_labels([Material(tmp_path / "x", config), Material(tmp_path / "y", config)]) == ["x", "y"]
    twice = [Material(tmp_path / "x/run", config), Material(tmp_path / "y/run", config)]
    assert run_labels(twice) == [str(tmp_path / "x/run"), str(tmp_path / "y/run")]
    assert np.unique(run_labels([twice[0], twice[0]])).size == 2
