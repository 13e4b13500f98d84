"""The page of an experiment: whole, escaped, with every curve, table and choice that the records hold."""

from pathlib import Path

import pytest
from fake_experiment import write_experiment
from test_report_page import Page

from jepakit.report import build_experiment
from jepakit.report.experiment import content
from jepakit.report.thesis_records import read_records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_experiment(tmp_path)


def test_page_is_whole_and_escaped(folder: Path) -> None:
    path = build_experiment(folder)
    assert path == folder / "report.html"
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert page.ids() >= {"verdict", "question", "nuisance", "digits", "rooms", "settings"}
    assert "Embeddings lead" in page.text
    assert "jepakit experiment <b>" in page.text
    assert "https://" not in page.source
    assert "<script" not in page.source


def test_there_is_a_chart_of_each_kind_with_a_line_and_an_interval_for_each_arm(folder: Path) -> None:
    panels = content(read_records(folder))["curves"]
    assert [panel.label for panel in panels] == [
        "R2 of the state against channels: unpredictable (iid)",
        "R2 of the state against channels: slow, predictable (AR(1))",
        "R2 of the state along the training: 64 iid channels",
    ]
    for panel in panels[:2]:
        assert panel.chart.svg.count('class="main"') == 6
        assert panel.chart.svg.count('class="band"') == 6
        assert panel.chart.svg.count('class="hit"') == 3  # 0, 8 and 64 channels
    assert "embedding, EMA: 0.9" in panels[0].chart.last
    assert panels[2].chart.svg.count('class="main"') == 5  # floors do not learn


def test_levels_stand_apart_by_their_ratios(folder: Path) -> None:
    svg = content(read_records(folder))["curves"][0].chart.svg
    places = [float(part.split()[0]) for part in svg.split('class="main"')[0].split('d="M')[-1].split("L")]
    assert len(places) == 3
    assert pytest.approx(places[0]) == 44
    assert pytest.approx(places[2]) == 348
    assert places[1] - places[0] == pytest.approx(304 * 0.3155, abs=1)  # log 2 / log 9


def test_tables_show_every_arm_beside_the_floors(folder: Path) -> None:
    told = content(read_records(folder))
    first, second = told["nuisance"]
    assert first.columns == ("arm", "0 channels", "8 channels", "64 channels")
    rows = {label: (is_ours, cells) for label, is_ours, cells in first.rows}
    assert rows["embedding, EMA"] == (True, ("0.95 [0.94, 0.96]", "0.94 [0.94, 0.95]", "0.90 [0.89, 0.91]"))
    assert rows["PCA"][0] is False
    assert {label: cells for label, _, cells in second.rows}["embedding, EMA"][0] == "0.95 [0.94, 0.96]"  # the same
    assert {label: cells for label, _, cells in told["held"].rows}["embedding, EMA"] == (
        "0.10 [0.09, 0.11]",
        "7.00 [6.99, 7.01]",
    )
    assert [table.title for table in told["digits"]] == [
        "no background",
        "noise, new in every frame",
        "a texture that drifts",
    ]
    assert told["digits"][2].columns[-1] == "R2 of the drift of the background"
    assert told["rooms"][0].columns == ("arm", "R2 of the position", "digit told right")


def test_what_was_tried_and_chosen_is_listed(folder: Path) -> None:
    rows = {label: cells for label, _, cells in content(read_records(folder))["settings"].rows}
    assert rows["Nuisance channels: embedding, EMA"] == ("4", "0.01", "3")
    assert rows["Nuisance channels: next observation"] == ("0", "0.01", "3")


def test_the_page_says_how_long_it_took(folder: Path) -> None:
    told = content(read_records(folder))
    assert ("computed in", "3 min 0 s") in told["facts"]
    assert told["seconds"][1] == ("Moving digits", "1 min 0 s")
