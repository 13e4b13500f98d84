"""The verdict: every word follows the numbers, and it can say that embeddings lose."""

from pathlib import Path

import pytest
from fake_experiment import GOOD, write_experiment

from jepakit.report.thesis import compare, lost, verdict
from jepakit.report.thesis_records import Place, read_records
from jepakit.storage import read_json, write_json
from jepakit.types import UserError

BAD = {"ema": 0.5, "sigreg": 0.5, "vicreg": 0.5, "next-input": 0.8, "masked-input": 0.9}
WEAK = "draw every one of them away from the state, a known weakness, and of those that predict the input "


def test_embeddings_can_lead(tmp_path: Path) -> None:
    told = verdict(read_records(write_experiment(tmp_path)))
    assert (told.state, told.label) == ("good", "Embeddings lead")
    assert (
        "kept more of what matters than predicting the input: ahead in 9 and behind in 0 of 9 comparisons"
        in told.sentence
    )
    assert told.sentence.endswith(f"{WEAK}all.")


def test_embeddings_can_lose(tmp_path: Path) -> None:
    told = verdict(read_records(write_experiment(tmp_path, BAD, pixels=0.9, rooms=(0.2, 0.8))))
    assert (told.state, told.label) == ("bad", "Embeddings lose")
    assert "kept less of what matters" in told.sentence
    assert "ahead in 0 and behind in 9 of 9 comparisons" in told.sentence


def test_it_can_depend(tmp_path: Path) -> None:
    told = verdict(read_records(write_experiment(tmp_path, GOOD | {"next-input": 0.95})))
    assert (told.state, told.label) == ("watch", "It depends")
    assert "ahead in 6 and behind in 3 of 9 comparisons" in told.sentence


def test_it_can_be_undecided(tmp_path: Path) -> None:
    same = dict.fromkeys(GOOD, 0.9)
    told = verdict(read_records(write_experiment(tmp_path, same, pixels=0.7, rooms=(0.5, 0.5))))
    assert (told.state, told.label) == ("open", "Undecided")


def test_the_weakness_is_said_where_it_shows_and_only_there(tmp_path: Path) -> None:
    none = verdict(read_records(write_experiment(tmp_path / "a", slow=dict.fromkeys(GOOD, 0.95))))
    assert "a known weakness, was not seen here" in none.sentence
    some = verdict(read_records(write_experiment(tmp_path / "b", slow=dict.fromkeys(GOOD, 0.95) | {"ema": 0.1})))
    assert "draw some of them (embedding, EMA) away from the state, a known weakness, " in some.sentence
    assert some.sentence.endswith("and of those that predict the input none.")
    rest = dict.fromkeys(GOOD, 0.0) | {"masked-input": 0.95}
    assert verdict(read_records(write_experiment(tmp_path / "c", slow=rest))).sentence.endswith(
        f"{WEAK}next observation."
    )
    assert any("the slow channels fill: embedding, EMA 7.0" in line for line in some.evidence)


def test_a_pair_is_decided_by_its_interval_over_seeds(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path)
    place = Place("nuisance", "iid", 64)
    pairs = {(pair.ours, pair.theirs): pair for pair in compare(read_records(folder), place)}
    assert len(pairs) == 6
    assert pairs["ema", "next-input"].outcome == "ahead"
    assert pairs["ema", "next-input"].difference.value == pytest.approx(0.3)
    path = folder / "cells/n-iid-64-ema.json"
    write_json(path, read_json(path) | {"state": [0.99, 0.2, 0.95, 0.6]})  # ahead in the mean, and not for sure
    pairs = {(pair.ours, pair.theirs): pair for pair in compare(read_records(folder), place)}
    assert pairs["ema", "next-input"].difference.value > 0
    assert pairs["ema", "next-input"].outcome == "level"


def test_what_is_lost_is_paired_with_the_same_seed_without_nuisance(tmp_path: Path) -> None:
    records = read_records(write_experiment(tmp_path))
    fall = lost(records, "next-input", "iid", 64)
    assert fall is not None
    assert fall.value == pytest.approx(0.35)
    assert fall.high - fall.low < 1e-6  # what differs between seeds is the same in both, and cancels
    assert lost(records, "embeddings", "iid", 64) is None


def test_how_many_channels_an_arm_bears_is_said(tmp_path: Path) -> None:
    told = verdict(read_records(write_experiment(tmp_path))).evidence
    borne = "embedding, EMA 64; embedding, SIGReg 64; embedding, VICReg 64; next observation 8; masked reconstruction 8"
    assert f"So many unpredictable channels certainly cost less than 0.1 of R2: {borne}." in told
    none = "; ".join(f"{name} none" for name in ("next observation", "masked reconstruction"))
    assert any(line.startswith("So many slow, predictable") and line.endswith(f"{none}.") for line in told)
    assert any(line.startswith("TwoRooms before a background of noise, the position: embedding") for line in told)


def test_records_that_are_missing_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no experiment.json; let `jepakit experiment"):
        read_records(tmp_path)
    folder = write_experiment(tmp_path)
    (folder / "cells/n-iid-64-ema.json").unlink()
    with pytest.raises(UserError, match="n-iid-64-ema"):
        read_records(folder)
