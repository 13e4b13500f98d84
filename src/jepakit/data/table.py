"""Read tables, a row a sample: csv, parquet and scikit-learn's bundled sets; texts become categories.

What is done with the odd ones:

    empty, NA, NaN, infinite                        NaN: missing
    a column of text                                categories, counted in the order of their names
    more than 64 texts, or one of its own a row     the column is left out, and named in a warning
    one value in all rows, or none                  the same
    such a column that was asked for by name        an error
    a category that training did not see            missing

How columns become numbers is learned from the rows of training alone and kept with the run (`Coding`), so that new rows
are coded as those were.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.data.columns import encode_labels, label_column, missing_column
from jepakit.data.signal import Signals
from jepakit.data.source import NoLabels
from jepakit.data.table_files import is_missing, number, read_columns
from jepakit.types import Caution, UserError

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
_MAX_CATEGORIES = 64
_WITHOUT = "name another column (--data.labels COLUMN) or do without (--data.labels none)."


@dataclass(frozen=True)
class Table:
    """Hold the columns of a table as they were read, and the class of each row where there are classes.

    Args:
        name: What to call it.
        columns: Values by column, all of one length; the labels are not among them.
        labels: Class of each row, counted from 0.
        class_names: Name of each class.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    labels: Int[Tensor, " b"] | None = None
    class_names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True)
class Coding:
    """Say how the columns of a table become numbers.

    Args:
        columns: The features, in order.
        num_categories: How many categories each has; 0 for a number.
        categories: Their names, those of one column after those of another.
    """

    columns: tuple[str, ...]
    num_categories: tuple[int, ...]
    categories: tuple[str, ...]


def open_table(spec: Path | str, labels: str = "auto") -> Table:
    """Read a table: a .csv or .parquet file, or the name of a bundled set.

    Args:
        spec: A path, or one of `BUNDLED`; `diabetes` has no classes.
        labels: The column of classes; `auto` takes the first with a usual name, `none` has none.

    Raises:
        NoLabels: A bundled set has no classes, and a column of them is asked for.
        UserError: The file or the column of labels is absent, or holds none.
    """
    columns = _bundled(str(spec)) if str(spec) in BUNDLED else _from_file(Path(spec))
    wanted: bool | str = {"auto": True, "none": False}.get(labels, labels)
    try:
        column = label_column(str(spec), wanted, list(columns))
    except NoLabels:
        column = None
    if column is None:
        return Table(str(spec), columns)
    classes, names = encode_labels(str(spec), column, _class_texts(str(spec), column, columns[column]), None)
    rest = {name: values for name, values in columns.items() if name != column}
    if not rest:
        raise UserError(f"{spec} has no column beside that of the labels, {column!r}.")
    return Table(str(spec), rest, classes, names)


def _from_file(path: Path) -> dict[str, list[Any]]:
    if not path.is_file() or path.suffix.lower() not in (".csv", ".parquet", ".pq"):
        raise UserError(
            f"{str(path)!r} is no table that is read here; give a .csv or .parquet file, or one of "
            f"{', '.join(BUNDLED)}."
        )
    columns = read_columns(path)
    if not columns or not next(iter(columns.values())):
        raise UserError(f"{path} has no rows.")
    return columns


def _bundled(name: str) -> dict[str, list[Any]]:
    """Return one of scikit-learn's bundled sets, its classes by name in the column `target`."""
    from sklearn import datasets

    load = {
        "breast_cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
        "digits": datasets.load_digits,
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
    }[name]
    bunch = load()
    columns = {str(name): bunch.data[:, i].tolist() for i, name in enumerate(bunch.feature_names)}
    if name == "diabetes":  # its target is a number, and no class
        return columns
    return columns | {"target": [str(bunch.target_names[i]) for i in bunch.target]}


def _class_texts(where: str, column: str, values: Sequence[Any]) -> list[str | None]:
    """Return classes as texts; whole numbers are classes too, others are not."""
    texts: list[str | None] = []
    for value in values:
        as_number = None if is_missing(value) else number(value)
        if as_number is not None and as_number != round(as_number):
            raise UserError(f"Column {column!r} of {where} holds numbers such as {value}, and no classes; {_WITHOUT}")
        texts.append(None if is_missing(value) else str(value).strip() if as_number is None else f"{as_number:g}")
    num = len(set(texts) - {None})
    if num < 2 or num > len(texts) / 2:
        raise UserError(f"Column {column!r} of {where} has {num} classes in {len(texts)} rows; {_WITHOUT}")
    return texts


def learn_coding(table: Table, rows: Int[Tensor, " k"], wanted: Sequence[str] = ()) -> Coding:
    """Learn from some rows how the columns become numbers.

    Args:
        table: The table.
        rows: Those of training.
        wanted: Features, in this order; by default every column that tells rows apart.

    Raises:
        UserError: A column that was asked for is absent or tells nothing, or none is left.
    """
    absent = next((name for name in wanted if name not in table.columns), None)
    if absent is not None:
        raise missing_column(table.name, absent, list(table.columns))
    kept: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for name in wanted or table.columns:
        values = [table.columns[name][row] for row in rows.tolist()]
        categories = _categories(values)
        reason = _tells_nothing(values, categories)
        if reason is None:
            kept[name] = categories
        else:
            left_out[name] = reason
    told = "; ".join(f"{name!r} {reason}" for name, reason in left_out.items())
    if not kept or (left_out and wanted):
        raise UserError(f"{table.name}: {told}; leave such columns out (--data.columns).")
    if left_out:
        warnings.warn(f"{table.name}: columns are left out: {told}.", Caution, stacklevel=2)
    names = tuple(name for categories in kept.values() for name in categories)
    return Coding(tuple(kept), tuple(map(len, kept.values())), names)


def _categories(values: Sequence[Any]) -> list[str]:
    """Return the texts of a column by name; none where all values are numbers or missing."""
    if all(number(value) is not None for value in values):
        return []
    return sorted({str(value).strip() for value in values if not is_missing(value)})


def _tells_nothing(values: Sequence[Any], categories: Sequence[str]) -> str | None:
    """Return why a column is no feature, None where it is one."""
    num_rows = sum(not is_missing(value) for value in values)
    if len(categories) > min(_MAX_CATEGORIES, num_rows - 1) > 0:
        return f"holds {len(categories)} texts in {num_rows} rows"
    numbers = {x for x in map(number, values) if x is not None and isfinite(x)}
    num_different = len(categories or numbers)
    return {0: "is empty", 1: "holds one value"}.get(num_different)


class TableSource(Signals):
    """Serve the rows of a table as signals of one moment: a channel a feature, a category as its number from 0.

    Args:
        table: The table.
        coding: How its columns become numbers.

    Raises:
        UserError: A column is absent, or holds text where it held numbers in training.
    """

    def __init__(self, table: Table, coding: Coding) -> None:
        starts = [sum(coding.num_categories[:i]) for i in range(len(coding.columns))]
        columns = []
        for name, start, num in zip(coding.columns, starts, coding.num_categories, strict=True):
            if name not in table.columns:
                raise missing_column(table.name, name, list(table.columns))
            columns.append(_coded(table, name, coding.categories[start : start + num]))
        values = torch.tensor(columns, dtype=torch.float64).float().T
        values = torch.where(values.isfinite(), values, torch.nan)
        super().__init__(values[..., None].contiguous(), table.labels, table.class_names)
        self.table_name = table.name

    def name(self, index: int) -> str:
        """Name a row by its number, counted from 1 below the row of names."""
        return f"row {index + 1} of {self.table_name}"


def _coded(table: Table, name: str, categories: Sequence[str]) -> list[float]:
    """Return a column as numbers; a category that is not among those known is missing."""
    values = table.columns[name]
    if categories:
        place = {category: float(i) for i, category in enumerate(categories)}
        return [float("nan") if is_missing(v) else place.get(str(v).strip(), float("nan")) for v in values]
    numbers = [number(value) for value in values]
    if None in numbers:
        row = numbers.index(None)
        raise UserError(
            f"Row {row + 1} of {table.name} has {values[row]!r} in column {name!r}, which held numbers in training; "
            "mend it, or leave it empty."
        )
    return [value for value in numbers if value is not None]
