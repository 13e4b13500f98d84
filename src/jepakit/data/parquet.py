"""Read encoded images or sounds from parquet: a file or a folder of shards, bytes in one column, labels in another.

The encoded bytes are held in memory, where any row is at hand and forked workers share them: parquet itself can only
be read a row group at a time, which a random order would make thousands of times slower.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from jepakit.data.columns import LABEL_COLUMNS, encode_labels, encoded_column, label_column, missing_column
from jepakit.data.decode import open_image
from jepakit.data.source import Unreadable
from jepakit.types import UserError

MEMORY_BUDGET = 8 * 2**30
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


class ParquetFiles:
    """Find encoded samples in parquet; a column of Hugging Face's form {bytes, path} does as well as plain bytes.

    Args:
        path: A parquet file, or a folder whose parquet files are read one after the other in the order of their names;
            no file may be named after another split (train, validation, test) than the rest.
        column: The column of samples; by default the one of their `usual` name, else the only one that holds bytes.
        labels: A column of labels by name; True takes "label" or the like; False wants none.
        memory_budget: Most bytes of encoded samples to hold.

    Raises:
        NoLabels: `labels` is True and there is no column of them.
        UserError: pyarrow is not installed; the path is no parquet, or holds several splits; a column is absent or of
            another type; a label is wrong; the samples do not fit the budget.
    """

    usual = "image"
    instead = (
        "rewrite it with datasets.load_dataset('parquet', data_files=...).save_to_disk(FOLDER) and give that folder, "
        "which is read from disk."
    )

    def __init__(
        self,
        path: str | Path,
        column: str | None = None,
        labels: bool | str = False,
        memory_budget: int = MEMORY_BUDGET,
    ) -> None:
        self.path = Path(path)
        self._files = [_open(file) for file in _shards(self.path)]
        schema = self._files[0].schema_arrow
        where = repr(str(self.path))
        self.column = encoded_column(where, column, schema.names, _encoded_columns(schema), self.usual)
        self._check_shards(where, self.column)
        self._check_size(where, memory_budget)
        self.labels, self.class_names = None, None
        name = label_column(where, labels, schema.names)
        if name is not None:
            self._check_shards(where, name)
            values = self._read_column(name).to_pylist()
            self.labels, self.class_names = encode_labels(where, name, values, _class_names(schema.metadata, name))
        self._encoded = self._read_column(self.column)
        if not len(self._encoded):
            raise UserError(f"{where} has no rows.")

    def _check_shards(self, where: str, column: str) -> None:
        for file, shard in zip(_shards(self.path), self._files, strict=True):
            if column not in shard.schema_arrow.names:
                raise UserError(f"{where} cannot be read as one: {file.name!r} has no column {column!r}.")

    def _check_size(self, where: str, budget: int) -> None:
        size = 0
        for file in self._files:
            for group in range(file.metadata.num_row_groups):
                row_group = file.metadata.row_group(group)
                chunks = [row_group.column(i) for i in range(row_group.num_columns)]
                size += sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.split(".")[0] == self.column)
        if size > budget:
            raise UserError(
                f"{where} holds {size / 2**30:.1f} GiB of encoded {self.usual}, more than the {budget / 2**30:.1f} GiB "
                f"that are kept in memory; {self.instead}"
            )

    def _read_column(self, column: str) -> Any:
        import pyarrow as pa

        chunks = [chunk for file in self._files for chunk in file.read(columns=[column]).column(0).chunks]
        return pa.chunked_array(chunks, type=self._files[0].schema_arrow.field(column).type)

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files and samples behind where a worker process is spawned; it reads its own."""
        return {**self.__dict__, "_files": None, "_encoded": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._files = [_open(file) for file in _shards(self.path)]
        self._encoded = self._read_column(self.column)

    def __len__(self) -> int:
        return len(self._encoded)

    def encoded(self, index: int) -> bytes:
        """Return the bytes of one row. Raises `Unreadable`."""
        value = self._encoded[index].as_py()
        data: bytes | None = value["bytes"] if isinstance(value, dict) else value
        if data is None:
            raise Unreadable(self._name(index, value), "the row holds no bytes")
        return data

    def values(self, column: str) -> list[Any]:
        """Return what another column says of each row.

        Raises:
            UserError: There is no such column.
        """
        where = repr(str(self.path))
        if column not in self._files[0].schema_arrow.names:
            raise missing_column(where, column, self._files[0].schema_arrow.names)
        self._check_shards(where, column)
        return list(self._read_column(column).to_pylist())

    def name(self, index: int) -> str:
        """Return the row's own path where it has one, else the file's name and the row."""
        return self._name(index, self._encoded[index].as_py())

    def _name(self, index: int, value: Any) -> str:
        own = value.get("path") if isinstance(value, dict) else None
        return own or f"{self.path.name} row {index}"


class ParquetImages(ParquetFiles):
    """Read encoded images from parquet; see `ParquetFiles`."""

    def read(self, index: int) -> Image.Image:
        """Open the image of one row."""
        return open_image(self.encoded(index), self.name(index))


def _shards(path: Path) -> list[Path]:
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise UserError(f"The folder {str(path)!r} holds no .parquet file.")
    splits = {_split_of(file): file.name for file in reversed(files)}
    if len(splits) > 1:
        named = ", ".join(f"{split or 'no split named'} ({splits[split]!r})" for split in sorted(splits))
        raise UserError(
            f"The folder {str(path)!r} holds files of several splits, {named}; give one of the files, or move each "
            "split into a folder of its own."
        )
    return files


def _split_of(file: Path) -> str:
    """Return the split after which a file is named, as in train-00000-of-00002.parquet; "" where it names none."""
    words = re.split(r"[^a-z]+", file.stem.lower())
    return " and ".join(sorted({_SPLITS[word] for word in words if word in _SPLITS}))


def _open(path: Path) -> Any:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise UserError("Reading parquet needs pyarrow: pip install 'jepakit[data]'.") from error
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise UserError(f"The file {str(path)!r} does not exist.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{str(path)!r} is not a readable parquet file: {str(error).splitlines()[0]}") from error


def _encoded_columns(schema: Any) -> list[str]:
    """Return the columns of bytes, and those of Hugging Face's form, a struct with a field "bytes"."""
    import pyarrow as pa

    def holds_bytes(kind: Any) -> bool:
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))

    fields = [schema.field(i) for i in range(len(schema.names))]
    return [
        field.name
        for field in fields
        if holds_bytes(field.type)
        or (pa.types.is_struct(field.type) and any(f.name == "bytes" and holds_bytes(f.type) for f in field.type))
    ]


def _class_names(metadata: Mapping[bytes, bytes] | None, column: str) -> list[str] | None:
    """Read class names from a file's metadata: Hugging Face's features, or a plain "classes" list with commas."""
    metadata = metadata or {}
    if b"huggingface" in metadata:
        features = json.loads(metadata[b"huggingface"]).get("info", {}).get("features", {})
        names: list[str] | None = features.get(column, {}).get("names")
        return names
    if b"classes" in metadata and column in LABEL_COLUMNS:
        return metadata[b"classes"].decode().split(",")
    return None
