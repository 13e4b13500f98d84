"""Probe tables and robustness curves: the numbers of evaluation.json, in order, placed and put into honest words."""

import copy
import math
import re
import xml.etree.ElementTree as ET

import fake_runs
import pytest

from jepakit.report.robustness import robustness_curves
from jepakit.report.scores import Task, probe_label, probe_tables


@pytest.fixture
def document() -> dict:
    return fake_runs.evaluation()


def task_of(document: dict, name: str) -> Task:
    tables = probe_tables(document)
    assert tables
    return next(task for task in tables.tasks if task.name == name)


def test_rows_are_the_model_then_floors_from_best_to_worst(document: dict) -> None:
    task = task_of(document, "ridge")
    assert [score.is_floor for score in task.scores] == [False, True, True, True, True]
    floors = [score.value for score in task.scores[1:]]
    assert floors == sorted(floors, reverse=True)
    assert task.scores[-1].arm == "chance"


def test_numbers_are_those_of_the_file(document: dict) -> None:
    tables = probe_tables(document)
    assert tables
    assert len(tables.tasks) == 6
    told = {(task.name, score.arm): score for task in tables.tasks for score in task.scores}
    for record in document["scores"]:
        score = told[record["name"], record["arm"]]
        assert score.text == f"{100 * record['value']:.1f}%"
        if record["arm"] != "chance":
            assert score.interval == f"{100 * record['low']:.1f} to {100 * record['high']:.1f}%"


def test_dots_and_whiskers_lie_on_the_axis_that_is_labelled(document: dict) -> None:
    for task in probe_tables(document).tasks:
        (at0, label0), (at1, label1) = task.ticks[0], task.ticks[-1]
        for score in task.scores[:-1]:
            value = float(label0) + (score.dot - at0) / (at1 - at0) * (float(label1) - float(label0))
            assert value == pytest.approx(100 * score.value, abs=0.02)
            left, width = score.whisker
            assert left < score.dot < left + width
        assert task.scores[-1].dot is None  # chance is far off, and said so
        assert task.mark == task.scores[1].dot


def test_an_axis_of_accuracies_ends_at_one(document: dict) -> None:
    for score in document["scores"]:
        score |= {"value": 0.999, "low": 0.99, "high": 1.0} if score["arm"] == "jepa" else {}
    assert [label for _, label in task_of(document, "ridge").ticks][-1] == "100"


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.04, 0.08, "above the best floor"),
        (-0.01, 0.03, "cannot be told apart"),
        (-0.05, -0.01, "worse than the floor"),
    ],
)
def test_the_gain_is_said_as_strongly_as_its_interval_allows(
    document: dict, low: float, high: float, words: str
) -> None:
    for gain in document["gains"]:
        gain |= {"value": (low + high) / 2, "low": low, "high": high}
    sentence = task_of(document, "kshot_5").gain
    assert words in sentence
    assert ("above" in sentence) == (low > 0)


def test_a_gain_that_was_not_paired_claims_no_interval(document: dict) -> None:
    del document["gains"]
    task = task_of(document, "kshot_5")
    assert "paired" not in task.gain
    difference = 100 * (task.scores[0].value - task.scores[1].value)
    assert task.gain.startswith(f"{difference:+.1f} points against the best floor, {task.scores[1].label}")


def test_headline_is_five_labels_else_the_first_linear_probe(document: dict) -> None:
    assert probe_tables(document).headline.name == "kshot_5"
    document["scores"] = [score for score in document["scores"] if "kshot" not in score["name"]]
    assert probe_tables(document).headline.name == "ridge"
    document["scores"] = [score for score in document["scores"] if score["is_floor"]]
    assert probe_tables(document).headline is None


def test_split_and_what_intervals_cover_are_said(document: dict) -> None:
    tables = probe_tables(document)
    assert tables.split == "Scored on the 540 images of the test split; probes may see the labels of 1,257 others."
    assert task_of(document, "kshot_5").over == "95% interval over 100 label draws"
    assert task_of(document, "knn").over == "95% interval over 540 test items"
    assert ("JEPA, random init", "last layer, after the final norm; pooling: mean of tokens") in tables.features


def test_unknown_probes_are_named_by_their_words() -> None:
    assert probe_label("my_probe") == "my probe"
    assert probe_label("kshot_x") == "kshot x"


def test_values_that_are_not_finite_are_said(document: dict) -> None:
    for score in document["scores"]:
        score["value"] = None if score["arm"] == "raw pixels" else score["value"]
    row = next(score for score in task_of(document, "ridge").scores if score.arm == "raw pixels")
    assert (row.text, row.dot, row.whisker) == ("not finite", None, None)


def titles(svg: str) -> list[str]:
    return [title.text or "" for title in ET.fromstring(svg).iter("title")]


def test_robustness_curves_tell_the_numbers_of_the_file(document: dict) -> None:
    curves = robustness_curves(document)
    assert curves
    assert [panel.label for panel in curves.first.panels] == ["noise", "blur", "occlusion", "patch drop"]
    assert curves.first.label == "Linear probe, ridge"
    assert [other.label for other in curves.others] == ["Linear probe, logistic", "Nearest-neighbour vote"]
    assert curves.arms[0] == ("JEPA", 0)
    assert curves.arms[-1] == ("chance", 5)
    record = next(c for c in document["robustness"] if (c["arm"], c["probe"], c["kind"]) == ("jepa", "ridge", "blur"))
    told = [float(re.search(r"JEPA: ([\d.]+)%", title)[1]) for title in titles(curves.first.panels[1].chart.svg)]
    expected = [record["clean"]["value"], *(interval["value"] for interval in record["accuracy"])]
    assert told == pytest.approx([100 * value for value in expected], rel=1e-3)


def test_robustness_table_holds_every_arm_and_kind(document: dict) -> None:
    rows = robustness_curves(document).first.rows
    assert len(rows) == 4 * 4
    assert [row.arm for row in rows if row.is_ours] == ["JEPA"] * 4
    record = document["robustness"][0]
    clean, strongest, area, relative, drift, separation = rows[0].cells
    assert clean == f"{100 * record['clean']['value']:.1f}%"
    assert strongest == f"{100 * record['accuracy'][-1]['value']:.1f}%"
    assert area == f"{100 * record['area']:.1f}%"
    assert relative == f"{100 * record['relative'][-1]:.1f}%"
    assert (float(drift), float(separation)) == (record["drift"][-1], record["separation"])


def test_relative_robustness_of_an_arm_at_chance_is_left_empty(document: dict) -> None:
    changed = copy.deepcopy(document)
    for curve in changed["robustness"]:
        curve["relative"] = [None] * 5
    assert {row.cells[3] for row in robustness_curves(changed).first.rows} == {""}


def test_points_that_are_not_finite_break_no_curve(document: dict) -> None:
    for curve in document["robustness"]:
        curve["accuracy"][2]["value"] = None
    svg = robustness_curves(document).first.panels[0].chart.svg
    assert "nan" not in svg
    assert [title.split("\n")[0] for title in titles(svg)] == [f"severity {s}" for s in (0, 1, 2, 4, 5)]
    assert math.isfinite(float(re.search(r"JEPA: ([\d.]+)%", titles(svg)[3])[1]))
