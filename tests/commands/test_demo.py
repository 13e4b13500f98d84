"""The demo's files have the form that others read: a summary of fractions with intervals, and a report."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import quick_pictures, quick_rule, quick_scoring, tiny, tiny_world

from jepakit.commands import demo, demonstration
from jepakit.commands.demonstration import five_shot_summary


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the quick demo with a recipe of 40 steps, of which it takes 4."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch, quick_scoring(quick_rule), quick_pictures():
        patch.setattr(demonstration, "digits_transform", lambda: tiny(num_steps=40, warmup_steps=10))
        patch.setattr(demonstration, "two_rooms_fixed", lambda: tiny_world(num_steps=20))
        result = demo(folder, quick=True)
    assert result.summary_path == folder / "summary.json"
    assert result.report_paths == (folder / "report.html", folder / "world" / "report.html")
    assert all(path.is_file() for path in result.report_paths)
    assert result.summary == json.loads(result.summary_path.read_text())
    return folder


def test_the_summary_has_its_documented_form(demo_folder: Path) -> None:
    summary = json.loads((demo_folder / "summary.json").read_text())
    assert summary.keys() == {"image", "world"}
    image, world = summary["image"], summary["world"]
    assert world.keys() == {"success", "random_policy", "seconds"}
    for name in ("success", "random_policy"):
        assert world[name].keys() == {"value", "low", "high", "n"}
        assert 0 <= world[name]["low"] <= world[name]["value"] <= world[name]["high"] <= 1
        assert world[name]["n"] == 10
    assert world["seconds"] > 0
    assert image.keys() == {"linear_5shot", "random_init_5shot", "raw_pixels_5shot", "seconds"}
    for name, record in image.items():
        if name != "seconds":
            assert record.keys() == {"value", "low", "high", "n"}
            assert 0 <= record["low"] <= record["value"] <= record["high"] <= 1
            assert record["low"] < record["high"]
            assert record["n"] == 5  # label draws of the tests' quick rule
    assert image["seconds"] > 0


def test_the_summary_is_of_the_test_split_and_of_this_training(demo_folder: Path) -> None:
    evaluation = json.loads((demo_folder / "evaluation.json").read_text())
    assert evaluation["protocol"]["split"] == "test"
    assert evaluation["step"] == 4
    config = json.loads((demo_folder / "config.json").read_text())
    assert config["recipe"] == "demo-quick"
    assert (config["training"]["num_steps"], config["training"]["warmup_steps"]) == (4, 1)
    scores = {(s["arm"], s["name"]): s["value"] for s in evaluation["scores"]}
    image = json.loads((demo_folder / "summary.json").read_text())["image"]
    assert image["linear_5shot"]["value"] == scores["jepa", "kshot_5"]
    assert image["raw_pixels_5shot"]["value"] == scores["raw pixels", "kshot_5"]
    assert image["random_init_5shot"]["value"] == scores["random init", "kshot_5"]
    assert image["seconds"] >= evaluation["seconds"]


def test_the_world_is_scored_on_the_test_manifest(demo_folder: Path) -> None:
    record = json.loads((demo_folder / "world" / "evaluation.json").read_text())
    assert (record["kind"], record["step"]) == ("world", 2)
    assert (record["protocol"]["split"], record["protocol"]["manifest"]) == ("test", "two-rooms-fixed-test")
    ends = {arm["arm"]: arm["ends"]["value"] for arm in record["arms"]}
    world = json.loads((demo_folder / "summary.json").read_text())["world"]
    assert (world["success"]["value"], world["random_policy"]["value"]) == (ends["jepa"], ends["random policy"])


def test_the_report_shows_the_demo(demo_folder: Path) -> None:
    page = (demo_folder / "report.html").read_text()
    assert "539 images of the test split" in page
    assert "demo-quick" in page


def test_a_second_call_reads_what_the_first_one_left(demo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("scored twice")

    monkeypatch.setattr(demonstration, "digits_transform", lambda: tiny(num_steps=40, warmup_steps=10))
    monkeypatch.setattr(demonstration, "two_rooms_fixed", lambda: tiny_world(num_steps=20))
    monkeypatch.setattr("jepakit.commands.running.evaluate_method", refuse)
    monkeypatch.setattr("jepakit.commands.running.score_world", refuse)
    before = json.loads((demo_folder / "summary.json").read_text())
    again = demo(demo_folder, quick=True).summary
    for name in ("linear_5shot", "random_init_5shot", "raw_pixels_5shot"):
        assert again["image"][name] == before["image"][name]
    assert again["world"]["success"] == before["world"]["success"]
    assert len((demo_folder / "final-records.jsonl").read_text().splitlines()) == 1


def test_the_demo_learns_by_predicting_embeddings() -> None:
    recipe = demonstration.digits_transform()
    assert type(recipe.method).__name__ in ("TransformJEPAConfig", "IJEPAConfig", "IJEPASIGRegConfig")
    assert recipe.data.train == "digits"
    assert (recipe.data.test_fraction, recipe.data.split_seed, recipe.seed) == (0.3, 0, 0)
    shortened = demonstration._shortened(replace(recipe.training, decay_steps=0))
    assert 10 * shortened.num_steps <= recipe.training.num_steps


def test_the_summary_takes_five_shots_of_each_arm() -> None:
    scores = [
        {"arm": arm, "name": f"kshot_{k}", "value": 0.1 * k + i / 100, "low": 0.0, "high": 1.0, "n": 100, "is_floor": i}
        for i, arm in enumerate(("jepa", "random init", "raw pixels", "augmented raw pixels"))
        for k in (1, 5)
    ]
    assert {name: record["value"] for name, record in five_shot_summary({"scores": scores}).items()} == {
        "linear_5shot": 0.5,
        "random_init_5shot": 0.51,
        "raw_pixels_5shot": 0.52,
    }
