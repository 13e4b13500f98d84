"""Read a folder of files, of images for one: nested as deep as one likes, labels only if asked for."""

import io
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor

from jepakit.data.decode import EXTENSIONS, open_image
from jepakit.data.source import NoLabels, Skipped, Source, Subset, Unreadable, whole_of
from jepakit.types import UserError

OTHER_EXTENSIONS = (
    *(".heic", ".heif", ".jxl", ".jpx", ".svg", ".psd", ".exr", ".dcm"),
    *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"),
)
"""Extensions of images that are not read; `Folder.overlooked` says how many of each there are."""
_NUM_BARE = 100  # files without an extension whose first bytes are looked at, however many there are
_FIRST_BYTES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")


@dataclass(frozen=True)
class Found:
    """Hold what lies below a folder.

    Args:
        files: The files that were looked for, by relative path, sorted.
        others: How many other files there are of each extension; "" for those without one.
        bare: Some of the files without an extension, by relative path.
    """

    files: list[str]
    others: Counter[str]
    bare: list[str]


def find_files(root: Path, extensions: tuple[str, ...]) -> Found:
    """List the files with certain extensions below a folder and count all others, without opening any.

    Hidden files and folders are left out; links to folders are followed, each folder once.
    """
    found = Found([], Counter(), [])
    seen: set[tuple[int, int]] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        info = os.stat(folder)
        if (info.st_dev, info.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((info.st_dev, info.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        inside = "" if folder == str(root) else os.path.relpath(folder, root).replace(os.sep, "/") + "/"
        for file in sorted(files):
            extension = os.path.splitext(file)[1].lower()
            if file.startswith("."):
                continue
            if extension in extensions:
                found.files.append(inside + file)
                continue
            found.others[extension] += 1
            if not extension and len(found.bare) < _NUM_BARE:
                found.bare.append(inside + file)
    found.files.sort(key=os.fsencode)
    return found


class FolderOfFiles:
    """Find files of one kind below a folder, in the order of their relative paths; what is in them a subclass reads.

    Args:
        root: The folder.
        labels: "folder" takes the folder directly below `root` as the class of each file; None wants no labels.

    Raises:
        NoLabels: Labels are asked for and no file lies in a class folder.
        UserError: The folder is absent or holds no such file, or labels are asked for and some files lie outside of any
            class folder.
    """

    what = "image"
    extensions = EXTENSIONS

    def __init__(self, root: str | Path, labels: Literal["folder"] | None = None) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise UserError(f"The folder {str(self.root)!r} does not exist; give the path of a folder of {self.what}s.")
        found = find_files(self.root, self.extensions)
        if not found.files:
            raise UserError(_nothing_in(self.root, self.what, self.extensions, found.others))
        # One array rather than a list: worker processes that read a list copy its memory page by page.
        self._paths = np.array([os.fsencode(path) for path in found.files])
        self.others, self._bare = found.others, found.bare
        self.labels: Int[Tensor, " b"] | None = None
        self.class_names: tuple[str, ...] | None = None
        if labels is not None:
            self._label_by_folder(found.files)

    def _label_by_folder(self, found: list[str]) -> None:
        loose = [path for path in found if "/" not in path]
        if loose:
            kind = NoLabels if len(loose) == len(found) else UserError
            raise kind(
                f"Labels by folder need every {self.what} in a class folder, but {len(loose)} of {len(found)} lie "
                f"directly in {str(self.root)!r}, such as {loose[0]!r}; move them, or train without labels "
                "(--data.labels none)."
            )
        classes = [path.split("/", 1)[0] for path in found]
        names = sorted(set(classes))
        number = {name: i for i, name in enumerate(names)}
        self.labels = torch.tensor([number[name] for name in classes], dtype=torch.long)
        self.class_names = tuple(names)

    def __len__(self) -> int:
        return len(self._paths)

    def open(self, index: int) -> io.BufferedIOBase:
        """Open one file, whatever it is called. Raises `Unreadable`."""
        try:
            return (self.root / os.fsdecode(bytes(self._paths[index]))).open("rb")
        except OSError as error:
            raise Unreadable(self.name(index), f"the file cannot be read: {error.strerror}") from error

    def name(self, index: int) -> str:
        """Return the path relative to the folder; bytes that are no valid text are replaced."""
        return bytes(self._paths[index]).decode("utf-8", "replace")


class Folder(FolderOfFiles):
    """Read the image files below a folder; see `FolderOfFiles`."""

    def read(self, index: int) -> Image.Image:
        """Open one image from its bytes."""
        try:
            with self.open(index) as file:
                data = file.read()
        except OSError as error:
            raise Unreadable(self.name(index), f"the file cannot be read: {error.strerror}") from error
        return open_image(data, self.name(index))

    def overlooked(self) -> list[Skipped]:
        """Name the kinds of image files in this folder that are not looked for, with how many there are of each."""
        kinds = {
            f"the extension {extension} is not one that is looked for": count
            for extension, count in sorted(self.others.items())
            if extension in OTHER_EXTENSIONS
        }
        num_images = sum(_begins_as_image(self.root / path) for path in self._bare)
        if num_images:
            kinds[f"no extension, but {num_images} of {len(self._bare)} looked at begin as images do"] = self.others[""]
        place = os.fsencode(self.root).decode("utf-8", "replace")
        return [
            Skipped(f"{count} {'file' if count == 1 else 'files'} in {place}", reason, -1)
            for reason, count in kinds.items()
        ]


def overlooked(source: Source | Subset) -> list[Skipped]:
    """Name the kinds of image files that a source leaves out, a line a kind; only folders have such files."""
    whole = whole_of(source)
    return whole.overlooked() if isinstance(whole, Folder) else []


def _begins_as_image(path: Path) -> bool:
    """Return whether a file begins as a PNG, JPEG, GIF, TIFF, WEBP or BMP does."""
    try:
        if not path.is_file():  # to open a pipe would wait for its other end
            return False
        with path.open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    is_webp = head[:4] == b"RIFF" and head[8:] == b"WEBP"
    is_bmp = head[:2] == b"BM" and head[6:10] == bytes(4)
    return head.startswith(_FIRST_BYTES) or is_webp or is_bmp


def _nothing_in(root: Path, what: str, extensions: tuple[str, ...], others: Counter[str]) -> str:
    """Say that a folder holds no file of a kind: what else it holds, and where the tables lie if there are any."""
    rest = ", ".join(f"{count} {extension or 'without extension'}" for extension, count in others.most_common(3))
    sentence = f"No {what} in {str(root)!r}: looked for {' '.join(extensions)}, found {rest or 'no file at all'}"
    folders = sorted({path.parent.relative_to(root) for path in root.rglob("*.parquet")})
    tables = [str(root / folder) for folder in folders if not any(part.startswith(".") for part in folder.parts)]
    return f"{sentence}; to read the tables give {' or '.join(map(repr, tables[:3]))}." if tables else f"{sentence}."
