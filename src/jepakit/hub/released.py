"""Recognise what others released, and import it."""

from pathlib import Path

from jepakit.hub.huggingface import import_huggingface
from jepakit.hub.imported import Imported
from jepakit.hub.meta import import_meta
from jepakit.storage import read_json
from jepakit.types import UserError, require


def is_released(path: Path) -> bool:
    """Return whether others wrote what lies there: a file, or a folder whose config.json has a `model_type`."""
    if path.is_file():
        return True
    config = path / "config.json"
    if not config.is_file():
        return False
    settings = read_json(config)
    return isinstance(settings, dict) and "model_type" in settings and "method" not in settings


def import_released(path: Path, *, branch: str | None = None, num_heads: int | None = None) -> Imported:
    """Import a file of Meta's or a folder of Hugging Face's, in eval mode.

    Args:
        path: The file or the folder.
        branch: Which of a file's encoders embeds; see `import_meta`.
        num_heads: Heads of the encoder, where the file does not tell and its width is none of Meta's.

    Raises:
        UserError: It is neither, or does not fit; the sentence says why.
    """
    if path.is_file():
        return import_meta(path, branch=branch, num_heads=num_heads)
    if not is_released(path):
        raise UserError(
            f"{path} is neither a file of weights nor a folder of Hugging Face's, whose config.json has a model_type."
        )
    require(branch is None, f"{path} is a folder of Hugging Face's, which holds one encoder, so there is no branch.")
    require(num_heads is None, f"{path} says its number of heads in config.json, so num_heads is not needed.")
    return import_huggingface(path)
