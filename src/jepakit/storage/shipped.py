"""Know the models that ship with the package: run directories without what only training needs."""

from importlib import resources
from pathlib import Path

from jepakit.types import UserError

SHIPPED = ("digits", "two-rooms")
"""Names of the models that ship; each folder holds the command, the seed and the log that made it."""


def located(path: Path | str) -> Path:
    """Return the folder of a shipped model where its name is given and nothing lies at that path; else the path."""
    folder = Path(path)
    if str(path) in SHIPPED and not folder.exists():
        return Path(str(resources.files("jepakit") / "shipped" / str(path)))
    return folder


def is_shipped(path: Path | str) -> bool:
    """Return whether a path names a shipped model, in whose folder nothing is written."""
    return located(path) != Path(path)


def refuse_shipped(path: Path | str) -> None:
    """Check that a run is the user's own, since something is to be written into it.

    Raises:
        UserError: It is a model that ships.
    """
    if is_shipped(path):
        raise UserError(
            f"{path} ships with jepakit and stays as it is; its own evaluation lies in {located(path)}. Train a run to "
            "evaluate it."
        )
