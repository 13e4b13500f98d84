"""A run on a record marks where another one is strange: when, in which channel, in surprise.json and on the page."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import tiny_series

import jepakit
from jepakit import cli
from jepakit.commands import train
from jepakit.types import UserError

NUM, AT = 1200, 100
"""Moments of a record, and the one at which a sensor is knocked."""


def written(path: Path, num: int = NUM, spike: float = 0.0, hours: int = 1) -> Path:
    """Write a record of three channels that swing alike, with a little noise; one of them may be knocked."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (num, 3))
    rows = ["date,a,b,c"]
    for i in range(num):
        swing = [math.sin(2 * math.pi * i / 24 + phase) for phase in (0.0, 1.0, 2.0)]
        values = noise[i] + swing + [0.0, spike * (i == AT), 0.0]
        day, hour = divmod(i * hours, 24)
        stamp = np.datetime64("2020-01-01T00:00:00") + np.timedelta64(day * 24 + hour, "h")
        rows.append(f"{str(stamp).replace('T', ' ')},{','.join(f'{value:.6f}' for value in values)}")
    path.write_text("\n".join(rows))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records")
    train(tiny_series(written(folder / "clean.csv"), "series-values"), folder / "run")
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def test_a_knocked_sensor_is_found_told_and_drawn(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = written(tmp_path / "other.csv", num=203, spike=20.0)
    assert cli.run(["surprise", str(run), "--data", str(data), "--rate", "0.05"]) == 0
    told = json.loads((run / "surprise.json").read_text())["record"]
    worst = max(told["anomalies"], key=lambda one: one["score"])
    assert worst["first"] <= AT <= worst["last"]
    assert worst["from"] <= "2020-01-05 04:00:00" <= worst["to"]
    assert worst["channels"][0]["name"] == "b"
    assert worst["score"] == told["highest"]["score"] > told["limit"]
    assert told["num_marked"] >= 1
    assert 0.0 <= told["alarms"]["low"] <= told["alarms"]["value"] <= told["alarms"]["high"] <= 1.0
    printed = capsys.readouterr().out
    assert f"  {worst['from']} to {worst['to']}: score {worst['score']:.1f} (b " in printed
    assert f"{told['num_marked']} of {told['num_moments']} stretches of {told['moment']} moments are marked" in printed
    with np.load(run / "artifacts/anomalies.npz") as arrays:
        assert arrays["values"].shape == (203, 3)
        assert arrays["first"].tolist() == list(range(3, 203, told["moment"]))
        assert arrays["marked"].sum() == told["num_marked"]
        place = arrays["first"].tolist().index(told["highest"]["first"])
        assert arrays["score"][place] == arrays["row"][place, 1] == pytest.approx(told["highest"]["score"])
        assert arrays["values"][AT, 1] > 18
    page = (run / "report.html").read_text()
    assert "What surprises it" in page
    assert f"<h3>{worst['from']} to {worst['to']}</h3>" in page
    assert '<figcaption class="caption">b, ' in page


def test_another_record_may_say_what_is_ordinary(run: Path, tmp_path: Path) -> None:
    data = written(tmp_path / "other.csv", num=200, spike=20.0)
    told = jepakit.surprise(run, data, ordinary=written(tmp_path / "usual.csv", num=600), rate=0.05)["record"]
    assert told["ordinary"] == str(tmp_path / "usual.csv")
    assert told["num_ordinary"] == 600 // told["moment"]
    assert told["alarms"] is None
    assert told["highest"]["first"] <= AT <= told["highest"]["last"]


def test_what_was_not_measured_is_not_marked(run: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "other.csv", num=200)
    lines = path.read_text().splitlines()
    lines[81:129] = [f"{line.split(',')[0]},,," for line in lines[81:129]]
    path.write_text("\n".join(lines))
    told = jepakit.surprise(run, path, rate=0.5)["record"]
    assert told["num_moments"] < 200 // told["moment"]
    assert not any(one["first"] >= 80 and one["last"] < 128 for one in told["anomalies"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "There is nothing to look at: give a record or a sound (--data FILE)."),
        (["--data", "none.csv"], "does not exist"),
        (["--data", "columns.csv"], "has no column 'c'"),
        (["--data", "short.csv"], "A window of this model has 24 moments, and there are 20; give a longer record."),
        (["--data", "silent.csv"], "nothing was measured in 'b'"),
        (["--data", "slow.csv"], "has a moment every 7200 s, the record that the run learned from every 3600 s"),
        (["--data", "good.csv", "--rate", "0.0001"], "tell rates of false alarms down to"),
        (["--data", "good.csv", "--rate", "1"], "A rate of false alarms is between 0 and 1, got 1.0."),
        (["--data", "good.csv", "--ordinary", "short.csv"], "give a longer record."),
        (["--data", "good.csv", "--pairs", "3"], "--pairs and --episodes are for runs in a world."),
    ],
)
def test_a_mistake_is_told_in_one_sentence(
    options: list[str],
    sentence: str,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "good.csv", num=100)
    written(tmp_path / "short.csv", num=20)
    written(tmp_path / "slow.csv", num=100, hours=2)
    lines = (tmp_path / "good.csv").read_text().splitlines()
    (tmp_path / "columns.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines))
    silent = [lines[0], *(",".join((*line.split(",")[:2], "", line.split(",")[3])) for line in lines[1:])]
    (tmp_path / "silent.csv").write_text("\n".join(silent))
    assert cli.run(["surprise", str(run), *options]) == 2
    told = capsys.readouterr().err
    assert told.count("jepakit: ") == 1
    assert sentence in told
    assert not (run / "surprise.json").exists()


def test_a_run_on_samples_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", x=rng.normal(size=(40, 3, 24)).astype(np.float32))
    train(tiny_series(tmp_path / "a.npz"), tmp_path / "run")
    with pytest.raises(UserError, match="has learned from samples"):
        jepakit.surprise(tmp_path / "run", tmp_path / "a.npz")
