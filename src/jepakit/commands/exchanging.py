"""Convert what others released into our folder, and write ours in the forms that others read."""

from dataclasses import dataclass
from pathlib import Path

from jepakit.hub import EXPORTS, import_released, load
from jepakit.hub.imported import Imported
from jepakit.hub.vit_names import Untold
from jepakit.nearest import nearest
from jepakit.types import UserError


def import_checkpoint(
    path: Path | str,
    out: Path | str,
    *,
    branch: str | None = None,
    num_heads: int | None = None,
    image_size: int | None = None,
    num_frames: int | None = None,
    encoder: Path | str | None = None,
) -> Imported:
    """Convert a file of Meta's or a folder of Hugging Face's once into a folder that every command takes.

    Args:
        path: The file (`.pth.tar`, `.pt`), or the folder with config.json and safetensors.
        out: Our folder: config.json, which tells the source, its sha256 and the branch, and model.safetensors.
        branch: Of a file of Meta's: which encoder embeds, `target_encoder` unless told otherwise, or `encoder`.
        num_heads: Heads of the encoder, or of a probe, where they are not Meta's and the file does not tell.
        image_size: Side of V-JEPA 2's frames, which its files do not tell; 256 unless told otherwise.
        num_frames: Frames of V-JEPA 2's clips; 16 unless told otherwise. The encoder takes any size and length, the
            predictor this one.
        encoder: Of a file that holds a probe alone: any model whose encoder it was trained on.

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
    onto = None if encoder is None else load(encoder).method
    untold = Untold(num_heads=num_heads, image_size=image_size, num_frames=num_frames)
    imported = import_released(source, untold, branch=branch, encoder=onto)
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
        out: With `hf` a folder for transformers' `from_pretrained`; with `meta` a file in the layout of Meta's.
        to: `hf`, Hugging Face's folder of an I-JEPA's encoder or of a V-JEPA 2, or `meta`, Meta's file of encoder,
            average and predictor, or `onnx`, a file of the encoder for runtimes without torch.
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
