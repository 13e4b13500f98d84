"""The page draws surprise over time beside the frames, and pairs beside floors; damage takes its part alone."""

import json
from pathlib import Path
from typing import Any

import fake_worlds
import numpy as np
import pytest
from fake_runs import write_json
from test_report_page import EVIL, Page, page_of

NUM, SKIP = 10, 4
MARKED = {0: [6], 2: [3, 8]}
"""The marked moments of the two episodes that are drawn."""


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    score = rng.normal(0.0, 0.4, (2, NUM))
    for row, moments in enumerate(MARKED.values()):
        score[row, moments] = 7.5
    score[:, 0] = np.nan
    limit = np.full((2, NUM), 2.5)
    limit[:, 0] = np.inf
    return {
        "episode": np.repeat(list(MARKED), NUM),
        "frame": np.tile(np.arange(NUM) * SKIP, 2),
        "score": score.flatten(),
        "limit": limit.flatten(),
        "tail": np.full(2 * NUM, 0.5),
        "marked": (score > limit).flatten(),
        "picture": np.stack([fake_worlds.room(np.array([10.0 + i, 20.0])) for i in range(6)]),
        "moment": np.array([0, 5, 6, 12, 13, 18]),
    }


def record() -> dict[str, Any]:
    def share(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.02, "high": value + 0.02, "n": 500}

    arms = {"model": share(0.96), "untrained": share(0.48), "persistence": share(0.61), "pixels": share(0.5)}
    kind = {"arms": arms, "lawful": share(0.52), "found": share(0.83)}
    looked = {"data": "day.h5", "rate": 0.01, "ordinary": "its own world", "num_ordinary": 1000}
    return {
        "sequences": looked | {"num_moments": 300, "num_marked": 5},
        "violations": {
            "kinds": {"wall": kind},
            "looks": {"colour": kind},
            "alarms": 0.0123,
            "protocol": {"num_pairs": 500, "rate": 0.01},
        },
    }


def surprised(path: Path) -> Path:
    run = fake_worlds.world_run(path)
    np.savez(run / "artifacts/surprise.npz", **arrays())  # type: ignore[arg-type]
    write_json(run / "surprise.json", record())
    return run


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(surprised(tmp_path_factory.mktemp("surprised") / "run"))


def test_the_curve_stands_beside_the_frames_and_marks_are_on_both(page: Page) -> None:
    section = page.source[page.source.index('id="surprise"') :]
    section = section[: section.index("</section>")]
    assert section.count('class="chart"') == 2
    stills = section.count("<figcaption")
    assert stills == 6
    assert section.count('<figure class="marked">') == 3
    for caption in ("24, 7.5, marked", "12, 7.5, marked", "32, 7.5, marked"):
        assert f">{caption}</figcaption>" in section
    assert '">0</figcaption>' in section  # the first frame has no score
    for chart, marked in zip(section.split('class="chart"')[1:], (1, 2), strict=True):
        dots = chart.split('class="line s1"')[1].split("</g>")[0]
        assert dots.count("<circle") == marked
        assert "<path" not in dots
    assert page.open == []


def test_what_was_looked_at_and_how_much_chance_would_mark_is_said(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "Of 300 moments of day.h5, 5 are marked; were the sequences ordinary, 1.00% would be: about 3." in text
    assert "Compared with 1000 ordinary clips (its own world)." in text
    assert "Of other ordinary moments of the run's own world 1.23% were marked; 1.00% was asked for." in text


def test_pairs_stand_beside_floors_and_looks_apart(page: Page) -> None:
    text = " ".join(page.text.split())
    laws, looks = text.index("Pairs of which one breaks a law"), text.index("Changes of looks, which break none")
    assert laws < text.index("wall", laws) < looks < text.index("colour", looks)
    for value in ("96.0%", "94.0 to 98.0%", "61.0%", "95% interval over 500 pairs"):
        assert value in text[laws:looks]
    assert "52.0% of cases" in text
    assert "Marked at its moment or the next: 83.0%." in text


@pytest.mark.parametrize("damage", ["text", "list", "empty", "arrays", "words"])
def test_damage_takes_its_own_part_alone(damage: str, tmp_path: Path) -> None:
    run = surprised(tmp_path / "run")
    if damage == "arrays":
        np.savez(run / "artifacts/surprise.npz", **(arrays() | {"score": np.zeros(3)}))  # type: ignore[arg-type]
    else:
        parts = {"kinds": {"wall": None, "gate": {"arms": {"model": {}}}}, "looks": [], "alarms": "many"}
        told: Any = {"list": [1], "empty": {}, "words": {"sequences": "none", "violations": parts}}
        (run / "surprise.json").write_text("{" if damage == "text" else json.dumps(told[damage]))
    page = page_of(run)
    assert page.open == []
    assert ("7.5, marked" in page.source) == (damage != "arrays")
    assert ("Changes of looks" in page.text) == (damage == "arrays")
    assert "could not be" in page.text if damage in ("text", "arrays") else True


def test_names_from_files_are_text(tmp_path: Path) -> None:
    run = surprised(tmp_path / "run")
    told = record()
    told["sequences"]["data"] = EVIL
    told["violations"]["kinds"] = {EVIL: told["violations"]["kinds"]["wall"]}
    write_json(run / "surprise.json", told)
    page = page_of(run)
    assert page.text.count(EVIL) >= 2
    assert EVIL not in page.source
