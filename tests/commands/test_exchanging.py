"""On the command line others' models come in and ours go out, in one line each; mistakes are one sentence."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from released_files import GRID, PATCH, ijepa_file, ijepa_of_huggingface, saved
from tiny_runs import write_images

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


def test_a_folder_of_transformers_is_embedded_as_it_is(tmp_path: Path) -> None:
    ijepa_of_huggingface(image_size=GRID * PATCH).save_pretrained(tmp_path / "theirs")
    write_images(tmp_path / "images", per_class=1)
    assert run(["embed", str(tmp_path / "theirs"), str(tmp_path / "images"), str(tmp_path / "z.npy")]) == 0
    assert np.load(tmp_path / "z.npy").shape == (3, 48)


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
