"""What training sees, what health is measured on and what is tested on never overlap, whatever the source."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import write_images

from jepakit.data import Digits
from jepakit.recipes import ImageData, splits
from jepakit.recipes.splits import open_sources, read_health, read_probing
from jepakit.types import UserError

DIGITS = ImageData(train="digits", stored_size=8)


def names(source: Any) -> set[str]:
    return {source.name(index) for index in range(len(source))}


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 50), test=st.floats(0.1, 0.6), num_health=st.integers(2, 400))
def test_parts_are_disjoint_and_make_the_whole(seed: int, test: float, num_health: int) -> None:
    data = replace(DIGITS, split_seed=seed, test_fraction=test, num_health=num_health)
    sources = open_sources(data)
    assert sources.probe is not None
    assert sources.test is not None
    parts = [names(sources.train), names(sources.health), names(sources.test)]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 1797
    assert names(sources.probe) == parts[0] | parts[1]
    assert len(parts[2]) == round(1797 * test)
    assert len(parts[1]) == min(num_health, (1797 - len(parts[2])) // 5)


def test_the_test_split_is_stratified_and_depends_on_its_seed_alone() -> None:
    sources, again = open_sources(DIGITS), open_sources(replace(DIGITS, num_health=40, stored_size=16))
    assert sources.test is not None
    assert again.test is not None
    assert names(sources.test) == names(again.test)
    counts = torch.bincount(sources.test.labels)  # type: ignore[arg-type]
    whole = torch.bincount(Digits().labels)  # type: ignore[arg-type]
    assert float((counts / whole - 0.3).abs().max()) < 0.01
    other = open_sources(replace(DIGITS, split_seed=1))
    assert other.test is not None
    assert names(other.test) != names(sources.test)


@pytest.mark.parametrize("setting", ["test_fraction", "dev_fraction"])
@pytest.mark.parametrize("share", [0.0, 1.2, 1e-9])
def test_a_share_that_leaves_nothing_is_refused_before_training_and_names_its_setting(
    setting: str, share: float
) -> None:
    with pytest.raises(UserError, match=rf"data\.{setting}: .*leaves one of two parts of 1\d+ samples empty"):
        open_sources(replace(DIGITS, **{setting: share}))


def test_the_development_split_is_cut_from_the_probes_training_part() -> None:
    sources = open_sources(DIGITS)
    dev, final = (read_probing(sources, DIGITS, 1, 0, final=final) for final in (False, True))
    assert dev is not None
    assert final is not None
    assert (dev.split, final.split) == ("dev", "test")
    assert len(dev.train) + len(dev.test) == len(final.train) == 1797 - 539
    assert len(dev.test) == round(0.2 * len(final.train))
    final_rows = {image.numpy().tobytes() for image in final.test.content}
    dev_rows = {image.numpy().tobytes() for image in dev.test.content}
    assert len(final_rows & dev_rows) <= len(final_rows) * 0.02  # the digits hold a few identical scans


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Write a folder without labels and a labelled one."""
    for path in write_images(tmp_path / "unlabelled", per_class=10):
        path.rename(tmp_path / "unlabelled" / f"{path.parent.name}-{path.name}")
    write_images(tmp_path / "labelled", per_class=12, name=lambda label: f"class-{label}")
    return tmp_path / "unlabelled", tmp_path / "labelled"


def test_a_folder_without_labels_is_all_for_training(folders: tuple[Path, Path]) -> None:
    data = ImageData(train=str(folders[0]), stored_size=8)
    sources = open_sources(data)
    assert len(sources.train) + len(sources.health) == 30
    assert sources.probe is None
    assert sources.test is None
    assert read_probing(sources, data, 1, 0, final=True) is None
    assert read_health(sources, data, channels=1, num_workers=0).shape == (6, 1, 8, 8)


def test_images_in_a_single_folder_are_no_class(tmp_path: Path) -> None:
    write_images(tmp_path, per_class=20, classes=1)
    assert open_sources(ImageData(train=str(tmp_path), stored_size=8)).probe is None


def test_a_loose_image_beside_class_folders_is_no_reason_to_train_on_the_test_images(
    folders: tuple[Path, Path],
) -> None:
    (folders[1] / "class-0" / "000.png").rename(folders[1] / "loose.png")
    data = ImageData(train=str(folders[1]), stored_size=8)
    with pytest.raises(UserError, match=r"1 of 36 lie directly in .*'loose\.png'; move them, .*--data\.labels none"):
        open_sources(data)
    assert open_sources(replace(data, labels="none")).probe is None


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1, None] * 10, "lacks 10 of 30 labels"),
        ([0, 1, -1] * 10, "goes from -1 to 1"),
        ([0.0, 0.5, 1.0] * 10, "holds float"),
    ],
)
def test_labels_that_are_there_and_wrong_are_an_error_under_auto(
    tmp_path: Path, labels: list[Any], sentence: str
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [b"x"] * 30, "label": labels}), path)
    data = ImageData(train=str(path), stored_size=8)
    with pytest.raises(UserError, match=rf"{sentence}.*; mend them, .*--data\.labels none"):
        open_sources(data)
    assert open_sources(replace(data, labels="none")).probe is None


def test_a_table_without_labels_or_of_one_class_is_all_for_training(tmp_path: Path) -> None:
    tables = {"plain": {}, "one": {"label": [0] * 30}}
    for name, columns in tables.items():
        pq.write_table(pa.table({"image": [b"x"] * 30, **columns}), tmp_path / f"{name}.parquet")
        sources = open_sources(ImageData(train=str(tmp_path / f"{name}.parquet"), stored_size=8))
        assert sources.probe is None
        assert len(sources.train) + len(sources.health) == 30


def test_too_many_labelled_images_are_refused_before_one_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = replace(DIGITS, stored_size=1800)  # 1,797 images of 3 x 1800 x 1800 pixels: 16.3 GiB
    sources = open_sources(data)
    monkeypatch.setattr(splits, "read_labelled", lambda *_, **__: pytest.fail("decoded"))
    sentence = r"The 1797 labelled images would fill 16\.3 GiB at 1800 x 1800 .*; use a smaller --data\.stored-size"
    for final in (False, True):
        with pytest.raises(UserError, match=sentence):
            read_probing(sources, data, 3, 0, final=final)
    splits.refuse_too_large(sources, data, channels=1)
    splits.refuse_too_large(open_sources(replace(data, labels="none")), data, channels=3)


def test_images_that_were_not_looked_for_are_named_beside_those_that_cannot_be_read(folders: tuple[Path, Path]) -> None:
    (folders[1] / "class-0" / "000.png").write_bytes(b"")
    (folders[1] / "class-0" / "a.heic").write_bytes(b"")
    data = ImageData(train=str(folders[1]), stored_size=8)
    probing = read_probing(open_sources(data), data, 1, 0, final=True)
    assert probing is not None
    assert {skip.name for skip in probing.skipped} == {"class-0/000.png", f"1 file in {folders[1]}"}


def test_a_labelled_set_of_its_own_leaves_training_whole(folders: tuple[Path, Path]) -> None:
    data = ImageData(train=str(folders[0]), probe=str(folders[1]), stored_size=8)
    sources = open_sources(data)
    assert len(sources.train) + len(sources.health) == 30
    assert sources.probe is not None
    assert sources.test is not None
    assert len(sources.probe) + len(sources.test) == 36
    assert not names(sources.probe) & names(sources.test)
    probing = read_probing(sources, data, 1, 0, final=True)
    assert probing is not None
    assert probing.train.class_names == ("class-0", "class-1", "class-2")
    assert torch.bincount(probing.train.labels).tolist() == torch.bincount(sources.probe.labels).tolist()  # type: ignore[arg-type]


def test_a_test_set_of_its_own_leaves_every_labelled_image_to_the_probes(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    write_images(tmp_path / "test", per_class=5, classes=2, name=lambda label: f"class-{label + 1}")
    data = ImageData(train=str(folders[1]), test=str(tmp_path / "test"), stored_size=8)
    sources = open_sources(data)
    assert len(sources.train) + len(sources.health) == 36
    probing = read_probing(sources, data, 1, 0, final=True)
    assert probing is not None
    assert (len(probing.train), len(probing.test)) == (36, 10)
    assert probing.test.labels.tolist() == [1] * 5 + [2] * 5  # numbered as the training part numbers its classes
    dev = read_probing(sources, data, 1, 0, final=False)
    assert dev is not None
    assert len(dev.train) + len(dev.test) == 36


def test_labels_are_left_alone_where_none_are_wanted(folders: tuple[Path, Path]) -> None:
    for train in ("digits", str(folders[1])):
        sources = open_sources(ImageData(train=train, labels="none", stored_size=8))
        assert sources.probe is None
        assert len(sources.train) + len(sources.health) == (1797 if train == "digits" else 36)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"probe": "{labelled}", "train": "{labelled}"}, "share images, and results are tested on the latter"),
        ({"probe": "{labelled}/class-0", "train": "{labelled}"}, "share images"),
        ({"train": "{labelled}/class-0", "test": "{labelled}"}, "share images"),
        ({"train": "{unlabelled}", "probe": "{labelled}", "test": "{labelled}/../labelled"}, "share images"),
        ({"train": "{unlabelled}", "test": "{labelled}"}, "there are no labels to fit probes by; give --data.probe"),
        ({"train": "{nowhere}"}, "does not exist"),
        ({"train": "{labelled}", "labels": "columns"}, "is a folder of images without columns"),
    ],
)
def test_paths_by_which_a_test_could_not_be_trusted_are_refused(
    folders: tuple[Path, Path], changes: dict[str, str], sentence: str
) -> None:
    places = {"unlabelled": folders[0], "labelled": folders[1], "nowhere": folders[0] / "nowhere"}
    data = ImageData(**({"stored_size": 8} | {k: v.format(**places) for k, v in changes.items()}))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=sentence):
        open_sources(data)


def test_too_few_images_are_one_sentence(tmp_path: Path) -> None:
    write_images(tmp_path, per_class=9, classes=1)
    with pytest.raises(UserError, match="has 9 samples to learn from; at least 10 are needed"):
        open_sources(ImageData(train=str(tmp_path), stored_size=8))
