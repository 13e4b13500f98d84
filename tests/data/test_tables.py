"""Tables: which columns are features, what is missing, what new rows become, and what is refused in one sentence."""

import warnings
from pathlib import Path

import pytest
import torch

from jepakit.data import TableSource, open_table
from jepakit.data.table import Coding, learn_coding
from jepakit.types import UserError

ROWS = ("3.5,red,a", "1e2,blue,b", "NA,red,a", ",?,b", "inf,blue,a", "-2,green,b")
ALL = torch.arange(6)
NAN = float("nan")


def written(path: Path, rows: tuple[str, ...] = ROWS, head: str = "size,colour,label") -> Path:
    path.write_text("\n".join((head, *rows)) + "\n")
    return path


def test_numbers_and_texts_become_numbers_and_what_is_missing_stays_nan(tmp_path: Path) -> None:
    table = open_table(written(tmp_path / "t.csv"))
    coding = learn_coding(table, ALL)
    assert coding == Coding(("size", "colour"), (0, 3), ("blue", "green", "red"))
    source = TableSource(table, coding)
    expected = torch.tensor([[3.5, 2.0], [100.0, 0.0], [NAN, 2.0], [NAN, NAN], [NAN, 0.0], [-2.0, 1.0]])
    torch.testing.assert_close(source.signals[..., 0], expected, equal_nan=True)
    assert source.labels is not None and source.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert source.class_names == ("a", "b")
    assert source.channels == 2 and source.read(0).shape == (2, 1)
    assert source.name(2) == f"row 3 of {tmp_path / 't.csv'}"


def test_categories_come_from_the_rows_of_training_and_unknown_ones_are_missing(tmp_path: Path) -> None:
    table = open_table(written(tmp_path / "t.csv"))
    coding = learn_coding(table, torch.tensor([0, 1, 2, 4]))
    assert coding.categories == ("blue", "red")
    assert bool(TableSource(table, coding).signals[5, 1].isnan())
    new = open_table(written(tmp_path / "new.csv", ("blue,7", "pink,8"), "colour,size"))
    torch.testing.assert_close(
        TableSource(new, coding).signals[..., 0], torch.tensor([[7.0, 0.0], [8.0, NAN]]), equal_nan=True
    )


def test_columns_that_tell_nothing_are_left_out_and_named(tmp_path: Path) -> None:
    rows = tuple(f"{i},id{i},7,,{i % 2}" for i in range(6))
    table = open_table(written(tmp_path / "t.csv", rows, "x,id,same,empty,label"))
    said = r"'id' holds 6 texts in 6 rows; 'same' holds one value; 'empty' is empty"
    with pytest.warns(UserWarning, match=f"columns are left out: {said}"):
        assert learn_coding(table, ALL).columns == ("x",)
    with pytest.raises(UserError, match=r"'same' holds one value; leave such columns out \(--data.columns\)"):
        learn_coding(table, ALL, ("x", "same"))
    with pytest.raises(UserError, match=r"has no column 'y'; its columns are .*; did you mean|has no column 'y'"):
        learn_coding(table, ALL, ("y",))


def test_text_among_numbers_of_new_rows_is_one_sentence(tmp_path: Path) -> None:
    coding = learn_coding(open_table(written(tmp_path / "t.csv")), ALL)
    new = open_table(written(tmp_path / "new.csv", ("1,red", "big,red"), "size,colour"))
    with pytest.raises(UserError, match=r"Row 2 of .* has 'big' in column 'size', which held numbers in training"):
        TableSource(new, coding)
    with pytest.raises(UserError, match="has no column 'size'"):
        TableSource(open_table(written(tmp_path / "less.csv", ("red",), "colour")), coding)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (("0.5", "1.5", "2.5", "0.5"), "holds numbers such as 0.5, and no classes"),
        (("u", "v", "w", "x"), "has 4 classes in 4 rows"),
        (("u", "u", "u", "u"), "has 1 classes in 4 rows"),
        (("u", "v", "", "u"), "lacks 1 of 4 labels"),
    ],
)
def test_labels_that_are_no_classes_are_one_sentence(tmp_path: Path, values: tuple[str, ...], sentence: str) -> None:
    path = written(tmp_path / "t.csv", tuple(f"{i},{v}" for i, v in enumerate(values)), "x,label")
    with pytest.raises(UserError, match=sentence):
        open_table(path)
    assert open_table(path, "none").labels is None


def test_whole_numbers_are_classes_whatever_they_count_from(tmp_path: Path) -> None:
    table = open_table(written(tmp_path / "t.csv", ("1,7", "2,5", "3,7.0", "4,5"), "x,grade"), "grade")
    assert table.class_names == ("5", "7")
    assert table.labels is not None and table.labels.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("name", ["t.txt", "absent.csv", "trees"])
def test_what_is_no_table_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.txt").write_text("x")
    with pytest.raises(UserError, match=r"is no table that is read here; give a \.csv or \.parquet file, or one of"):
        open_table(tmp_path / name)


def test_bundled_sets_have_their_classes_and_diabetes_has_none() -> None:
    wine = open_table("wine")
    assert len(wine) == 178 and wine.class_names == ("class_0", "class_1", "class_2")
    assert len(wine.columns) == 13 and "target" not in wine.columns
    assert open_table("diabetes").labels is None
    digits = open_table("digits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(learn_coding(digits, torch.arange(len(digits))).columns) == 61  # three corners are never inked


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"x": [1.0, None, 3.0, 4.0], "colour": ["red", "blue", None, "red"], "label": [0, 1, 0, 1]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet")
    coding = learn_coding(table, torch.arange(4))
    expected = torch.tensor([[1.0, 1.0], [NAN, 0.0], [3.0, NAN], [4.0, 1.0]])
    torch.testing.assert_close(TableSource(table, coding).signals[..., 0], expected, equal_nan=True)
