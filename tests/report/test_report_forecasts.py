"""The page shows forecasts beside floors with intervals, says how they stand, and draws some against what came."""

import json
from pathlib import Path
from typing import Any

import fake_runs
import numpy as np
import pytest
from fake_runs import write_json
from test_report_page import EVIL, Page, page_of

ARMS = {"jepa": 0.40, "linear, window normalised": 0.42, "seasonal naive": 0.51}


def record(evil: str = "") -> dict[str, Any]:
    def cell(value: float) -> dict[str, Any]:
        return {"value": value, "low": value - 0.05, "high": value + 0.05, "n": 30, "varies": "stretches of time"}

    forecasts = [
        {"horizon": horizon, "measure": measure, "arm": arm + evil, "is_floor": arm != "jepa", "chosen": "penalty 1"}
        | cell(value + (0.05 if horizon == 336 else 0.0))
        for horizon in (96, 336)
        for measure in ("mse", "mae")
        for arm, value in ARMS.items()
    ]
    differences = [
        {
            "horizon": 96,
            "arm": "jepa",
            "against": "linear, window normalised",
            "value": -0.02,
            "low": -0.03,
            "high": -0.01,
        },
        {
            "horizon": 336,
            "arm": "jepa",
            "against": "linear, window normalised",
            "value": -0.02,
            "low": -0.04,
            "high": 0.01,
        },
    ]
    return {
        "format": 1,
        "kind": "forecast",
        "protocol": {"split": "test", "statement": ["Errors are means over windows."]},
        "forecasts": forecasts,
        "differences": differences,
        "shown": {"arms": list(ARMS), "titles": ["OT from noon" + evil, "HUFL from one"]},
    }


def forecasting(path: Path, evil: str = "") -> Path:
    fake_runs.write_config(path)
    write_json(path / "evaluation.json", record(evil))
    rng = np.random.default_rng(0)
    (path / "artifacts").mkdir(exist_ok=True)
    np.savez(path / "artifacts/forecasts.npz", past=rng.normal(size=(2, 20)), truth=rng.normal(size=(2, 12)),
             predicted=rng.normal(size=(2, 3, 12)))  # fmt: skip
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(forecasting(tmp_path_factory.mktemp("forecast") / "run"))


def section(page: Page) -> str:
    text = page.source[page.source.index('id="forecasts"') :]
    return text[: text.index("</section>")]


def test_every_arm_stands_beside_the_others_the_least_error_first(page: Page) -> None:
    text = section(page)
    rows = [text.index(f'<th scope="row">{arm}') for arm in ("JEPA", "linear, window normalised", "seasonal naive")]
    assert rows == sorted(rows)
    assert "0.350 to 0.450" in text and "Forecast is the test part." in text
    assert "96 moments ahead" in text and "336 moments ahead" in text
    assert "Errors are means over windows." in text


def test_a_difference_is_told_as_strongly_as_its_interval_allows(page: Page) -> None:
    text = section(page)
    assert (
        "Its error is below the best floor (linear, window normalised): \u22120.020 (\u22120.030 to \u22120.010), paired."
        in text
    )
    assert "Its error cannot be told apart from the best floor" in text


def test_forecasts_are_drawn_against_what_came(page: Page) -> None:
    text = section(page)
    assert text.count('class="chart"') == 2
    assert "OT from noon" in text and "what came" in text


def test_damage_takes_its_part_alone_and_names_are_escaped(tmp_path: Path) -> None:
    run = forecasting(tmp_path / "run", EVIL)
    page = page_of(run)
    assert not [tag for tag, _ in page.elements if tag == "script"]
    (run / "artifacts/forecasts.npz").write_bytes(b"torn")
    assert 'class="chart"' not in section(page_of(run))
    told = record()
    told["forecasts"] = [{"horizon": 96, "arm": "jepa"}, {"horizon": 96, "measure": "mse", "arm": "jepa", "value": 0.4}]
    del told["protocol"], told["differences"], told["shown"]
    (run / "evaluation.json").write_text(json.dumps(told))
    assert "0.400" in section(page_of(run))
    told["forecasts"] = "none"
    (run / "evaluation.json").write_text(json.dumps(told))
    assert 'id="forecasts"' not in page_of(run).source
