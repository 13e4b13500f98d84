"""Hold what an import gives: the method, and where each of its weights came from."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from jepakit.storage import config_to_dict, save_model


@dataclass(frozen=True)
class Imported:
    """Hold a method that was imported, in eval mode.

    Args:
        method: The method.
        layout: Whose form the weights had, in words.
        files: The files that held them.
        branch: Which of a file's encoders embeds: `target_encoder`, `encoder`, or whatever the file calls it.
        left_out: What the files hold beside that and the method does not need.
    """

    method: Any
    layout: str
    files: Sequence[Path]
    branch: str
    left_out: Sequence[str] = field(default_factory=tuple)

    def description(self) -> dict[str, Any]:
        """Return what config.json says of it, without checksums, which take a while."""
        assert isinstance(self.method, nn.Module)
        source = {
            "layout": self.layout,
            "files": [file.name for file in self.files],
            "branch": self.branch,
            "left_out": list(self.left_out),
        }
        return {"format": "jepakit", "method": config_to_dict(self.method.config), "seed": 0, "imported": source}

    def save(self, folder: Path) -> None:
        """Write our folder: config.json with the sha256 of every source beside model.safetensors."""
        description = self.description()
        description["imported"]["sha256"] = {file.name: sha256(file) for file in self.files}
        save_model(folder, description, self.method.state_dict())


def sha256(path: Path) -> str:
    """Return the checksum of a file, read a part at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
