"""Read a folder of image files: nested as deep as one likes, labels only if asked for."""

import os
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from PIL import Image
from torch import Tensor

from jepakit.data.decode import EXTENSIONS, open_image
from jepakit.data.source import Unreadable
from jepakit.types import UserError


def find_images(root: Path) -> tuple[list[str], Counter[str]]:
    """List image files below a folder by relative path, sorted, and count the extensions of all other files.

    Hidden files and folders are left out; links to folders are followed, each folder once.
    """
    found: list[str] = []
    others: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        info = os.stat(folder)
        if (info.st_dev, info.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((info.st_dev, info.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for file in files:
            extension = os.path.splitext(file)[1].lower()
            if file.startswith("."):
                continue
            if extension in EXTENSIONS:
                found.append(os.path.relpath(os.path.join(folder, file), root).replace(os.sep, "/"))
            else:
                others[extension or "no extension"] += 1
    return sorted(found, key=os.fsencode), others


class Folder:
    """Read the image files below a folder, in the order of their relative paths.

    Args:
        root: The folder.
        labels: "folder" takes the folder directly below `root` as the class of each image; None wants no labels.

    Raises:
        UserError: The folder is absent or holds no image, or labels are asked for and an image lies outside of any
            class folder.
    """

    def __init__(self, root: str | Path, labels: Literal["folder"] | None = None) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise UserError(f"The folder {str(self.root)!r} does not exist; give the path of a folder of images.")
        found, others = find_images(self.root)
        if not found:
            rest = ", ".join(f"{count} {extension}" for extension, count in others.most_common(3)) or "no file at all"
            raise UserError(f"No image in {str(self.root)!r}: looked for {' '.join(EXTENSIONS)}, found {rest}.")
        # One array rather than a list: worker processes that read a list copy its memory page by page.
        self._paths = np.array([os.fsencode(path) for path in found])
        self.labels: Int[Tensor, " b"] | None = None
        self.class_names: tuple[str, ...] | None = None
        if labels is not None:
            self._label_by_folder(found)

    def _label_by_folder(self, found: list[str]) -> None:
        loose = [path for path in found if "/" not in path]
        if loose:
            raise UserError(
                f"Labels by folder need every image in a class folder, but {len(loose)} of {len(found)} lie directly "
                f"in {str(self.root)!r}, such as {loose[0]!r}; move them or ask for no labels."
            )
        classes = [path.split("/", 1)[0] for path in found]
        names = sorted(set(classes))
        number = {name: i for i, name in enumerate(names)}
        self.labels = torch.tensor([number[name] for name in classes], dtype=torch.long)
        self.class_names = tuple(names)

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, index: int) -> Image.Image:
        """Open one image from its bytes, whatever its file is called."""
        try:
            data = (self.root / os.fsdecode(bytes(self._paths[index]))).read_bytes()
        except OSError as error:
            raise Unreadable(self.name(index), f"the file cannot be read: {error.strerror}") from error
        return open_image(data, self.name(index))

    def name(self, index: int) -> str:
        """Return the path relative to the folder; bytes that are no valid text are replaced."""
        return bytes(self._paths[index]).decode("utf-8", "replace")
