"""Embed every image of a source: an array, a table of names, and a list of what could not be read."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jepakit.data import Skipped, open_source, read_all
from jepakit.hub import load
from jepakit.storage import write_atomically
from jepakit.types import UserError


@dataclass(frozen=True)
class Embedded:
    """Hold embeddings, the name of each image, and what was skipped."""

    z: Tensor
    names: list[str]
    skipped: list[Skipped]
    files: list[Path]


def embed(model: Path | str, images: Path | str, out: Path | str, *, column: str | None = None) -> Embedded:
    """Embed a folder, a table or a saved dataset of images.

    Args:
        model: A run directory or a folder written by `save_pretrained`.
        images: What to embed.
        out: `NAME.npy` writes the array and `NAME.csv` beside it with a name per row; `NAME.parquet` writes one table
            (needs the `data` extra).
        column: The column of images in a table.

    Raises:
        UserError: The model or the images cannot be read, or `out` has another ending.
    """
    path = Path(out)
    if path.suffix not in (".npy", ".parquet"):
        raise UserError(f"Embeddings are written to a .npy or a .parquet file, got {str(out)!r}.")
    loaded = load(model)
    source = open_source(images, column=column)
    preprocess = loaded.preprocess
    pixels, ids, skipped = read_all(source, preprocess.channels, preprocess.image_size)
    z = loaded.encode(pixels)
    names = [source.name(index) for index in ids.tolist()]
    files = _write_parquet(path, z, names) if path.suffix == ".parquet" else _write_npy(path, z, names)
    return Embedded(z, names, skipped, files)


def _write_npy(path: Path, z: Tensor, names: list[str]) -> list[Path]:
    def write_array(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, z.numpy())

    def write_names(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "name"])
            writer.writerows(enumerate(names))

    write_atomically(path, write_array)
    write_atomically(path.with_suffix(".csv"), write_names)
    return [path, path.with_suffix(".csv")]


def _write_parquet(path: Path, z: Tensor, names: list[str]) -> list[Path]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError("Writing .parquet needs pyarrow: pip install 'jepakit[data]'; or write to .npy.") from error
    flat = pa.array(z.to(torch.float32).reshape(-1).numpy())
    table = pa.table({"name": names, "embedding": pa.FixedSizeListArray.from_arrays(flat, z.shape[1])})
    write_atomically(path, lambda temporary: pq.write_table(table, temporary))
    return [path]
