"""Lay out the directory of one run: configuration, metrics, checkpoints, artifacts, and its live lock."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from jepakit.storage.atomic import append_line, naming_folder, read_lines, read_object, write_atomically, write_json
from jepakit.storage.config import differences
from jepakit.storage.tensors import load_description, load_tensors, save_tensors
from jepakit.types import UserError


class Run:
    """Name every file of a run directory and keep its promises.

        config.json  env.json  metrics.jsonl  skipped.json  evaluation.json  report.html
        checkpoints/last/checkpoint.safetensors     model, optimizer and step, in one file, replaced by one rename
        checkpoints/healthy/checkpoint.safetensors  the latest whose verdict was not collapse
        artifacts/*.npz                             arrays for pictures

    Args:
        path: The directory; need not exist yet.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)

    def __fspath__(self) -> str:
        return str(self.path)

    def file(self, name: str) -> Path:
        """Return the path of a file of this run."""
        return self.path / name

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this run for one process; the system lets go of the lock when the process ends, however it ends.

        Raises:
            UserError: Another live process holds it, or the directory cannot be written to.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            with naming_folder(self.path):
                lock = stack.enter_context(self.file(".lock").open("a+"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(
                    f"{self.path} is in use by another process; wait for it or choose another --out."
                ) from error
            yield

    def claim(self, config: Mapping[str, Any]) -> None:
        """Write the configuration of a new run, or check that an existing one is the same.

        Raises:
            UserError: The directory holds a run with another configuration (which settings differ), or other files.
        """
        path = self.file("config.json")
        if not path.exists():
            foreign = [p.name for p in self.path.iterdir() if not p.name.startswith(".")] if self.path.exists() else []
            if foreign:
                raise UserError(f"{self.path} holds other files ({foreign[0]}, ...) and no run; choose another --out.")
            write_json(path, config)
            return
        changed = differences(self.config(), dict(config))
        if changed:
            raise UserError(
                f"{self.path} holds a run with another configuration ({'; '.join(changed[:5])}"
                f"{'; ...' if len(changed) > 5 else ''}); choose another --out or remove it."
            )

    def config(self) -> dict[str, Any]:
        """Return the stored configuration.

        Raises:
            UserError: This is no run directory, or config.json holds no settings.
        """
        if not self.file("config.json").exists():
            raise UserError(f"{self.path} is no run directory: it has no config.json.")
        return read_object(self.file("config.json"))

    def log(self, row: Mapping[str, Any]) -> None:
        """Append one row to metrics.jsonl."""
        append_line(self.file("metrics.jsonl"), dict(row))

    def metrics(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of metrics.jsonl that have a step, of one kind or all; damaged lines are left out."""
        rows = [row for row in read_lines(self.file("metrics.jsonl")) if isinstance(row.get("step"), int)]
        return [row for row in rows if kind is None or row.get("kind") == kind]

    def verdicts(self) -> list[dict[str, Any]]:
        """Return the verdicts on health, each with its step, in the order in which they were given."""
        rows = [row for row in self.metrics("health") if isinstance(row.get("verdict"), dict)]
        return [row["verdict"] | {"step": row["step"]} for row in rows]

    def rewind(self, step: int) -> None:
        """Forget the rows that a killed process logged after its last checkpoint."""
        kept = "".join(json.dumps(row) + "\n" for row in self.metrics() if row["step"] <= step)

        def write(temporary: Path) -> None:
            temporary.write_text(kept, encoding="utf-8")

        write_atomically(self.file("metrics.jsonl"), write)

    def checkpoint_path(self, name: str = "last") -> Path:
        """Return where the checkpoint `last` or `healthy` lies."""
        return self.file(f"checkpoints/{name}/checkpoint.safetensors")

    def save_checkpoint(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Replace the last checkpoint in one step."""
        path = self.checkpoint_path("last")
        _remove_stale(path)
        save_tensors(path, tensors, state)

    def mark_healthy(self) -> None:
        """Let `healthy` be the checkpoint just saved; the two share their bytes where there are hard links."""
        last, healthy = self.checkpoint_path("last"), self.checkpoint_path("healthy")

        def link(temporary: Path) -> None:
            temporary.unlink()
            try:
                os.link(last, temporary)
            except OSError:
                shutil.copyfile(last, temporary)

        _remove_stale(healthy)
        write_atomically(healthy, link)

    def load_checkpoint(self, name: str = "last") -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return tensors and state of a checkpoint, or None where none was saved."""
        path = self.checkpoint_path(name)
        return load_tensors(path) if path.exists() else None

    def checkpoint_state(self, name: str = "last") -> dict[str, Any] | None:
        """Return the state alone (the step and what else was saved with it), or None where nothing was saved."""
        path = self.checkpoint_path(name)
        return load_description(path) if path.exists() else None


def _remove_stale(path: Path) -> None:
    """Remove what a kill in the middle of a save left beside a checkpoint."""
    for stale in path.parent.glob(f".{path.name}.*.part"):
        stale.unlink(missing_ok=True)
