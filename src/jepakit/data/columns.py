"""Choose the columns of a table of images or sounds and turn a column of labels into classes.

Shared by the parquet and the Hugging Face source, which name and type their columns alike.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.data.source import NoLabels
from jepakit.nearest import nearest
from jepakit.types import UserError

LABEL_COLUMNS = ("label", "labels", "class", "target")
_MAX_CLASSES = 1_000_000
_GO_ON = "mend them, name another column (--data.labels COLUMN), or train without labels (--data.labels none)."


def missing_column(where: str, wanted: str, columns: Sequence[str]) -> UserError:
    """Build the error for a column that is not there: which there are, and which name is nearest."""
    near = nearest(wanted, columns, cutoff=0.5)
    hint = f"; did you mean {near!r}?" if near else "."
    return UserError(
        f"{where} has no column {wanted!r}; its columns are {', '.join(map(repr, columns)) or 'none'}{hint}"
    )


def encoded_column(
    where: str, wanted: str | None, columns: Sequence[str], encoded: Sequence[str], usual: str = "image"
) -> str:
    """Return the column that holds encoded samples: the one wanted, else the usual one, else the only one of bytes.

    Args:
        where: What to call the table.
        wanted: The user's choice, if any.
        columns: All columns.
        encoded: Those whose type can hold encoded samples.
        usual: Its usual name, which says what the samples are.

    Raises:
        UserError: The column is absent, of another type, or cannot be guessed.
    """
    if wanted is None and usual not in columns and len(encoded) == 1:
        return encoded[0]
    name = wanted or usual
    if name not in columns:
        raise missing_column(where, name, columns)
    if name not in encoded:
        others = f"those that do are {', '.join(map(repr, encoded))}" if encoded else "no column does"
        raise UserError(f"Column {name!r} of {where} does not hold encoded {usual} bytes; {others}.")
    return name


def label_column(where: str, wanted: bool | str, columns: Sequence[str]) -> str | None:
    """Return the column of labels: the one named, the first of `LABEL_COLUMNS` for True, None for False.

    Raises:
        NoLabels: The labels it has are asked for, and it has none.
        UserError: The column that was named is absent.
    """
    if wanted is False:
        return None
    if isinstance(wanted, str):
        if wanted not in columns:
            raise missing_column(where, wanted, columns)
        return wanted
    found = next((name for name in LABEL_COLUMNS if name in columns), None)
    if found is None:
        raise NoLabels(
            f"{where} has no labels: it has no column {' or '.join(map(repr, LABEL_COLUMNS))}; "
            f"name one of its columns {', '.join(map(repr, columns))}."
        )
    return found


def encode_labels(
    where: str, column: str, values: Sequence[Any], class_names: Sequence[str] | None
) -> tuple[Int[Tensor, " b"], tuple[str, ...]]:
    """Return the class of each row and the class names: whole numbers stay as they are, texts are numbered by name.

    Raises:
        UserError: A label is missing, negative, without a name, or neither whole number nor text.
    """
    kinds = {type(value) for value in values}
    if type(None) in kinds:
        num = sum(value is None for value in values)
        raise UserError(f"Column {column!r} of {where} lacks {num} of {len(values)} labels; {_GO_ON}")
    if kinds <= {str}:
        names = sorted(set(values))
        number = {name: i for i, name in enumerate(names)}
        return torch.tensor([number[value] for value in values], dtype=torch.long), tuple(names)
    if not kinds <= {int, bool}:
        kind = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise UserError(f"Column {column!r} of {where} holds {kind}, and labels are whole numbers or texts; {_GO_ON}")
    lowest, highest = min(values), max(values)
    if lowest < 0 or highest >= _MAX_CLASSES:
        raise UserError(
            f"Column {column!r} of {where} goes from {lowest} to {highest}, and classes are counted from 0; {_GO_ON}"
        )
    if class_names is not None and highest >= len(class_names):
        raise UserError(
            f"Column {column!r} of {where} holds {highest}, but only {len(class_names)} classes have names; {_GO_ON}"
        )
    names = [str(i) for i in range(highest + 1)] if class_names is None else list(class_names)
    return torch.tensor(values, dtype=torch.long), tuple(names)
