"""Read a Hugging Face dataset: an object in memory, or a folder that `save_to_disk` wrote. Nothing is downloaded."""

from pathlib import Path
from typing import Any

from PIL import Image

from jepakit.data.columns import encode_labels, encoded_column, label_column
from jepakit.data.decode import open_image
from jepakit.data.source import Unreadable
from jepakit.types import UserError


class HuggingFaceImages:
    """Read the images of a `datasets.Dataset`, from disk where it lies on disk.

    Args:
        dataset: The dataset, or the folder it was saved to.
        column: The column of images; by default "image", else the only one that can hold them.
        labels: A column of labels by name; True takes "label" or the like; False wants none.

    Raises:
        NoLabels: `labels` is True and there is no column of them.
        UserError: datasets is not installed; it is a dictionary of splits or a stream; a column is absent or of
            another type; a label is wrong.
    """

    def __init__(self, dataset: Any, column: str | None = None, labels: bool | str = False) -> None:
        try:
            import datasets
        except ImportError as error:
            raise UserError("Reading a Hugging Face dataset needs datasets: pip install 'jepakit[data]'.") from error
        where = "The dataset"
        if isinstance(dataset, str | Path):
            where = repr(str(dataset))
            dataset = _load(Path(dataset))
        if isinstance(dataset, dict):
            raise UserError(f"{where} is a dictionary of splits; choose one of {', '.join(map(repr, dataset))}.")
        if not isinstance(dataset, datasets.Dataset):
            raise UserError(f"{where} is a {type(dataset).__name__}, not a datasets.Dataset that can be indexed.")
        if not len(dataset):
            raise UserError(f"{where} has no rows.")
        kinds = (datasets.Image,)
        encoded = [
            n for n, f in dataset.features.items() if isinstance(f, kinds) or getattr(f, "dtype", "") == "binary"
        ]
        self.column = encoded_column(where, column, dataset.column_names, encoded)
        name = label_column(where, labels, dataset.column_names)
        self.labels, self.class_names = None, None
        if name is not None:
            class_names = getattr(dataset.features[name], "names", None)
            values = list(dataset.with_format(None)[name])
            self.labels, self.class_names = encode_labels(where, name, values, class_names)
        dataset = dataset.with_format(None).select_columns([self.column])
        if isinstance(dataset.features[self.column], datasets.Image):
            dataset = dataset.cast_column(self.column, datasets.Image(decode=False))
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, index: int) -> Image.Image:
        """Open the image of one row, from its bytes or else from the file it points to."""
        value = self._dataset[index][self.column]
        data = value["bytes"] if isinstance(value, dict) else value
        if data is None and isinstance(value, dict) and value.get("path"):
            try:
                data = Path(value["path"]).read_bytes()
            except OSError as error:
                raise Unreadable(self._name(index, value), f"the file cannot be read: {error.strerror}") from error
        if data is None:
            raise Unreadable(self._name(index, value), "the row holds no bytes")
        return open_image(data, self._name(index, value))

    def name(self, index: int) -> str:
        """Return the row's own path where it has one, else the row."""
        return self._name(index, self._dataset[index][self.column])

    def _name(self, index: int, value: Any) -> str:
        own = value.get("path") if isinstance(value, dict) else None
        return own or f"row {index}"


def _load(path: Path) -> Any:
    import datasets

    if (path / "dataset_dict.json").is_file():
        splits = sorted(child.name for child in path.iterdir() if (child / "state.json").is_file())
        raise UserError(
            f"{str(path)!r} is a dictionary of splits; give the folder of one of them: "
            f"{', '.join(repr(str(path / split)) for split in splits)}."
        )
    try:
        return datasets.load_from_disk(str(path))
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f"{str(path)!r} is not a folder that datasets' save_to_disk wrote: {error}") from error
