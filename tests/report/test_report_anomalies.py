"""The page draws a record's scores and the channels around what is marked; damage takes its part alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_runs import write_json
from test_report_page import EVIL, page_of

from jepakit.report.anomalies import record_section
from jepakit.report.material import read

NUM, WIDTH, LEAD = 40, 4, 3


def arrays() -> dict[str, Any]:
    score = np.random.default_rng(0).normal(0.0, 1.0, NUM)
    score[20] = 8.0
    score[30] = np.nan
    first = LEAD + WIDTH * np.arange(NUM)
    row = np.stack((score, score - 3.0), axis=1)
    values = np.random.default_rng(1).normal(0.0, 1.0, (LEAD + WIDTH * NUM, 2))
    return {
        "first": first,
        "score": score,
        "row": row,
        "marked": score > 5,
        "limit": np.full(NUM, 5.0),
        "values": values,
    }


def record() -> dict[str, Any]:
    channels = [{"name": "oil", "row": 0, "score": 8.0}, {"name": "load", "row": 1, "score": 5.0}]
    one = {"from": "Monday", "to": "Tuesday", "first": 83, "last": 86, "score": 8.0, "channels": channels}
    about = {"data": "day.csv", "rate": 0.01, "ordinary": "the development part", "num_ordinary": 240}
    counts = {"moment": WIDTH, "num_moments": NUM - 1, "num_marked": 1}
    return about | counts | {"anomalies": [one], "alarms": {"value": 0.02, "low": 0.0, "high": 0.05, "n": 9}}


def watched(path: Path, told: Any = None) -> Path:
    (path / "artifacts").mkdir(parents=True)
    np.savez(path / "artifacts/anomalies.npz", **arrays())
    write_json(path / "surprise.json", {"record": record() if told is None else told})
    return path


def test_what_is_marked_is_drawn_with_its_channels_beside_it(tmp_path: Path) -> None:
    section = record_section(read(watched(tmp_path / "run")))
    assert section is not None
    assert [sequence.title for sequence in section.sequences] == ["the whole record", "Monday to Tuesday"]
    assert [still.caption for still in section.sequences[1].stills] == ["oil, 8", "load, 5"]
    drawn = section.sequences[1].stills[0].picture
    assert drawn.count("<circle") == WIDTH + 1  # the marked moments, and the end of the curve
    assert section.about[0].startswith("Of 39 stretches of 4 moments of day.csv, 1 are marked")
    assert section.about[2] == "Of the run's own test part 2.00% [0.00%, 5.00%] are marked."
    assert "<h3>Monday to Tuesday</h3>" in page_of(tmp_path / "run").source


@pytest.mark.parametrize(
    "told",
    [
        {},
        record() | {"anomalies": "many"},
        record() | {"anomalies": [{"first": 83, "last": 86, "channels": [{"row": 7}, {"name": "oil"}, 3]}, 4, {}]},
        record() | {"anomalies": [{"first": 9e9, "last": 9e9 + 1}]},
        record() | {"alarms": {"value": "none"}, "moment": None, "rate": "high"},
    ],
)
def test_damage_takes_its_part_alone(tmp_path: Path, told: Any) -> None:
    section = record_section(read(watched(tmp_path / "run", told)))
    assert section is not None
    assert section.sequences[0].title == "the whole record"


def test_names_of_channels_never_reach_the_page_as_markup(tmp_path: Path) -> None:
    told = record()
    told["anomalies"][0] |= {"from": EVIL, "channels": [{"name": EVIL, "row": 0, "score": 8.0}]}
    told["data"] = EVIL
    page = page_of(watched(tmp_path / "run", told))
    assert EVIL not in page.source
    assert "script" not in {tag for tag, _ in page.elements}
