"""Embed every sample of a source: an array, a table of names, and a list of what could not be read."""

import csv
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jepakit.data import Decoder, ImageDecoder, Skipped, open_source
from jepakit.data.reading import decode_in_workers, default_num_workers, unreadable_sentence
from jepakit.hub import Model, load
from jepakit.recipes.data import Data, VideoData, data_from
from jepakit.recipes.splits import decoder_of, open_whole
from jepakit.storage import write_atomically
from jepakit.training.precision import choose_device
from jepakit.types import UserError
from jepakit.views import ClipPreprocess, Preprocess

_CHUNK = 256
_HEADER = ("row", "name")
_ALONE = 1024  # samples up to which starting worker processes takes longer than decoding


@dataclass(frozen=True)
class Embedded:
    """Hold embeddings (n, d), the name of each sample, what was skipped, and the files that were written."""

    z: Tensor
    names: list[str]
    skipped: list[Skipped]
    files: list[Path]


def embed(
    model: Path | str, images: Path | str, out: Path | str, *, column: str | None = None, checkpoint: str = "last"
) -> Embedded:
    """Embed a folder, a table or a saved dataset of images, or signals or videos of the kind that a model takes.

    Of an imported model of clips each video gives one clip, from its middle, at 4 pictures a second.

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
    z, names, skipped = _embed_source(loaded, _open(loaded, images, column))
    files = _write_parquet(path, z, names) if path.suffix == ".parquet" else _write_npy(path, z, names)
    return Embedded(z, names, skipped, files)


def _open(model: Model, spec: Path | str, column: str | None) -> Decoder:
    """Open samples of the kind that a model has learned from, in the form that it takes."""
    if isinstance(model.preprocess, Preprocess):
        return ImageDecoder(open_source(spec, column=column), model.preprocess.channels, model.preprocess.image_size)
    data: Data
    if "data" in model.description:
        data = data_from(model.description["data"])
    elif isinstance(model.preprocess, ClipPreprocess):
        frame = model.preprocess.frame
        data = VideoData(train=str(spec), num_frames=model.preprocess.num_frames, stored_size=frame.image_size)
    else:
        raise UserError("How these signals are read is written in a run; give the run directory, not its model alone.")
    return decoder_of(open_whole(data, str(spec)), data, model.preprocess.channels)


def _embed_source(model: Model, decoder: Decoder) -> tuple[Tensor, list[str], list[Skipped]]:
    """Return embeddings and names of all samples that can be read, in the order of the source, and the others.

    Samples are decoded and encoded a few at a time, so a source of any size will do.
    """
    source = decoder.source
    workers = default_num_workers() if len(source) > _ALONE else 0
    parts: list[Tensor] = []
    names: list[str] = []
    skipped: list[Skipped] = []
    requests = [chunk.tolist() for chunk in torch.arange(len(source)).split(_CHUNK)]
    for content, ids, broken in decode_in_workers(decoder, requests, workers):
        if len(ids):
            parts.append(model.encode(content).cpu())
        names += [source.name(index) for index in ids]
        skipped += broken
    if not parts:
        raise UserError(unreadable_sentence(skipped, "samples of the source"))
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
