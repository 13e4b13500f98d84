"""Embeddings come out in the order of their names, are those of the model, and nothing is left out in silence."""

import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from tiny_runs import write_images

from jepakit.commands import embed
from jepakit.commands import embedding as module
from jepakit.data import Digits
from jepakit.hub import load
from jepakit.types import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write 12 images into 3 folders, two of them broken."""
    paths = write_images(tmp_path / "images", per_class=4)
    paths[1].write_bytes(b"")
    paths[6].write_bytes(paths[6].read_bytes()[:60])
    return tmp_path / "images"


NAMES = ["0/000.png", "0/002.png", "0/003.png", "1/000.png", "1/001.png", "1/003.png", "2/000.png", "2/001.png",
         "2/002.png", "2/003.png"]  # fmt: skip


def test_an_array_comes_with_a_table_of_names(tiny_run: Path, folder: Path, tmp_path: Path) -> None:
    embedded = embed(tiny_run, folder, tmp_path / "deep/z.npy")
    z = np.load(tmp_path / "deep/z.npy")
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, embedded.z.numpy())
    with (tmp_path / "deep/z.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["row", "name"], *([str(i), name] for i, name in enumerate(NAMES))]
    assert embedded.files == [tmp_path / "deep/z.npy", tmp_path / "deep/z.csv"]
    assert [skip.name for skip in embedded.skipped] == ["0/001.png", "1/002.png"]
    assert embedded.skipped[0].reason == "the file is empty"


def test_each_row_is_the_model_s_embedding_of_that_image(tiny_run: Path, folder: Path, tmp_path: Path) -> None:
    model = load(tiny_run)
    embedded = embed(tiny_run, folder, tmp_path / "z.npy")
    one_by_one = torch.cat([model.encode(folder / name) for name in NAMES])
    torch.testing.assert_close(embedded.z, one_by_one)
    assert float((embedded.z[0] - embedded.z[1]).abs().max()) > 1e-4


def test_a_table_holds_the_same(tiny_run: Path, folder: Path, tmp_path: Path) -> None:
    embedded = embed(tiny_run, folder, tmp_path / "z.parquet")
    table = pq.read_table(tmp_path / "z.parquet")
    assert table.column("name").to_pylist() == NAMES
    np.testing.assert_array_equal(np.stack(table.column("embedding").to_numpy()), embedded.z.numpy())


def test_parts_and_workers_change_nothing(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "images"
    paths = write_images(folder, per_class=4)
    for path in paths[8:]:
        path.write_bytes(b"")  # with 4 images a part, the last part has not one that can be read
    whole = embed(tiny_run, folder, tmp_path / "whole.npy")
    monkeypatch.setattr(module, "_CHUNK", 4)
    monkeypatch.setattr(module, "_ALONE", 0)
    monkeypatch.setattr(module, "default_num_workers", lambda: 2)
    parts = embed(tiny_run, folder, tmp_path / "parts.npy")
    torch.testing.assert_close(whole.z, parts.z)
    assert (whole.names, whole.skipped) == (parts.names, parts.skipped)
    assert len(parts.names) == 8
    assert len(parts.skipped) == 4


def test_the_bundled_digits_can_be_named_outright(tiny_vit_run: Path, tmp_path: Path) -> None:
    embedded = embed(tiny_vit_run, "digits", tmp_path / "z.npy")
    assert embedded.z.shape == (1797, 16)
    assert embedded.names[:2] == ["digits 0", "digits 1"]
    model = load(tiny_vit_run)
    torch.testing.assert_close(embedded.z[5:6], model.encode(model.preprocess(Digits().images[5:6])))


@pytest.mark.parametrize(
    ("out", "sentence"), [("z.txt", r"\.npy or a \.parquet file, got .*z\.txt"), ("z", r"\.npy or a \.parquet")]
)
def test_another_ending_is_refused_before_anything_is_read(tmp_path: Path, out: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        embed(tmp_path / "no-model", "nowhere", tmp_path / out)


def test_a_table_of_the_user_s_own_is_not_written_over(tiny_run: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "z.csv").write_text("name,label\na,1\n")
    with pytest.raises(UserError, match=r"z\.csv is there and was not written by embed"):
        embed(tiny_run, folder, tmp_path / "z.npy")
    assert (tmp_path / "z.csv").read_text() == "name,label\na,1\n"
    assert not (tmp_path / "z.npy").exists()
    embed(tiny_run, folder, tmp_path / "z.parquet")  # writes no names beside it
    (tmp_path / "z.csv").unlink()
    embed(tiny_run, folder, tmp_path / "z.npy")
    embed(tiny_run, folder, tmp_path / "z.npy")  # over its own


def test_images_that_are_all_broken_are_one_sentence(tiny_run: Path, tmp_path: Path) -> None:
    for path in write_images(tmp_path / "images", per_class=1):
        path.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"None of the 3 samples of the source can be read; the first, '0/000\.png'"):
        embed(tiny_run, tmp_path / "images", tmp_path / "z.npy")
    assert not (tmp_path / "z.npy").exists()
