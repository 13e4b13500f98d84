"""Convert what others released into our folder, and write ours in the forms that others read."""

from dataclasses import dataclass
from pathlib import Path

from jepakit.hub import EXPORTS, import_released, load
from jepakit.hub.imported import Imported
from jepakit.nearest import nearest
from jepakit.types import UserError


def import_checkpoint(
    path: Path | str, out: Path | str, *, branch: str | None = None, num_heads: int | None = None
) -> Imported:
    """Convert a file of Meta's or a folder of Hugging Face's once into a folder that every command takes.

    Args:
        path: The file (`.pth.tar`, `.pt`), or the folder with config.json and safetensors.
        out: Our folder: config.json, which tells the source, its sha256 and the branch, and model.safetensors.
        branch: Of a file of Meta's: which encoder embeds, `target_encoder` unless told otherwise, or `encoder`.
        num_heads: Heads of the encoder, where its width is none of Meta's and the file does not tell.

    Raises:
        UserError: The source cannot be read or does not fit, or `out` holds something already.
    """
    source, folder = Path(path), Path(out)
    if not source.exists():
        raise UserError(f"{path} does not exist.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{out} is a file; give a folder to write to.")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{out} holds files already; give a new folder or remove it.")
    imported = import_released(source, branch=branch, num_heads=num_heads)
    imported.save(folder)
    return imported


@dataclass(frozen=True)
class Exported:
    """Hold the files that were written."""

    files: list[Path]


def export(model: Path | str, out: Path | str, *, to: str = "hf", checkpoint: str = "last") -> Exported:
    """Write a model in a form that others read.

    Args:
        model: A run directory, or a folder that `import` or `save_pretrained` wrote.
        out: With `hf` a folder for `transformers`' `IJepaModel.from_pretrained`; with `meta` a file in the layout of
            Meta's I-JEPA.
        to: `hf`, Hugging Face's folder of the encoder, or `meta`, Meta's file of encoder, average and predictor.
        checkpoint: Of a run: `last` or `healthy`.

    Raises:
        UserError: The model cannot be read, or its networks are none that the form can hold.
    """
    if to not in EXPORTS:
        near = nearest(to, EXPORTS)
        raise UserError(
            f"There is no form {to!r}" + (f"; did you mean {near!r}?" if near else f"; known are {', '.join(EXPORTS)}.")
        )
    return Exported(EXPORTS[to](load(model, checkpoint=checkpoint).method, Path(out)))
