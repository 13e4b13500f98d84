"""Read the columns of csv and parquet files, for records over time and for tables alike: texts as they stand there."""

import csv
from pathlib import Path
from typing import Any

from jepakit.types import UserError

_MISSING = frozenset(("", "na", "nan", "n/a", "null", "none", "-", "?"))


def read_columns(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a .csv or .parquet file by name; those of a csv as text.

    Raises:
        UserError: The file is damaged, has no rows, or names a column twice.
    """
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)


def _read_csv(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a csv file, whose first row names them, as text."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no csv file in UTF-8: {error}.") from error
    if len(rows) < 2:
        raise UserError(f"{path} has no rows of values below the row of names.")
    names, rows = [name.strip() for name in rows[0]], rows[1:]
    uneven = next((i for i, row in enumerate(rows) if len(row) != len(names)), None)
    if uneven is not None:
        raise UserError(f"Row {uneven + 2} of {path} has {len(rows[uneven])} values for {len(names)} columns.")
    if len(set(names)) < len(names):
        raise UserError(f"{path} names a column twice: {', '.join(map(repr, names))}.")
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a parquet file."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError("Reading .parquet needs pyarrow: pip install 'jepakit[data]'.") from error
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is no parquet file: {str(error).splitlines()[0]}.") from error
    return {name: table[name].to_pylist() for name in table.column_names}


def number(value: Any) -> float | None:
    """Return a value as a number, NaN where it is missing, None where it is neither."""
    if is_missing(value):
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def is_missing(value: Any) -> bool:
    """Return whether a value stands for none: empty, NA, NaN, null, a dash or a question mark."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _MISSING)
