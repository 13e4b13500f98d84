"""Open signals and divide them: a record by its time, labelled samples class by class."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from jepakit.data import SignalSource, Subset, Windows, open_labelled_signals, read_record
from jepakit.data.record import Record
from jepakit.data.signal import channels_of
from jepakit.nn import ViTConfig
from jepakit.recipes.config import SignalRecipe
from jepakit.recipes.data import AudioData, SeriesData, SignalData, TableData
from jepakit.recipes.divided import Sources, all_of, divided_by_class
from jepakit.recipes.sound_splits import divided_sounds, sounds_of
from jepakit.recipes.table_splits import fitted_table, open_rows
from jepakit.types import UserError


def open_signals(data: SignalData) -> Sources:
    """Open the signals of a run and hold out what training must not see.

    Raises:
        UserError: The file cannot be read, or there is too little in it to be divided.
    """
    if isinstance(data, TableData):
        return divided_by_class(open_rows(data), data)
    if isinstance(data, AudioData):
        return divided_sounds(data)
    if Path(data.train).suffix.lower() == ".npz":
        return divided_by_class(open_labelled_signals(data.train), data)
    return _by_time(record_of(data), data)


def open_signal_source(data: SignalData) -> SignalSource:
    """Open all signals of a file, none held out: those of a record are windows that lie end to end, all along it."""
    if isinstance(data, TableData):
        return open_rows(replace(data, labels="none"))  # new rows may have no classes
    if isinstance(data, AudioData):
        return sounds_of(data, labels=False)
    if Path(data.train).suffix.lower() == ".npz":
        return open_labelled_signals(data.train)
    record = read_record(data.train, data.columns, data.time)
    starts = window_starts(0, len(record), data.length, data.length, data.train)
    return Windows(record, data.length, starts)


def record_of(data: SeriesData) -> Record:
    """Read the record of a run, as much of it as the run looks at."""
    record = read_record(data.train, data.columns, data.time)
    return record if data.num_rows is None else record.first(data.num_rows)


def parts_of(data: SeriesData, num: int) -> dict[str, tuple[int, int]]:
    """Return the first moment and the one after the last of each part of a record of so many moments."""
    test = num - round(num * data.test_fraction)
    dev = test - round(num * data.dev_fraction)
    return {"train": (0, dev), "dev": (dev, test), "test": (test, num)}


def window_starts(begin: int, end: int, length: int, stride: int, name: str) -> Any:
    """Return the first moments of all windows that lie in a part of a record.

    Raises:
        UserError: Not one does.
    """
    if end - begin < length:
        raise UserError(
            f"A window of {length} moments does not fit into the {end - begin} that {name} has for it; take a shorter "
            "window (--data.length) or a longer record."
        )
    return torch.arange(begin, end - length + 1, stride)


def _by_time(record: Record, data: SeriesData) -> Sources:
    """Divide a record: no window of the training reaches into what choices or tests are made on."""
    parts, length = parts_of(data, len(record)), data.length
    starts = window_starts(*parts["train"], length, data.stride, f"the training part of {data.train}")
    begin, end = parts["dev"]
    stride = max(1, (end - begin - length + 1) // data.num_health)
    watched = window_starts(begin, end, length, stride, f"the development part of {data.train}")[: data.num_health]
    if len(watched) < 2:
        raise UserError(f"{data.train} is too short to hold out two windows of {length} moments for health.")
    learnt, held_out = Windows(record, length, starts), Windows(record, length, watched)
    return Sources(Subset(learnt, all_of(learnt)), Subset(held_out, all_of(held_out)))


def fitted_recipe(recipe: SignalRecipe) -> SignalRecipe:
    """Return a recipe whose method has the sizes of its data: channels and moments, and what follows from them.

    Raises:
        UserError: The file cannot be read, or the encoder's patches do not divide what signals are laid out as.
    """
    if isinstance(recipe.data, TableData):
        return fitted_table(recipe)
    method: Any = recipe.method
    sizes = {"signal_channels": channels_of(open_signal_source(recipe.data)), "length": recipe.data.length}
    if isinstance(recipe.data, AudioData):
        sizes["rate"] = recipe.data.rate
    asked = {field.name for field in fields(method.preprocess)}
    preprocess = replace(method.preprocess, **{name: size for name, size in sizes.items() if name in asked})
    encoder = method.encoder
    if isinstance(encoder, ViTConfig):
        encoder = replace(encoder, image_size=preprocess.shape)
    return replace(recipe, method=replace(method, encoder=encoder, preprocess=preprocess))
