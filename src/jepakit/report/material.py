"""Read what a run directory holds, however little that is; what cannot be read becomes a sentence, never a crash."""

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from jepakit.report.wording import finite, plural
from jepakit.storage import Run

Arrays: TypeAlias = dict[str, NDArray[Any]]

ARTIFACTS: dict[str, dict[str, int]] = {
    "masks": {"image": 4, "context": 3, "targets": 4},
    "views": {"image": 4, "views": 5},
    "reconstruction": {"image": 4, "masked": 4, "predicted": 4},
    "features": {"image": 4, "pca": 4},
    "energy": {"image": 4, "energy": 3},
    "neighbours": {"query": 4, "neighbours": 5, "similarity": 2},
}
"""The arrays that each picture needs, with their number of axes; the first axis is the sample in all of them."""


@dataclass(frozen=True)
class Material:
    """Hold the readable content of one run directory.

    Args:
        path: The run directory.
        config: The resolved configuration; empty where there is none.
        env: Command and environment; empty where there is none.
        train: Rows of the training log, by rising step.
        health: Rows of the health log, by rising step.
        skipped: Files that were skipped, as (name, reason); None where no such list was written.
        evaluation: What evaluation.json holds, or None.
        failures: Contexts of steps that were not finite.
        artifacts: Arrays for pictures, by artifact.
        troubles: One sentence for each file that is there and could not be read.
    """

    path: Path
    config: dict[str, Any] = field(default_factory=dict)
    env: dict[str, Any] = field(default_factory=dict)
    train: list[dict[str, Any]] = field(default_factory=list)
    health: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[tuple[str, str]] | None = None
    evaluation: Any = None
    failures: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Arrays] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return what a person calls this run: its recipe, else its directory."""
        recipe = self.config.get("recipe")
        return recipe if isinstance(recipe, str) and recipe else self.path.resolve().name

    def section(self, key: str) -> dict[str, Any]:
        """Return a nested part of the configuration; empty where there is none."""
        value = self.config.get(key)
        return value if isinstance(value, dict) else {}

    @property
    def num_steps(self) -> int | None:
        """Return the number of steps the configuration asks for."""
        steps = finite(self.section("training").get("num_steps"))
        return None if steps is None else int(steps)

    @property
    def last_step(self) -> int | None:
        """Return the last step that was logged."""
        return max((int(row["step"]) for row in (*self.train, *self.health)), default=None)


def read(run: Run | Path | str) -> Material:
    """Read every file of a run directory that a page shows.

    Args:
        run: The run, or its directory.
    """
    run = run if isinstance(run, Run) else Run(run)
    troubles: list[str] = []
    rows = _rows(run.file("metrics.jsonl"), troubles)
    skipped = _json(run.file("skipped.json"), troubles)
    failures = [_json(path, troubles) for path in sorted(run.file("artifacts").glob("non-finite-*.json"))]
    arrays = {name: _arrays(run.file(f"artifacts/{name}.npz"), needed, troubles) for name, needed in ARTIFACTS.items()}
    return Material(
        path=run.path,
        config=_mapping(_json(run.file("config.json"), troubles)),
        env=_mapping(_json(run.file("env.json"), troubles)),
        train=_of_kind(rows, "train"),
        health=_of_kind(rows, "health"),
        skipped=_skipped(skipped) if isinstance(skipped, list) else None,
        evaluation=_json(run.file("evaluation.json"), troubles),
        failures=[_mapping(failure) for failure in failures if failure],
        artifacts={name: value for name, value in arrays.items() if value is not None},
        troubles=troubles,
    )


def _json(path: Path, troubles: list[str]) -> Any:
    """Return the content of a JSON file; None where it is missing or damaged, the latter noted."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        troubles.append(f"{path.name} could not be read: {error}.")
        return None


def _rows(path: Path, troubles: list[str]) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl that have a step, by rising step; half a last line is no row yet."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        troubles.append(f"{path.name} could not be read: {error}.")
        return []
    rows = [row for row in map(_row, lines) if row is not None]
    if len(rows) < len(lines):
        troubles.append(f"{path.name}: {len(lines) - len(rows)} of {plural(len(lines), 'row')} could not be read.")
    return sorted(rows, key=lambda row: float(row["step"]))


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and finite(row.get("step")) is not None else None


def _of_kind(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in rows if row.get("kind") == kind]


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _skipped(entries: list[Any]) -> list[tuple[str, str]]:
    return [(str(entry.get("name", "?")), str(entry.get("reason", ""))) for entry in entries if isinstance(entry, dict)]


def _arrays(path: Path, needed: dict[str, int], troubles: list[str]) -> Arrays | None:
    """Return the arrays of an npz file if all that are needed are there, well shaped and not empty."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays: Arrays = {name: stored[name] for name in stored.files}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        troubles.append(f"artifacts/{path.name} could not be read: {error}.")
        return None
    wrong = [name for name, axes in needed.items() if name not in arrays or arrays[name].ndim != axes]
    sizes = {arrays[name].shape[0] for name in needed if name in arrays and arrays[name].ndim}
    if wrong or len(sizes) != 1 or any(0 in arrays[name].shape for name in needed):
        what = f"{', '.join(wrong)} is missing or of another shape" if wrong else "its arrays are empty or do not agree"
        troubles.append(f"artifacts/{path.name} could not be shown: {what}.")
        return None
    return arrays
