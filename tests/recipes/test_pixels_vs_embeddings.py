"""The experiment as a whole: which cells there are, how settings are chosen, and that a rerun computes nothing twice."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jepakit.recipes import find_experiment
from jepakit.recipes import pixels_vs_embeddings as experiment
from jepakit.recipes.pixels_vs_embeddings import FIRST_TRIAL_SEED, FULL, SMALL, Part, parts, pixels_vs_embeddings
from jepakit.recipes.predicting import ARMS, Setting
from jepakit.types import UserError

CHOSEN = {arm: ARMS[arm].tried[1] for arm in ARMS}


def test_every_arm_is_tried_as_often_on_seeds_that_are_not_reported() -> None:
    for part in parts(5, SMALL)[:2]:
        counts = {arm: sum(arm == tried for tried, _, _ in part.trials.values()) for arm, _, _ in part.trials.values()}
        assert set(counts.values()) == {4}
        for _, _, cell in part.trials.values():
            seeds = [value for value in cell.args if isinstance(value, tuple)]  # type: ignore[attr-defined]
            assert all(seed >= FIRST_TRIAL_SEED for each in seeds for seed in each)
    assert parts(5, SMALL)[2].trials == {}


def test_cells_cover_every_case_and_their_names_tell_what_would_change_them() -> None:
    nuisance, digits, rooms = (part.cells({arm: CHOSEN[arm] for arm in arms}) for part, arms in _with_arms())
    assert len(nuisance) == (1 + 2 * 4) * 8  # none once, four levels of two kinds; five arms and three floors
    assert len(digits) == 3 * 5 * 6
    assert len(rooms) == 3 * 5 * 4
    longer = {name for part, arms in _with_arms(full=True) for name in part.cells({arm: CHOSEN[arm] for arm in arms})}
    again = {*nuisance, *digits, *rooms} & longer
    assert all(any(floor in name for floor in ("random-init", "pca", "raw")) for name in again)
    other = parts(5, SMALL)[0].cells({arm: ARMS[arm].tried[0] for arm in ARMS})
    assert not [name for name in set(other) & set(nuisance) if "steps" in name]


def _with_arms(full: bool = False) -> list[tuple[Part, list[str]]]:
    made = parts(5, FULL if full else SMALL)
    return [(part, list(dict.fromkeys(arm for arm, _, _ in part.trials.values()))) for part in made]


def fake_parts(asked: list[str], chosen: list[Mapping[str, Setting]]) -> list[Part]:
    """Return one part of two arms whose second setting is the better one."""

    def cell(name: str, value: float) -> Any:
        def compute() -> dict[str, Any]:
            asked.append(name)
            return {"part": "nuisance", "arm": "ema", "state": [value, value], "seconds": 1.0}

        return compute

    settings = (Setting(1e-3, 1.0), Setting(1e-2, 1.0))
    trials = {f"t-{arm}-{i}": (arm, settings[i], cell(f"t-{arm}-{i}", 0.1 * i)) for arm in ("a", "b") for i in (0, 1)}

    def cells(found: Mapping[str, Setting]) -> dict[str, Any]:
        chosen.append(found)
        return {f"c-{arm}": cell(f"c-{arm}", 0.5) for arm in found}

    return [Part("nuisance", trials, cells)]


def test_the_best_of_the_trials_is_reported_and_nothing_is_computed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    chosen: list[Mapping[str, Setting]] = []
    monkeypatch.setattr(experiment, "parts", lambda num_seeds, effort: fake_parts(asked, chosen))
    said: list[str] = []
    told = pixels_vs_embeddings(tmp_path, 2, say=said.append)
    assert chosen[0] == {"a": Setting(1e-2, 1.0), "b": Setting(1e-2, 1.0)}
    assert len(asked) == 6
    assert told["parts"]["nuisance"]["seconds"] == 6.0
    assert any(line.startswith("nuisance: 6 cells of 6 s") for line in said)
    assert json.loads((tmp_path / "experiment.json").read_text()) == told
    (tmp_path / "cells/c-b.json").unlink()
    pixels_vs_embeddings(tmp_path, 2)
    assert asked[6:] == ["c-b"]


def test_seeds_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 2 of them, got 1"):
        pixels_vs_embeddings(tmp_path, 1)
    with pytest.raises(UserError, match="Seeds from 1000 on are for choices"):
        pixels_vs_embeddings(tmp_path, 1001)
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_is_found_by_its_name() -> None:
    assert find_experiment("pixels-vs-embeddings") is pixels_vs_embeddings
    with pytest.raises(
        UserError, match="There is no experiment 'pixel-vs-embedding'; did you mean 'pixels-vs-embeddings'"
    ):
        find_experiment("pixel-vs-embedding")
    with pytest.raises(UserError, match="known are pixels-vs-embeddings"):
        find_experiment("zzz")
