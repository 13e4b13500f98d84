"""Find out what a user's path is and open it."""

from pathlib import Path

from jepakit.data.decode import EXTENSIONS
from jepakit.data.folder import Folder, find_files
from jepakit.data.huggingface import HuggingFaceImages
from jepakit.data.memory import Digits
from jepakit.data.parquet import ParquetImages
from jepakit.data.source import ImageSource
from jepakit.types import UserError


def open_source(spec: str | Path, *, labels: bool | str = False, column: str | None = None) -> ImageSource:
    """Open a folder of images, a parquet file or folder of them, a saved Hugging Face dataset, or "digits".

    Args:
        spec: A path, or the word "digits" for scikit-learn's bundled scans.
        labels: False for none; True for those the source has: folder names, a column "label", the digits' own; a name
            for a column of that name, or "folder".
        column: The column of images in a table.

    Raises:
        NoLabels: The labels it has are asked for, and it has none.
        UserError: There is nothing at the path, nothing that can be read, or labels that are wrong.
    """
    if spec == "digits":
        return Digits()
    path = Path(spec)
    if not path.exists():
        raise UserError(f"{str(spec)!r} does not exist; give a folder of images, a .parquet file or the word 'digits'.")
    if path.is_file():
        if path.suffix.lower() not in (".parquet", ".pq"):
            raise UserError(f"{str(spec)!r} is a single file; give a folder of images, a .parquet file or 'digits'.")
        return ParquetImages(path, column=column, labels=labels)
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return HuggingFaceImages(path, column=column, labels=labels)
    if any(path.glob("*.parquet")) and not find_files(path, EXTENSIONS).files:
        return ParquetImages(path, column=column, labels=labels)
    if column is not None or labels not in (False, True, "folder"):
        raise UserError(f"{str(spec)!r} is a folder of images without columns; ask for its labels by 'folder'.")
    return Folder(path, labels="folder" if labels else None)
