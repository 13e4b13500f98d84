"""Every kind of source: what it finds, how it names it, and what it says when it cannot."""

import importlib
import os
import pickle
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from image_files import encoded, smooth
from PIL import Image

from jepakit.data import (
    Arrays,
    Digits,
    Folder,
    HuggingFaceImages,
    ImageSource,
    NoLabels,
    ParquetImages,
    Subset,
    Unreadable,
    open_source,
    overlooked,
    places_in_whole,
    to_uint8,
    whole_of,
)
from jepakit.types import UserError

datasets.disable_progress_bars()


def write_parquet(path: Path, num: int = 6, metadata: dict[str, str] | None = None, **columns: object) -> Path:
    images = [encoded(smooth(16, 16, seed=i), "PNG") for i in range(num)]
    table = pa.table({"image": images, "label": [i % 3 for i in range(num)], **columns})
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=4)
    return path


def pixels(source: ImageSource, index: int) -> torch.Tensor:
    image = source.read(index)
    assert isinstance(image, Image.Image)
    return to_uint8(image, 3, 16)


# A folder


def test_a_folder_is_found_at_any_depth_in_a_stable_order(mixed_folder: Path) -> None:
    folder = Folder(mixed_folder)
    names = [folder.name(i) for i in range(len(folder))]
    assert len(folder) == 36
    assert names == sorted(names)
    assert "class-1/deep/01.jpg" in names
    assert folder.labels is None
    assert folder.class_names is None
    image = folder.read(names.index("class-0/00.png"))
    assert torch.equal(to_uint8(image, 3, 16), to_uint8(smooth(20, 44, seed=0), 3, 16))


def test_a_folder_per_class_gives_labels_when_asked(mixed_folder: Path) -> None:
    folder = Folder(mixed_folder, labels="folder")
    assert folder.class_names == ("class-0", "class-1", "class-2")
    assert torch.bincount(folder.labels).tolist() == [10, 16, 10]
    for i in range(len(folder)):
        assert folder.name(i).startswith(folder.class_names[int(folder.labels[i])])


def test_extensions_in_capitals_are_found_and_hidden_files_are_not(tmp_path: Path) -> None:
    smooth().save(tmp_path / "A.JPEG")
    (tmp_path / "._A.JPEG").write_bytes(b"a resource fork")
    (tmp_path / ".cache").mkdir()
    smooth().save(tmp_path / ".cache" / "thumb.png")
    assert [Folder(tmp_path).name(i) for i in range(len(Folder(tmp_path)))] == ["A.JPEG"]


def test_links_to_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    smooth().save(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "data")
    folder = Folder(tmp_path / "data")
    assert [folder.name(i) for i in range(len(folder))] == ["linked/a.png"]


def test_names_are_plain_text_whatever_they_are(tmp_path: Path) -> None:
    odd = ["<script>.png", "ünïcode 图.png", "a'b\"c&d.png"]
    for name in odd:
        smooth().save(tmp_path / name)
    with open(os.path.join(os.fsencode(tmp_path), b"bad-\xff.png"), "wb") as file:
        file.write(encoded(smooth(), "PNG"))
    folder = Folder(tmp_path)
    names = [folder.name(i) for i in range(4)]
    assert set(odd) < set(names)
    assert all(name.encode("utf-8") for name in names)
    assert all(pixels(folder, i).shape == (3, 16, 16) for i in range(4))


def test_a_file_that_goes_away_or_is_a_folder_is_unreadable(tmp_path: Path) -> None:
    smooth().save(tmp_path / "a.png")
    folder = Folder(tmp_path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(Unreadable, match=r"a\.png: the file cannot be read: No such file"):
        folder.read(0)


def test_errors_of_folders_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        Folder(tmp_path / "absent")
    with pytest.raises(UserError, match=r"looked for \.jpg .*\.webp.*, found no file at all\."):
        Folder(tmp_path)
    (tmp_path / "a.heic").write_bytes(b"")
    with pytest.raises(UserError, match=r"found 1 \.heic\."):
        Folder(tmp_path)
    smooth().save(tmp_path / "loose.png")
    with pytest.raises(NoLabels, match=r"1 of 1 lie directly in .* such as 'loose\.png'"):
        Folder(tmp_path, labels="folder")
    (tmp_path / "class").mkdir()
    smooth().save(tmp_path / "class" / "a.png")
    with pytest.raises(UserError, match=r"1 of 2 lie directly .*; move them, or .*--data\.labels none") as caught:
        Folder(tmp_path, labels="folder")
    assert not isinstance(caught.value, NoLabels)  # some are labelled: that is a fault, and no source without labels


HEADS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


def test_images_that_are_not_looked_for_are_named_by_their_kind(tmp_path: Path) -> None:
    smooth().save(tmp_path / "a.png")
    (tmp_path / "deep").mkdir()
    for name in ("b.heic", "deep/c.HEIC", "d.dng", "notes.txt", "labels.csv", "README", ".hidden.heic"):
        (tmp_path / name).write_bytes(b"BM is how this text begins")
    assert [(skip.name, skip.reason) for skip in overlooked(Folder(tmp_path))] == [
        (f"1 file in {tmp_path}", "the extension .dng is not one that is looked for"),
        (f"2 files in {tmp_path}", "the extension .heic is not one that is looked for"),
    ]
    for kind in HEADS:
        (tmp_path / "deep" / kind).write_bytes(encoded(smooth(), kind))
    os.mkfifo(tmp_path / "pipe")  # to look into it would wait for ever
    named = overlooked(Subset(Subset(Folder(tmp_path), [0]), [0]))[-1]
    assert (named.name, named.reason) == (
        f"8 files in {tmp_path}",
        f"no extension, but {len(HEADS)} of 8 looked at begin as images do",
    )


def test_no_more_than_a_hundred_files_are_looked_at(tmp_path: Path) -> None:
    smooth().save(tmp_path / "a.png")
    for i in range(130):
        (tmp_path / f"{i:03}").write_bytes(encoded(smooth(4, 4), "PNG") if i % 2 else b"text")
    (named,) = overlooked(Folder(tmp_path))
    assert (named.name, named.reason) == (
        f"130 files in {tmp_path}",
        "no extension, but 50 of 100 looked at begin as images do",
    )
    assert overlooked(Digits()) == []


# Parquet


def test_parquet_gives_images_labels_and_names(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", metadata={"classes": "cat,dog,frog"})
    source = ParquetImages(path, labels=True)
    assert len(source) == 6
    assert torch.equal(pixels(source, 5), to_uint8(smooth(16, 16, seed=5), 3, 16))
    assert source.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert source.class_names == ("cat", "dog", "frog")
    assert source.name(5) == "a.parquet row 5"
    assert ParquetImages(path).labels is None


def test_parquet_reads_hugging_faces_form_and_its_class_names(tmp_path: Path) -> None:
    images = [{"bytes": encoded(smooth(16, 16, seed=i), "PNG"), "path": f"{i}.png"} for i in range(3)]
    features = datasets.Features({"img": datasets.Image(), "fine": datasets.ClassLabel(names=["a", "b"])})
    datasets.Dataset.from_dict({"img": images, "fine": [0, 1, 1]}, features=features).to_parquet(
        tmp_path / "hf.parquet"
    )
    source = open_source(tmp_path / "hf.parquet", labels="fine")
    assert source.labels.tolist() == [0, 1, 1]
    assert source.class_names == ("a", "b")
    assert source.name(2) == "2.png"
    assert torch.equal(pixels(source, 2), to_uint8(smooth(16, 16, seed=2), 3, 16))


def test_a_folder_of_shards_is_one_source(tmp_path: Path) -> None:
    write_parquet(tmp_path / "b-1.parquet", num=2)
    write_parquet(tmp_path / "b-0.parquet", num=5)
    source = open_source(tmp_path, labels=True)
    assert isinstance(source, ParquetImages)
    assert source.labels.tolist() == [0, 1, 2, 0, 1, 0, 1]
    assert torch.equal(pixels(source, 6), to_uint8(smooth(16, 16, seed=1), 3, 16))
    pq.write_table(pa.table({"picture": [b""]}), tmp_path / "c.parquet")
    with pytest.raises(UserError, match=r"'c\.parquet' has no column 'image'"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (
            ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"),
            r"test \('test-00000.*train \('train-",
        ),
        (("cifar10_training", "cifar10_val"), r"train \('cifar10_training\.parquet'\), validation \("),
        (("part-0", "part-1-test"), r"no split named \('part-0\.parquet'\), test \("),
    ],
)
def test_files_of_several_splits_are_not_one_source(tmp_path: Path, names: tuple[str, ...], splits: str) -> None:
    for name in names:
        write_parquet(tmp_path / f"{name}.parquet", num=2)
    with pytest.raises(UserError, match=rf"several splits, {splits}.*give one of the files, or move each split"):
        open_source(tmp_path)
    assert len(open_source(tmp_path / f"{names[0]}.parquet")) == 2


def test_files_of_one_split_are_one_source(tmp_path: Path) -> None:
    for name in ("latest-test-0", "contest_testing_1", "eval2"):
        write_parquet(tmp_path / f"{name}.parquet", num=2)
    assert len(open_source(tmp_path)) == 6


def test_a_folder_as_the_hub_lays_it_out_names_where_the_tables_lie(tmp_path: Path) -> None:
    for folder in ("data", ".cache"):
        (tmp_path / folder).mkdir()
        write_parquet(tmp_path / folder / "train-00000-of-00001.parquet", num=2)
    (tmp_path / "README.md").write_text("a card")
    with pytest.raises(UserError, match=rf"found 1 \.md, 1 \.parquet; to read the tables give '{tmp_path}/data'\.$"):
        open_source(tmp_path)
    assert len(open_source(tmp_path / "data")) == 2


def test_a_parquet_source_travels_to_a_spawned_process(tmp_path: Path) -> None:
    source = ParquetImages(write_parquet(tmp_path / "a.parquet", num=50), labels=True)
    packed = pickle.dumps(source)
    assert len(packed) < 2000 + 50 * 8
    copy = pickle.loads(packed)
    assert torch.equal(pixels(copy, 49), pixels(source, 49))
    assert torch.equal(copy.labels, source.labels)


def test_text_labels_are_numbered_by_name(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", num=3, kind=["dog", "cat", "dog"])
    source = ParquetImages(path, labels="kind")
    assert source.labels.tolist() == [1, 0, 1]
    assert source.class_names == ("cat", "dog")


def test_rows_without_bytes_are_unreadable(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [encoded(smooth(), "PNG"), None, b""]}), tmp_path / "a.parquet")
    source = ParquetImages(tmp_path / "a.parquet")
    with pytest.raises(Unreadable, match=r"a\.parquet row 1: the row holds no bytes"):
        source.read(1)
    with pytest.raises(Unreadable, match=r"a\.parquet row 2: the file is empty"):
        source.read(2)


def test_errors_of_parquet_say_which_columns_there_are(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", num=2, score=[0.5, 1.5], missing=[0, None], kind=[-1, 3])
    with pytest.raises(UserError, match=r"no column 'imagee'; its columns are 'image', 'label'.* mean 'image'\?"):
        ParquetImages(path, column="imagee")
    with pytest.raises(UserError, match="does not hold encoded image bytes; those that do are 'image'"):
        ParquetImages(path, column="label")
    errors = {"score": "float", "missing": "lacks 1 of 2", "kind": "from -1 to 3", "lable": "'label'"}
    for column, message in errors.items():
        with pytest.raises(UserError, match=message) as caught:
            ParquetImages(path, labels=column)
        assert not isinstance(caught.value, NoLabels)
    with pytest.raises(UserError, match="memory; rewrite it"):
        ParquetImages(path, memory_budget=10)
    pq.write_table(pa.table({"image": [b"x"]}), path)
    with pytest.raises(NoLabels, match="has no labels: it has no column 'label' or"):
        ParquetImages(path, labels=True)
    pq.write_table(pa.table({"a": [b"x"], "b": [b"y"]}), path)
    with pytest.raises(UserError, match="no column 'image'; its columns are 'a', 'b'"):
        ParquetImages(path)
    pq.write_table(pa.table({"image": [b"x"]}).slice(0, 0), path)
    with pytest.raises(UserError, match="no rows"):
        ParquetImages(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(UserError, match="is not a readable parquet file"):
        ParquetImages(path)


def test_too_few_class_names_are_an_error(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", metadata={"classes": "cat,dog"})
    with pytest.raises(UserError, match=r"holds 2, but .* 2 classes"):
        ParquetImages(path, labels=True)


@pytest.mark.parametrize(("module", "kind"), [("pyarrow", "parquet"), ("datasets", "Hugging Face")])
def test_a_missing_extra_is_named(monkeypatch, tmp_path: Path, module: str, kind: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    source = {"pyarrow": ParquetImages, "datasets": HuggingFaceImages}[module]
    with pytest.raises(UserError, match=rf"{kind}.*pip install 'jepakit\[data\]'"):
        source(tmp_path / "a.parquet")


def test_cifar_is_read(cifar_path: Path) -> None:
    source = open_source(cifar_path, labels=True)
    assert len(source) == 10_000
    assert source.class_names[0] == "airplane"
    assert torch.bincount(source.labels).tolist() == [1000] * 10
    assert source.read(0).size == (32, 32)


# Hugging Face


def hugging_face(num: int = 4) -> datasets.Dataset:
    images = [{"bytes": encoded(smooth(16, 16, seed=i), "PNG"), "path": None} for i in range(num)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    return datasets.Dataset.from_dict({"image": images, "label": [i % 2 for i in range(num)]}, features=features)


def test_a_hugging_face_dataset_is_read_from_memory_and_from_disk(tmp_path: Path) -> None:
    dataset = hugging_face()
    dataset.save_to_disk(tmp_path / "saved")
    for source in (HuggingFaceImages(dataset, labels=True), open_source(tmp_path / "saved", labels=True)):
        assert isinstance(source, HuggingFaceImages)
        assert len(source) == 4
        assert source.labels.tolist() == [0, 1, 0, 1]
        assert source.class_names == ("cat", "dog")
        assert source.name(3) == "row 3"
        assert torch.equal(pixels(source, 3), to_uint8(smooth(16, 16, seed=3), 3, 16))
        assert torch.equal(pixels(pickle.loads(pickle.dumps(source)), 3), pixels(source, 3))
    assert HuggingFaceImages(dataset.with_format("torch")).labels is None


def test_a_hugging_face_dataset_of_paths_or_plain_bytes_is_read(tmp_path: Path) -> None:
    smooth(16, 16, seed=1).save(tmp_path / "a.png")
    paths = datasets.Dataset.from_dict({"image": [str(tmp_path / "a.png"), str(tmp_path / "b.png")]})
    source = HuggingFaceImages(paths.cast_column("image", datasets.Image()))
    assert torch.equal(pixels(source, 0), to_uint8(smooth(16, 16, seed=1), 3, 16))
    assert source.name(0).endswith("a.png")
    with pytest.raises(Unreadable, match="cannot be read: No such file"):
        source.read(1)
    plain = datasets.Dataset.from_dict({"jpg": [encoded(smooth(16, 16, seed=1), "PNG"), None]})
    source = HuggingFaceImages(plain)
    assert torch.equal(pixels(source, 0), to_uint8(smooth(16, 16, seed=1), 3, 16))
    with pytest.raises(Unreadable, match="row 1: the row holds no bytes"):
        source.read(1)


def test_errors_of_hugging_face_datasets(tmp_path: Path) -> None:
    dataset = hugging_face()
    splits = datasets.DatasetDict({"train": dataset, "test": dataset})
    splits.save_to_disk(tmp_path / "splits")
    with pytest.raises(UserError, match="dictionary of splits; choose one of 'train', 'test'"):
        HuggingFaceImages(splits)
    with pytest.raises(UserError, match=r"dictionary of splits; give the folder .*splits/test', .*splits/train'"):
        open_source(tmp_path / "splits")
    assert len(open_source(tmp_path / "splits" / "test")) == 4
    with pytest.raises(UserError, match="IterableDataset"):
        HuggingFaceImages(dataset.to_iterable_dataset())
    with pytest.raises(UserError, match=r"no column 'lable'.*mean 'label'\?"):
        HuggingFaceImages(dataset, labels="lable")
    with pytest.raises(UserError, match="no column 'image'"):
        HuggingFaceImages(dataset.remove_columns("image"))
    with pytest.raises(UserError, match="no rows"):
        HuggingFaceImages(dataset.select([]))
    with pytest.raises(UserError, match="save_to_disk"):
        HuggingFaceImages(tmp_path)


# Memory


def test_digits_are_scikit_learns() -> None:
    digits = open_source("digits")
    assert isinstance(digits, Digits)
    assert len(digits) == 1797
    assert digits.read(0).shape == (1, 8, 8)
    assert digits.read(0).dtype == torch.uint8
    raw = importlib.import_module("sklearn.datasets").load_digits()
    assert int(digits.images.max()) == 255
    assert np.abs(digits.images[:, 0].numpy() / (255 / 16) - raw.images).max() < 0.05
    assert digits.labels.tolist() == raw.target.tolist()
    assert digits.class_names == tuple("0123456789")
    assert digits.name(7) == "digits 7"


def test_arrays_of_every_shape_are_served() -> None:
    images = torch.arange(2 * 3 * 5 * 6, dtype=torch.uint8).reshape(2, 3, 5, 6)
    for form in (images, images.numpy(), images.permute(0, 2, 3, 1)):
        assert torch.equal(Arrays(form).read(1), images[1])
    assert Arrays(images[:, 0]).read(0).shape == (1, 5, 6)
    labelled = Arrays(images, labels=np.array([1, 0]), class_names=["a", "b"])
    assert labelled.labels.tolist() == [1, 0]
    assert labelled.class_names == ("a", "b")
    assert Arrays(images, labels=[0, 1]).class_names == ("0", "1")


def test_errors_of_arrays() -> None:
    images = torch.zeros(2, 3, 5, 6, dtype=torch.uint8)
    with pytest.raises(UserError, match="must be uint8"):
        Arrays(images.float())
    with pytest.raises(UserError, match=r"not \(2, 5, 5, 6\)"):
        Arrays(torch.zeros(2, 5, 5, 6, dtype=torch.uint8))
    with pytest.raises(UserError, match="2 images need as many labels"):
        Arrays(images, labels=[0])
    with pytest.raises(UserError, match=r"from 0 to 2; they must lie in \[0, 2\)"):
        Arrays(images, labels=[0, 2], class_names=["a", "b"])


# Opening and subsets


def test_every_source_keeps_the_protocol(tmp_path: Path, mixed_folder: Path) -> None:
    parquet = ParquetImages(write_parquet(tmp_path / "a.parquet"))
    for source in (Digits(), Folder(mixed_folder), parquet, HuggingFaceImages(hugging_face()), Subset(parquet, [1])):
        assert isinstance(source, ImageSource)


def test_opening_says_what_is_wrong_with_a_path(tmp_path: Path, mixed_folder: Path) -> None:
    with pytest.raises(UserError, match=r"absent' does not exist; give a folder of images, a \.parquet file or"):
        open_source(tmp_path / "absent")
    (tmp_path / "a.csv").write_text("a,b\n")
    with pytest.raises(UserError, match="is a single file"):
        open_source(tmp_path / "a.csv")
    with pytest.raises(UserError, match="folder of images without columns"):
        open_source(mixed_folder, labels="label")
    assert open_source(mixed_folder, labels=True).class_names == ("class-0", "class-1", "class-2")
    assert open_source(str(mixed_folder)).labels is None


def test_a_folder_of_images_with_a_table_beside_them_is_a_folder(mixed_folder: Path) -> None:
    write_parquet(mixed_folder / "metadata.parquet")
    assert isinstance(open_source(mixed_folder), Folder)


def test_places_in_a_part_of_a_part_are_told_in_the_whole() -> None:
    whole = Arrays(torch.zeros(9, 1, 2, 2, dtype=torch.uint8))
    part = Subset(Subset(whole, [8, 6, 4, 2]), [3, 0, 1])
    assert whole_of(part) is whole
    assert places_in_whole(part, torch.tensor([2, 0])).tolist() == [6, 2]
    assert places_in_whole(whole, torch.tensor([5])).tolist() == [5]


def test_a_subset_shows_the_chosen_images() -> None:
    digits = Digits()
    subset = Subset(Subset(digits, range(100, 200)), torch.tensor([5, 3]))
    assert len(subset) == 2
    assert torch.equal(subset.read(0), digits.read(105))
    assert subset.labels.tolist() == digits.labels[[105, 103]].tolist()
    assert subset.name(1) == "digits 103"
    assert subset.class_names == digits.class_names
    for wrong in ([-1], [1797]):
        with pytest.raises(UserError, match="give indices from 0 to 1796"):
            Subset(digits, wrong)
