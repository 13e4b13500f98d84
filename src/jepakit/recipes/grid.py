"""Compute a grid of cells, each one JSON record: a rerun computes what is missing and reads the rest."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jepakit.storage import read_json, write_json
from jepakit.types import UserError

Cell = Callable[[], Mapping[str, Any]]


def run_grid(
    cells: Mapping[str, Cell], folder: Path | str, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Return the record of every cell by name, computing those that have none yet.

    Args:
        cells: What computes each record, by name (letters, digits, `-`, `_`, `.` and `=`).
        folder: Where each record is kept as NAME.json; written whole or not at all.
        say: Told which cell begins.

    Raises:
        UserError: A name would be no plain file name.
    """
    records = {}
    for name, compute in cells.items():
        if not re.fullmatch(r"[\w.=-]+", name) or name.startswith("."):
            raise UserError(
                f"A cell's name becomes a file's, so {name!r} may hold only letters, digits, -, _, . and =."
            )
        path = Path(folder) / f"{name}.json"
        if not path.exists():
            say(f"computing {name}")
            write_json(path, dict(compute()))
        records[name] = read_json(path)
    return records
