"""Embed every image of a source: an array, a table of names, and a list of what could not be read."""

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jepakit.data import ImageSource, Skipped, open_source
from jepakit.data.reading import Decoder, decode_in_workers, default_num_workers, unreadable_sentence
from jepakit.hub import Model, load
from jepakit.storage import write_atomically
from jepakit.training.precision import choose_device
from jepakit.types import UserError

_CHUNK = 256
_HEADER = ("row", "name")
_ALONE = 1024  # images up to which starting worker processes takes longer than decoding


@dataclass(frozen=True)
class Embedded:
    """Hold embeddings (n, d), the name of each image, what was skipped, and the files that were written."""

    z: Tensor
    names: list[str]
    skipped: list[Skipped]
    files: list[Path]


def embed(
    model: Path | str, images: Path | str, out: Path | str, *, column: str | None = None, checkpoint: str = "last"
) -> Embedded:
    """Embed a folder, a table or a saved dataset of images.

    Args:
        model: A run directory or a folder written by `save_pretrained`.
        images: What to embed.
        out: `NAME.npy` writes the array and `NAME.csv` beside it with a name per row; `NAME.parquet` writes one table
            (needs the `data` extra).
        column: The column of images in a table.
        checkpoint: Of a run: `last` or `healthy`.

    Raises:
        UserError: The model or the images cannot be read, `out` has another ending, or a `NAME.csv` that `embed` did
            not write stands where the names are to go.
    """
    path = Path(out)
    if path.suffix not in (".npy", ".parquet"):
        raise UserError(f"Embeddings are written to a .npy or a .parquet file, got {str(out)!r}.")
    if path.suffix == ".parquet":
        _require_pyarrow()
    else:
        _spare_tables_of_others(path.with_suffix(".csv"))
    loaded = load(model, checkpoint=checkpoint, device=choose_device("auto"))
    z, names, skipped = _embed_source(loaded, open_source(images, column=column))
    files = _write_parquet(path, z, names) if path.suffix == ".parquet" else _write_npy(path, z, names)
    return Embedded(z, names, skipped, files)


def _embed_source(model: Model, source: ImageSource) -> tuple[Tensor, list[str], list[Skipped]]:
    """Return embeddings and names of all images that can be read, in the order of the source, and the others.

    Images are decoded and encoded a few at a time, so a source of any size will do.
    """
    decoder = Decoder(source, model.preprocess.channels, model.preprocess.image_size)
    workers = default_num_workers() if len(source) > _ALONE else 0
    parts: list[Tensor] = []
    names: list[str] = []
    skipped: list[Skipped] = []
    requests = [chunk.tolist() for chunk in torch.arange(len(source)).split(_CHUNK)]
    for pixels, ids, broken in decode_in_workers(decoder, requests, workers):
        if len(ids):
            parts.append(model.encode(pixels).cpu())
        names += [source.name(index) for index in ids]
        skipped += broken
    if not parts:
        raise UserError(unreadable_sentence(skipped, "images of the source"))
    return torch.cat(parts), names, skipped


def _write_npy(path: Path, z: Tensor, names: list[str]) -> list[Path]:
    def write_array(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, z.numpy())

    def write_names(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_HEADER)
            writer.writerows(enumerate(names))

    write_atomically(path, write_array)
    write_atomically(path.with_suffix(".csv"), write_names)
    return [path, path.with_suffix(".csv")]


def _spare_tables_of_others(path: Path) -> None:
    """Raise `UserError` where a table stands that no earlier call wrote."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        if file.readline().strip() != ",".join(_HEADER):
            raise UserError(
                f"{path} is there and was not written by embed, so the names of the rows cannot go there; "
                "give another OUT or move it."
            )


def _require_pyarrow() -> None:
    """Raise `UserError` at once where a table could not be written in the end."""
    if importlib.util.find_spec("pyarrow") is None:
        raise UserError("Writing .parquet needs pyarrow: pip install 'jepakit[data]'; or write to .npy.")


def _write_parquet(path: Path, z: Tensor, names: list[str]) -> list[Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(z.to(torch.float32).reshape(-1).numpy())
    table = pa.table({"name": names, "embedding": pa.FixedSizeListArray.from_arrays(flat, z.shape[1])})
    write_atomically(path, lambda temporary: pq.write_table(table, temporary))
    return [path]
