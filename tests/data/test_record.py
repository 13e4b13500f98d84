"""Records are read as they were measured: missing stays missing, time is even, and what is no record is one sentence."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from jepakit.data import Unreadable, Windows, read_record
from jepakit.data.signal import SignalDecoder
from jepakit.types import UserError

HOURS = [f"2016-07-01 {hour:02}:00:00" for hour in range(6)]


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_each_column_of_numbers_is_a_channel_and_stamps_tell_the_pace(tmp_path: Path) -> None:
    rows = [f"{stamp},{i},{10 * i}" for i, stamp in enumerate(HOURS)]
    record = read_record(written(tmp_path / "a.csv", "date,a,b", *rows))
    assert (record.names, record.step_s, len(record)) == (("a", "b"), 3600.0, 6)
    assert record.stamps[2] == HOURS[2]
    assert record.values.tolist() == [[0, 1, 2, 3, 4, 5], [0, 10, 20, 30, 40, 50]]
    assert record.first(2).values.tolist() == [[0, 1], [0, 10]]


def test_what_was_not_measured_is_nan(tmp_path: Path) -> None:
    lines = ("a,b", "1,", "NA,2", "inf,3", "nan,-inf", "?,5", "6,null")
    values = read_record(written(tmp_path / "a.csv", *lines)).values
    assert torch.equal(values.isnan().long(), torch.tensor([[0, 1, 1, 1, 1, 0], [1, 0, 0, 1, 0, 1]]))


def test_columns_of_text_are_left_out_with_a_warning_and_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "a,note,b", "1,wet,2", "2,dry,3")
    with pytest.warns(UserWarning, match="columns of text are left out: 'note'"):
        assert read_record(path).names == ("a", "b")
    assert read_record(path, columns=("b", "a")).names == ("b", "a")
    with pytest.raises(UserError, match=r"Column 'note' of .* holds text"):
        read_record(path, columns=("a", "note"))
    with pytest.raises(UserError, match="'c'"):
        read_record(path, columns=("a", "c"))


def test_stamps_out_of_order_are_sorted(tmp_path: Path) -> None:
    rows = [f"{HOURS[i]},{i}" for i in (3, 0, 2, 1)]
    record = read_record(written(tmp_path / "a.csv", "time,a", *rows))
    assert record.values.tolist() == [[0, 1, 2, 3]]
    assert record.stamps == tuple(HOURS[:4])


def test_uneven_stamps_are_put_on_an_even_grid_with_a_warning(tmp_path: Path) -> None:
    rows = [f"{HOURS[i]},{i}" for i in (0, 1, 2, 5)] + [f"{HOURS[5][:-5]}03:00,9"]  # a gap, and one moment twice
    with pytest.warns(UserWarning, match="stamps are uneven; on a grid of 3600 s, 2 of 6 moments were not measured"):
        record = read_record(written(tmp_path / "a.csv", "date,a", *rows))
    assert record.stamps == tuple(HOURS)
    torch.testing.assert_close(
        record.values, torch.tensor([[0.0, 1.0, 2.0, torch.nan, torch.nan, 9.0]]), equal_nan=True
    )


def test_numbers_are_stamps_too_and_stay_numbers_on_the_grid(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="uneven"):
        record = read_record(written(tmp_path / "a.csv", "t,a", "0,5", "0.5,6", "1.5,7", "2,8", "2.5,9"), time="t")
    assert (record.names, record.step_s) == (("a",), 0.5)
    assert record.stamps == ("0", "0.5", "1", "1.5", "2", "2.5")


def test_stamps_too_uneven_for_a_grid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too uneven: at their usual step of 1 s, 1000002 moments would hold 4 rows"):
        read_record(written(tmp_path / "a.csv", "time,a", "0,1", "1,2", "2,3", "1000001,4"))


def test_a_stamp_that_is_no_time_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Row 2 of .* has the stamp 'noon'"):
        read_record(written(tmp_path / "a.csv", "date,a", f"{HOURS[0]},1", "noon,2"))


def test_parquet_and_arrays_hold_the_same_record(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float64).reshape(6, 2)
    values[1, 0] = np.nan
    stamps = [datetime.datetime.fromisoformat(stamp) for stamp in HOURS]
    pq.write_table(pa.table({"date": stamps, "a": values[:, 0], "b": values[:, 1]}), tmp_path / "a.parquet")
    np.save(tmp_path / "a.npy", values)
    table, array = read_record(tmp_path / "a.parquet"), read_record(tmp_path / "a.npy")
    torch.testing.assert_close(table.values, torch.from_numpy(values.T).float(), equal_nan=True)
    torch.testing.assert_close(table.values, array.values, equal_nan=True)
    assert (table.step_s, array.step_s) == (3600.0, None)
    assert read_record(tmp_path / "a.npy", columns=("1",)).values.tolist() == [[1, 3, 5, 7, 9, 11]]
    np.save(tmp_path / "one.npy", np.arange(4))
    assert read_record(tmp_path / "one.npy").values.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"a,b\n1,2,3\n", "Row 2 of .* has 3 values for 2 columns"),
        ("a.csv", b"a,b\n", "has no rows of values"),
        ("a.csv", b"", "has no rows of values"),
        ("a.csv", b"a,a \n1,2\n", "names a column twice"),
        ("a.csv", b"a,b\nx,y\n", "has no column of numbers; its columns are 'a', 'b'"),
        ("a.csv", b"a,b\n1,\n2,nan\n", "nothing was measured in 'b'; leave such columns out"),
        ("a.csv", b"\xff\xfe\x00", "is no csv file in UTF-8"),
        ("a.parquet", b"PAR1", "is no parquet file"),
        ("a.npy", b"", "is no array of numbers"),
        ("a.txt", b"1\n", r"give a \.csv, \.parquet or \.npy file"),
    ],
)
def test_what_is_no_record_is_one_sentence(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_record(tmp_path / name)


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 2, 2)))
    with pytest.raises(UserError, match=r"float64 \(2, 2, 2\); a record is \(moments,\) or \(moments, channels\)"):
        read_record(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([{}], dtype=object))
    with pytest.raises(UserError, match="without pickle"):
        read_record(tmp_path / "b.npy")
    with pytest.raises(UserError, match="does not exist"):
        read_record(tmp_path / "c.npy")


def test_windows_are_stretches_of_the_record_named_by_their_ends(tmp_path: Path) -> None:
    rows = [f"{stamp},{i},{10 * i}" for i, stamp in enumerate(HOURS)]
    record = read_record(written(tmp_path / "a.csv", "date,a,b", *rows))
    windows = Windows(record, 3, torch.tensor([0, 2]))
    assert (len(windows), windows.channels, windows.labels) == (2, 2, None)
    assert windows.read(1).tolist() == [[2, 3, 4], [20, 30, 40]]
    assert windows.name(1) == f"{HOURS[2]} to {HOURS[4]}"


def test_a_window_in_which_nothing_was_measured_is_skipped(tmp_path: Path) -> None:
    record = read_record(written(tmp_path / "a.csv", "a,b", "1,2", ",", ",", "3,", ",4"))
    decoder = SignalDecoder(Windows(record, 2, torch.arange(4)), 2)
    with pytest.raises(Unreadable, match="nothing was measured"):
        decoder.decode(1)
    content, kept, skipped = decoder[[0, 1, 2, 3]]
    assert (kept, [skip.id for skip in skipped], content.shape) == ([0, 2, 3], [1], (3, 2, 2))
