"""Reading a run directory: whatever lies in it, a page comes out and says what could not be read."""

import json
import re
from pathlib import Path

import fake_runs
import numpy as np
import pytest

from jepakit.report import build_report
from jepakit.report.material import read

FILES = ("config.json", "env.json", "metrics.jsonl", "skipped.json", "evaluation.json")
ODD = ("", "{", "null", "3", "[]", "{}", '"text"', "[1, null, {}]", '{"scores": 3, "protocol": []}', "\x00\xff")


@pytest.mark.parametrize("content", ODD)
def test_odd_json_never_crashes(tmp_path: Path, content: str) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes(content.encode("latin-1") + b"\n")
    assert build_report(tmp_path).exists()


@pytest.mark.parametrize("name", [f for f in FILES if f != "metrics.jsonl"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{broken")
    assert f"{name} could not be read: " in build_report(tmp_path).read_text()


def test_values_of_odd_types_never_crash(tmp_path: Path) -> None:
    odd = [None, True, "x", [], {}, float("nan"), float("inf"), -1e308, 1e308, 5e-324, 10**400]
    rows = [{"kind": "train", "step": i, "loss": v, "energy": 10.0**i, "seconds": v} for i, v in enumerate(odd)]
    rows += [
        {"kind": "health", "step": i, "verdict": v, "spaces": {"encoder": {"rankme": v}}} for i, v in enumerate(odd)
    ]
    rows += [{"kind": "health", "step": v, "spaces": v} for v in odd]
    rows += [{"kind": "health", "step": 3, "spaces": {"encoder": v}, "verdict": {"healthy": v}} for v in odd]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = [{"arm": v, "name": v, "value": v, "low": v, "high": v, "is_floor": v, "n": v, "varies": v} for v in odd]
    gains = [{"arm": "jepa", "name": "ridge", "value": v, "low": 0.0, "high": v} for v in odd]
    curves = [{"arm": "jepa", "kind": "noise", "severity": [1, v], "accuracy": [v, 0.3], "clean": v} for v in odd]
    document = {
        "scores": [*scores, {"arm": "jepa", "name": "ridge", "value": 0.5}],
        "gains": gains,
        "robustness": curves,
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(document))
    (tmp_path / "config.json").write_text(json.dumps({f"key{i}": v for i, v in enumerate(odd)} | {"training": odd}))
    (tmp_path / "env.json").write_text(json.dumps({f"key{i}": v for i, v in enumerate(odd)} | {"started": 3}))
    text = build_report(tmp_path).read_text()
    assert "50.0%" in text
    drawn = re.findall(r' (?:d|x|y|cx|cy|width|height|style)="([^"]*)"', text)
    assert drawn
    assert not [place for place in drawn if "nan" in place or "inf" in place]


def test_missing_values_are_said_and_break_the_line(tmp_path: Path) -> None:
    losses = [1.0, 0.9, None, 0.8, 0.7]
    rows = [{"kind": "train", "step": 10 * i, "loss": loss} for i, loss in enumerate(losses)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = build_report(tmp_path).read_text()
    assert "step 20\nnot finite" in text
    line = text.split('class="main"')[0].rsplit('d="', 1)[1]
    assert line.count("M") == 2
    assert line.count("L") == 2


def test_a_damaged_row_costs_that_row_only(tmp_path: Path) -> None:
    fake_runs.write_metrics(tmp_path, 200)
    whole = read(tmp_path)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join([*lines[:3], "{broken", '{"kind": "train", "note": "no step \u2028"}', *lines[3:]]) + "\n"
    )
    damaged = read(tmp_path)
    assert (damaged.train, damaged.health) == (whole.train, whole.health)
    assert damaged.troubles == [f"metrics.jsonl: 2 of {len(lines) + 2} rows could not be read."]


def test_half_a_last_line_is_ignored(tmp_path: Path) -> None:
    fake_runs.write_metrics(tmp_path, 200)
    whole = read(tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    assert read(tmp_path) == whole


@pytest.mark.parametrize(
    "arrays",
    [
        {"image": np.zeros((2, 8, 8, 1), np.uint8)},
        {"image": np.zeros((2, 8, 8)), "pca": np.zeros((2, 4, 4, 3))},
        {"image": np.zeros((2, 8, 8, 1)), "pca": np.zeros((3, 4, 4, 3))},
        {"image": np.zeros((0, 8, 8, 1)), "pca": np.zeros((0, 4, 4, 3))},
        {"image": np.zeros((2, 8, 0, 1)), "pca": np.zeros((2, 4, 4, 3))},
    ],
)
def test_arrays_of_another_shape_are_named_and_not_drawn(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    (tmp_path / "artifacts").mkdir()
    np.savez(tmp_path / "artifacts/features.npz", **arrays)
    text = build_report(tmp_path).read_text()
    assert 'id="features"' not in text
    assert "artifacts/features.npz could not be shown" in text


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    np.savez(tmp_path / "artifacts/features.npz", image=np.array([object()]), pca=np.zeros((1, 4, 4, 3)))
    assert "artifacts/features.npz could not be read" in build_report(tmp_path).read_text()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"not a zip"])
def test_damaged_arrays_are_named(tmp_path: Path, damage: bytes) -> None:
    run = fake_runs.full_run(tmp_path)
    (run / "artifacts/masks.npz").write_bytes(damage)
    assert "artifacts/masks.npz could not be read" in build_report(run).read_text()


def test_truncated_arrays_are_named(tmp_path: Path) -> None:
    run = fake_runs.full_run(tmp_path)
    whole = (run / "artifacts/views.npz").read_bytes()
    (run / "artifacts/views.npz").write_bytes(whole[: len(whole) // 2])
    assert "artifacts/views.npz could not be read" in build_report(run).read_text()


def test_name_is_the_recipe_else_the_directory(tmp_path: Path) -> None:
    assert read(tmp_path).name == tmp_path.name
    fake_runs.write_config(tmp_path)
    assert read(tmp_path).name == "digits-ijepa-sigreg"
