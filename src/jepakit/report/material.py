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

ARTIFACTS: dict[str, dict[str, str]] = {
    "masks": {"image": "n h w c", "context": "n gh gw", "targets": "n q gh gw"},
    "views": {"image": "n h w c", "views": "n v view_h view_w view_c"},
    "reconstruction": {"image": "n h w c", "masked": "n _ _ _", "predicted": "n _ _ _"},
    "features": {"image": "n h w c", "pca": "n gh gw 3"},
    "energy": {"image": "n h w c", "energy": "n gh gw"},
    "forecasts": {"past": "n t", "truth": "n k", "predicted": "n a k"},
    "neighbours": {"query": "n h w c", "neighbours": "n k _ _ _", "similarity": "n _"},
    "episodes": {
        "frames": "n t h w c",
        "frame_step?": "t",
        "path": "n steps 2",
        "goal": "n 2",
        "imagined": "n k 2",
        "plans?": "n p k 2",
        "plan_step?": "p",
        "elites?": "n rounds e k 2",
        "reached": "n",
    },
    "distance": {"background": "n h w c", "distance": "n gh gw", "goal": "n 2", "extent": "n 4"},
    "rollout": {"true": "n t h w c", "imagined": "n t h w c"},
    "surprise": {
        **dict.fromkeys(("episode", "frame", "score", "limit", "tail", "marked"), "m"),
        "picture": "p h w c",
        "moment": "p",
    },
    "anomalies": {**dict.fromkeys(("first", "score", "limit", "marked"), "m"), "row": "m _", "values": "t c"},
}
"""The arrays that each picture needs, with their axes: equal names in one picture are equal sizes, a number is a size,
an underscore is any; arrays with a question mark may be missing."""


WORLD_PICTURES = ("episodes", "distance", "rollout")


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
        surprise: What surprise.json holds, or None.
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
    surprise: Any = None
    failures: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Arrays] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return what a person calls this run: its recipe, else its directory."""
        recipe = self.config.get("recipe")
        return recipe if isinstance(recipe, str) and recipe else self.path.resolve().name

    @property
    def is_world(self) -> bool:
        """Return whether the run is about a world, by its evaluation, its configuration or its pictures."""
        kind = self.evaluation.get("kind") if isinstance(self.evaluation, dict) else None
        return kind == "world" or bool(self.world) or any(name in self.artifacts for name in WORLD_PICTURES)

    def section(self, key: str) -> dict[str, Any]:
        """Return a nested part of the configuration; empty where there is none."""
        value = self.config.get(key)
        return value if isinstance(value, dict) else {}

    @property
    def world(self) -> dict[str, Any]:
        """Return the world's part of the configuration; empty where a run learned from images."""
        value = self.section("data").get("world")
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
    arrays = {name: _arrays(run.file(f"artifacts/{name}.npz"), axes, troubles) for name, axes in ARTIFACTS.items()}
    return Material(
        path=run.path,
        config=_mapping(_json(run.file("config.json"), troubles)),
        env=_mapping(_json(run.file("env.json"), troubles)),
        train=_of_kind(rows, "train"),
        health=_of_kind(rows, "health"),
        skipped=_skipped(skipped) if isinstance(skipped, list) else None,
        evaluation=_json(run.file("evaluation.json"), troubles),
        surprise=_json(run.file("surprise.json"), troubles),
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


def _arrays(path: Path, axes: dict[str, str], troubles: list[str]) -> Arrays | None:
    """Return the arrays of an npz file if all that are needed are there, well shaped and not empty."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays: Arrays = {name: stored[name] for name in stored.files}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        troubles.append(f"artifacts/{path.name} could not be read: {error}.")
        return None
    what = _disagreement(arrays, axes)
    if what:
        troubles.append(f"artifacts/{path.name} could not be shown: {what}.")
        return None
    return arrays


def _disagreement(arrays: Arrays, axes: dict[str, str]) -> str:
    """Say what is wrong with arrays that are to have these axes; nothing where all is well."""
    names = {name.rstrip("?"): spec.split() for name, spec in axes.items() if name.rstrip("?") in arrays}
    absent = [name for name in axes if not name.endswith("?") and name not in arrays]
    wrong = absent + [name for name, spec in names.items() if arrays[name].ndim != len(spec)]
    if wrong:
        return f"{', '.join(wrong)} is missing or of another shape"
    sizes: dict[str, set[int]] = {}
    for name, spec in names.items():
        if arrays[name].dtype.kind not in "biuf":
            return f"{name} holds no numbers"
        for axis, size in zip(spec, arrays[name].shape, strict=True):
            sizes.setdefault(axis, {int(axis)} if axis.isdigit() else set()).add(size)
    agree = all(len(told) == 1 for axis, told in sizes.items() if axis != "_")
    return "" if agree and not any(0 in told for told in sizes.values()) else "its arrays are empty or do not agree"
