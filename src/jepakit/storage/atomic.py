"""Replace files in one step: written under a temporary name, flushed to the disk, then renamed."""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jepakit.types import UserError

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place; on any failure `path` is as before.

    Args:
        path: The file to replace; its folder is made where missing.
        write: Receives the temporary path and writes the whole content.

    Raises:
        UserError: The disk is full or the folder cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(path)
        write(temporary)
        _flush(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _flush(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            kept = "the file that was there is untouched" if path.exists() else "nothing was written"
            raise UserError(
                f"The disk is full: {path} could not be saved ({kept}); free some space and go on."
            ) from error
        raise
    finally:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()


@contextlib.contextmanager
def naming_folder(folder: Path) -> Iterator[None]:
    """Name the folder, rather than a file of ours that nobody knows, where making one in it is not allowed.

    Raises:
        UserError: It is not allowed.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NOT_ALLOWED:
            raise UserError(f"The folder {folder} cannot be written to: {error.strerror}.") from error
        raise


def _temporary(path: Path) -> Path:
    """Make an empty file beside `path`."""
    with naming_folder(path.parent):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    return Path(name)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        UserError: The file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist.") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from error


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds.

    Raises:
        UserError: The file is missing, is no JSON, or holds another kind of value.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise UserError(f"{path} must hold a JSON object of settings, got a {type(value).__name__}.")
    return value


def append_line(path: Path, value: Any) -> None:
    """Append `value` as one line of JSON; readers ignore a last line without its line end."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects in the complete lines of a JSON-lines file; empty where there is no file.

    A damaged line is left out, as in the report, which counts them: a log is not worth a run that cannot go on.
    """
    if not path.exists():
        return []
    complete = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
    rows = [_object(line) for line in complete.split("\n")]
    return [row for row in rows if row is not None]


def _object(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
