"""On the command line others' models come in and ours go out, in one line each; mistakes are one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from released_files import GRID, PATCH, ijepa_file, ijepa_of_huggingface, saved, vjepa_of_huggingface
from tiny_runs import write_images
from video_files import av_or_skip, numbered, write_video

from jepakit.cli import run


def test_a_file_is_imported_embedded_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = str(saved(tmp_path / "ijepa.pth.tar", ijepa_file())), str(tmp_path / "ours")
    assert run(["import", path, "--out", out, "--num-heads", "2", "--branch", "encoder"]) == 0
    told = capsys.readouterr().out
    assert f"Imported {path} (Meta's file of an I-JEPA, branch: encoder) into {out}" in told
    assert "left out: opt, scaler, epoch" in told
    assert json.loads((tmp_path / "ours/config.json").read_text())["imported"]["branch"] == "encoder"
    write_images(tmp_path / "images", per_class=1)
    assert run(["embed", out, str(tmp_path / "images"), str(tmp_path / "z.npy")]) == 0
    assert np.load(tmp_path / "z.npy").shape == (3, 48)
    assert run(["export", out, str(tmp_path / "hf")]) == 0
    assert (tmp_path / "hf/config.json").is_file()
    assert run(["export", out, str(tmp_path / "again.pth.tar"), "--to", "meta"]) == 0
    assert torch.load(tmp_path / "again.pth.tar", weights_only=True).keys() >= {
        "encoder",
        "target_encoder",
        "predictor",
    }


def test_an_imported_model_is_evaluated_on_labelled_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ijepa_of_huggingface().save_pretrained(tmp_path / "theirs")
    assert run(["import", str(tmp_path / "theirs"), "--out", str(tmp_path / "ours")]) == 0
    write_images(tmp_path / "images", per_class=12)
    options = ["--data", str(tmp_path / "images"), "--probes", "ridge", "--no-robustness"]
    assert run(["evaluate", str(tmp_path / "ours")]) == 2
    assert "--data FOLDER" in capsys.readouterr().err
    assert run(["evaluate", str(tmp_path / "ours"), *options]) == 0
    told = capsys.readouterr().out
    assert "accuracy on the dev split" in told
    assert all(arm in told for arm in ("jepa", "random init", "raw pixels"))
    record = json.loads((tmp_path / "ours/evaluation.json").read_text())
    assert record["checkpoint"] == "imported"
    assert (tmp_path / "ours/report.html").is_file()


def test_a_folder_of_transformers_is_embedded_as_it_is(tmp_path: Path) -> None:
    ijepa_of_huggingface(image_size=GRID * PATCH).save_pretrained(tmp_path / "theirs")
    write_images(tmp_path / "images", per_class=1)
    assert run(["embed", str(tmp_path / "theirs"), str(tmp_path / "images"), str(tmp_path / "z.npy")]) == 0
    assert np.load(tmp_path / "z.npy").shape == (3, 48)


def test_videos_are_embedded_by_an_imported_model_of_clips(tmp_path: Path) -> None:
    av_or_skip()
    vjepa_of_huggingface().save_pretrained(tmp_path / "theirs")
    for name in ("one", "two"):
        write_video(tmp_path / f"videos/{name}.mp4", [numbered(number) for number in range(30)])
    out = tmp_path / "z.npy"
    assert run(["embed", str(tmp_path / "theirs"), str(tmp_path / "videos"), str(out)]) == 0
    assert np.load(out).shape == (2, 48)


def test_an_imported_model_of_clips_is_evaluated_on_labelled_videos(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    av_or_skip()
    vjepa_of_huggingface().save_pretrained(tmp_path / "theirs")
    for number in range(20):
        pictures = [numbered(15 * (number % 2) + number // 4)] * 22
        write_video(tmp_path / f"videos/{number % 2}/{number}.mp4", pictures)
    options = ["--data", str(tmp_path / "videos"), "--probes", "ridge"]
    assert run(["import", str(tmp_path / "theirs"), "--out", str(tmp_path / "ours")]) == 0
    assert run(["evaluate", str(tmp_path / "ours"), *options]) == 0
    assert "random init" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["import"], "import needs"),
        (["import", "nowhere.pt", "--out", "x"], "nowhere.pt does not exist"),
        (["import", "nowhere.pt", "--out", "x", "--brunch", "encoder"], "did you mean '--branch'?"),
        (["export", "digits", "x", "--to", "onx"], "onx"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1
