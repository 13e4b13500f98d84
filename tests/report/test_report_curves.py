"""Which curves are drawn: every term once, health by space, and the verdict's state in words."""

import re
from pathlib import Path

import fake_runs
import numpy as np
import pytest

from jepakit.report.curves import health_curves, training_panels
from jepakit.report.material import Material
from jepakit.report.verdicts import Verdict, verdicts


@pytest.fixture
def material(tmp_path: Path) -> Material:
    rng = np.random.default_rng(0)
    train = [fake_runs.train_row(step, 200, rng) for step in range(20, 201, 20)]
    return Material(tmp_path, train=train, health=[fake_runs.health_row(step, 200) for step in (0, 100, 200)])


def test_loss_comes_first_then_its_terms_then_the_pace(material: Material) -> None:
    labels = [panel.label for panel in training_panels(material)]
    expected = ["loss", "term: SIGReg", "energy", "gradient norm", "learning rate", "images per second"]
    assert labels == expected  # the prediction term is the energy and is not drawn twice


def test_a_term_that_differs_from_the_energy_is_drawn(material: Material) -> None:
    for row in material.train:
        row["term/prediction"] *= 1.1
    assert "term: prediction" in [panel.label for panel in training_panels(material)]


def test_last_values_are_those_of_the_log(material: Material) -> None:
    loss = next(panel for panel in training_panels(material) if panel.label == "loss")
    assert float(loss.chart.last) == pytest.approx(material.train[-1]["loss"], rel=1e-3)


def test_health_has_a_line_for_each_space_and_none_for_sizes(material: Material) -> None:
    for row in material.health:
        for values in row["spaces"].values():
            values |= {"dim": 96.0, "num_samples": 128.0, "num_groups": 16.0}
    curves = health_curves(material)
    assert curves
    assert curves.spaces == [(f"{space} (96 dimensions)", i) for i, space in enumerate(fake_runs.SPACES)]
    labels = [panel.label for panel in (*curves.first, *curves.others)]
    assert labels[0] == "RankMe"
    assert len(labels) == len(set(labels)) == 10
    assert not {"dim", "num samples", "num groups"} & set(labels)
    values = material.health[-1]["spaces"]
    told = dict(re.findall(r"(\w+): ([\d.]+)", curves.first[0].chart.last))
    for space in fake_runs.SPACES:
        assert float(told[space]) == pytest.approx(values[space]["rankme"], rel=1e-3)


def test_a_space_that_was_not_always_measured_keeps_its_points(material: Material) -> None:
    del material.health[0]["spaces"]["target"]
    curves = health_curves(material)
    assert curves
    assert curves.first[0].chart.svg.count("target: ") == 3  # two points and the label


def test_no_health_no_curves(tmp_path: Path) -> None:
    assert health_curves(Material(tmp_path, health=[{"kind": "health", "step": 1}])) is None


@pytest.mark.parametrize(
    ("kind", "healthy", "state", "label"),
    [
        ("healthy", True, "good", "healthy"),
        ("watch", True, "watch", "watch"),
        ("per_sample_constant", False, "bad", "per sample constant collapse"),
        ("total collapse", False, "bad", "total collapse"),
        ("odd", None, "open", "odd"),
    ],
)
def test_verdict_in_words(kind: str, healthy: bool | None, state: str, label: str) -> None:
    verdict = Verdict(3, kind, healthy, "x")
    assert (verdict.state, verdict.label) == (state, label)


def test_verdicts_keep_their_order_and_their_gaps(tmp_path: Path) -> None:
    health = [{"step": 1, "verdict": {"kind": "total"}}, {"step": 2}, {"step": 3, "verdict": {"sentence": "Fine."}}]
    told = verdicts(Material(tmp_path, health=health))
    assert [(v.step, v.sentence) for v in told] == [(1, "The embedding was judged total."), (3, "Fine.")]
