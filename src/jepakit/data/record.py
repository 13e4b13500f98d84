"""Read records of several channels over time: csv, parquet and npy; missing values stay missing.

What is done with the odd ones:

    a column of text           left out, and named in a warning; an error where it was asked for by name
    empty, NA, NaN, infinite   NaN: not measured
    stamps out of order        sorted
    uneven stamps              put on an even grid of the usual step, NaN where nothing was measured; a warning
    a channel of NaN alone     an error that names it: leave it out
"""

import datetime
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from jepakit.data.columns import missing_column
from jepakit.data.table_files import number, read_columns
from jepakit.types import Caution, UserError

TIME_COLUMNS = ("date", "time", "timestamp", "datetime", "ds")


@dataclass(frozen=True)
class Record:
    """Hold what was measured, moment by moment, at an even pace.

    Args:
        values: NaN where nothing was measured.
        names: Name of each channel.
        stamps: When each moment was, as text; its row's number where the file says no time.
        step_s: Seconds between two moments; None where the file says no time.
    """

    values: Float[Tensor, "c t"]
    names: tuple[str, ...]
    stamps: Sequence[str]
    step_s: float | None = None

    def __len__(self) -> int:
        return self.values.shape[1]

    def first(self, num: int) -> "Record":
        """Return the record's first moments."""
        return Record(self.values[:, :num], self.names, self.stamps[:num], self.step_s)


class Seconds(Sequence[str]):
    """Tell the moments of a sound in seconds, each when it is asked for: a minute has hundreds of thousands.

    Args:
        num: Moments.
        step_s: Seconds from one to the next.
    """

    def __init__(self, num: int, step_s: float) -> None:
        self.num = num
        self.step_s = step_s

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: Any) -> Any:
        """Return the moment at an index."""
        return f"{index * self.step_s:.3f} s"


def read_record(path: Path | str, columns: Sequence[str] = (), time: str | None = None) -> Record:
    """Read a record: a row a moment, a column a channel; an array is (moments,) or (moments, channels).

    Args:
        path: A .csv, .parquet or .npy file.
        columns: Channels, in this order; by default every column of numbers.
        time: The column of stamps; by default the first of `TIME_COLUMNS` that there is.

    Raises:
        UserError: The file or a column is absent, is of no such kind, or holds nothing that was measured.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{str(path)!r} does not exist or is no file; give a .csv, .parquet or .npy file.")
    kind = path.suffix.lower()
    if kind == ".npy":
        return _from_array(path, columns)
    if kind not in (".csv", ".parquet", ".pq"):
        raise UserError(f"{str(path)!r} is no record that is read here; give a .csv, .parquet or .npy file.")
    table = read_columns(path)
    stamp_column = _time_column(path, table, time)
    names = _channels(path, table, columns, stamp_column)
    values = torch.stack([_numbers(table[name]) for name in names])
    record = _on_even_grid(path, values, names, None if stamp_column is None else table[stamp_column])
    return _measured(path, record)


def _measured(path: Path, record: Record) -> Record:
    """Return a record in which every channel was measured at some time."""
    silent = [name for name, row in zip(record.names, record.values, strict=True) if not bool(row.isfinite().any())]
    if silent:
        raise UserError(
            f"In {path} nothing was measured in {', '.join(map(repr, silent))}; leave such columns out (columns=...)."
        )
    return record


def _from_array(path: Path, columns: Sequence[str]) -> Record:
    """Read an array of numbers, never a pickle."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(f"{path} is no array of numbers that numpy reads without pickle: {error}.") from error
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
        raise UserError(f"{path} holds {array.dtype} {array.shape}; a record is (moments,) or (moments, channels).")
    values = torch.from_numpy(np.atleast_2d(array.astype(np.float32).T))
    names = tuple(str(i) for i in range(len(values)))
    for name in columns:
        if name not in names:
            raise missing_column(str(path), name, names)
    chosen = [names.index(name) for name in columns] or list(range(len(names)))
    stamps = tuple(map(str, range(values.shape[1])))
    values = torch.where(values.isfinite(), values, torch.nan)[chosen]
    return _measured(path, Record(values, tuple(names[i] for i in chosen), stamps))


def _time_column(path: Path, table: dict[str, list[Any]], wanted: str | None) -> str | None:
    if wanted is not None and wanted not in table:
        raise missing_column(str(path), wanted, list(table))
    return wanted or next((name for name in table if name.lower() in TIME_COLUMNS), None)


def _channels(path: Path, table: dict[str, list[Any]], wanted: Sequence[str], stamps: str | None) -> tuple[str, ...]:
    """Return the columns that are channels; those of text are left out and named, or refused where asked for."""
    for name in wanted:
        if name not in table:
            raise missing_column(str(path), name, list(table))
        if not _is_numeric(table[name]):
            raise UserError(f"Column {name!r} of {path} holds text, and a channel holds numbers; leave it out.")
    if wanted:
        return tuple(wanted)
    candidates = [name for name in table if name != stamps]
    names = tuple(name for name in candidates if _is_numeric(table[name]))
    if not names:
        raise UserError(f"{path} has no column of numbers; its columns are {', '.join(map(repr, table))}.")
    text = [name for name in candidates if name not in names]
    if text:
        warnings.warn(f"{path}: columns of text are left out: {', '.join(map(repr, text))}.", Caution, stacklevel=3)
    return names


def _is_numeric(column: Sequence[Any]) -> bool:
    """Return whether every value is a number or missing."""
    return all(number(value) is not None for value in column)


def _numbers(column: Sequence[Any]) -> Float[Tensor, " t"]:
    values = torch.tensor([number(value) for value in column], dtype=torch.float32)
    return torch.where(values.isfinite(), values, torch.nan)


def _on_even_grid(
    path: Path, values: Float[Tensor, "c t"], names: tuple[str, ...], stamps: Sequence[Any] | None
) -> Record:
    """Return moments in the order of time at an even pace; a warning where they were uneven."""
    if stamps is None:
        return Record(values, names, tuple(map(str, range(values.shape[1]))))
    seconds = np.array([_seconds(path, stamp, row) for row, stamp in enumerate(stamps)])
    order = np.argsort(seconds, kind="stable")
    seconds, values = seconds[order], values[:, torch.from_numpy(order)]
    steps = np.diff(seconds)
    if len(steps) == 0 or not (steps > 0).any():
        return Record(values, names, tuple(str(stamps[i]) for i in order))
    step = float(np.median(steps[steps > 0]))
    if np.allclose(steps, step, rtol=1e-3, atol=0.0):
        return Record(values, names, tuple(str(stamps[i]) for i in order), step)
    place = torch.from_numpy(np.rint((seconds - seconds[0]) / step).astype(np.int64))
    num = int(place[-1]) + 1
    _refuse_sparse(path, num, len(seconds), step)
    even = torch.full((len(values), num), torch.nan)
    even[:, place] = values  # of several at one place the last stays
    num_empty = num - len(torch.unique(place))
    warnings.warn(
        f"{path}: stamps are uneven; on a grid of {step:g} s, {num_empty} of {num} moments were not measured.",
        Caution,
        stacklevel=3,
    )
    return Record(even, names, _grid_stamps(stamps, order, seconds[0], step, num), step)


def _refuse_sparse(path: Path, num: int, num_rows: int, step: float) -> None:
    """Refuse a grid of which hardly anything would be filled."""
    if num > 100 * num_rows:
        raise UserError(
            f"The stamps of {path} are too uneven: at their usual step of {step:g} s, {num} moments would hold "
            f"{num_rows} rows; resample the record first."
        )


def _grid_stamps(
    stamps: Sequence[Any], order: NDArray[np.int64], start: float, step: float, num: int
) -> tuple[str, ...]:
    """Return the stamps of an even grid in the form of the file's own: numbers, or dates."""
    first = stamps[int(order[0])]
    if isinstance(first, (int, float)) or number(first) is not None:
        return tuple(f"{start + i * step:g}" for i in range(num))
    begin = datetime.datetime.fromtimestamp(start, tz=datetime.UTC)
    return tuple(str((begin + datetime.timedelta(seconds=i * step)).replace(tzinfo=None)) for i in range(num))


def _seconds(path: Path, stamp: Any, row: int) -> float:
    """Return a stamp in seconds: a number as it is, a date and time from the beginning of 1970."""
    value = number(stamp)
    if value is not None and np.isfinite(value):
        return value
    try:
        moment = stamp if isinstance(stamp, datetime.datetime) else datetime.datetime.fromisoformat(str(stamp).strip())
    except ValueError as error:
        raise UserError(f"Row {row + 1} of {path} has the stamp {stamp!r}: no date, time or number.") from error
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()


class Windows:
    """Serve windows of a record; it has no labels.

    Args:
        record: What was measured.
        length: Moments of a window.
        starts: First moment of each window.
    """

    labels = None
    class_names = None

    def __init__(self, record: Record, length: int, starts: Int[Tensor, " b"]) -> None:
        self.record = record
        self.length = length
        self.starts = starts

    @property
    def channels(self) -> int:
        """Return how many channels the record has."""
        return len(self.record.names)

    def __len__(self) -> int:
        return len(self.starts)

    def read(self, index: int) -> Float[Tensor, "c t"]:
        """Return one window."""
        start = int(self.starts[index])
        return self.record.values[:, start : start + self.length]

    def name(self, index: int) -> str:
        """Name a window by its first and its last stamp."""
        start = int(self.starts[index])
        return f"{self.record.stamps[start]} to {self.record.stamps[start + self.length - 1]}"
