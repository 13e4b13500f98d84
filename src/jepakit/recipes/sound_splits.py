"""Open sounds and divide them: by a column where it says what the test split is, else at random, class by class."""

import warnings
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Bool
from torch import Tensor

from jepakit.data import AudioFolder, ParquetAudio, Subset, open_sounds, survey
from jepakit.random import Stream
from jepakit.recipes.data import AudioData
from jepakit.recipes.divided import Sources, cut, divided, labelled_if_asked
from jepakit.types import Caution, UserError

Sounds = AudioFolder | ParquetAudio


def sounds_of(data: AudioData, labels: bool | str) -> Sounds:
    """Open the sounds of a run, with or without their labels."""
    return open_sounds(data.train, data.rate, data.length, labels=labels, column=data.column)


def divided_sounds(data: AudioData) -> Sources:
    """Open the sounds of a run and hold out what training must not see; warn of what is odd about them.

    Raises:
        UserError: They cannot be read, a column or value is absent, or there are too few to be divided.
    """
    whole = labelled_if_asked(partial(sounds_of, data), data.labels)
    odd = survey(whole)
    if odd:
        warnings.warn(f"{data.train}: {odd}", Caution, stacklevel=2)
    is_test = _tested(whole, data)
    kept, held = (part.nonzero()[:, 0] for part in (~is_test, is_test))
    labelled = whole.labels is not None
    is_dev = torch.zeros_like(is_test) if data.group is None else _grouped(whole, data, data.group, is_test)
    shown = (~is_test & ~is_dev).nonzero()[:, 0]
    sources = divided(
        whole,
        shown,
        Subset(whole, shown) if labelled else None,
        Subset(whole, held) if labelled else None,
        data,
    )
    if data.group is None or not labelled:
        return sources
    parts = (Subset(whole, part) for part in (kept, shown, is_dev.nonzero()[:, 0]))
    probe, fitting, dev = parts
    return replace(sources, probe=probe, fitting=fitting, dev=dev)


def _tested(whole: Sounds, data: AudioData) -> Bool[Tensor, " b"]:
    """Return which sounds are the test split: those with certain values in a column, or a share of each class.

    Raises:
        UserError: There is no such column or value, or nothing is left to learn from.
    """
    is_test = torch.zeros(len(whole), dtype=torch.bool)
    if data.test_column is not None:
        values = _column(whole, data.test_column)
        for wanted in data.test_values:
            if wanted not in values:
                some = ", ".join(sorted(set(values))[:10])
                raise UserError(f"No row of {data.train} has {data.test_column} {wanted!r}; there are {some}.")
        is_test = torch.tensor([value in data.test_values for value in values])
    elif whole.labels is not None:
        is_test[cut(whole, data.split_seed, test_fraction=data.test_fraction)[1]] = True
    return is_test


def _grouped(whole: Sounds, data: AudioData, group: str, is_test: Bool[Tensor, " b"]) -> Bool[Tensor, " b"]:
    """Return which sounds are the development split: all of some groups, none of which the rest has.

    Raises:
        UserError: There is no such column, or there are too few groups.
    """
    values = _column(whole, group)
    groups = sorted({value for value, test in zip(values, is_test.tolist(), strict=True) if not test})
    num = max(1, round(data.dev_fraction * len(groups)))
    if num >= len(groups):
        raise UserError(
            f"The column {group!r} of {data.train} has {len(groups)} value(s) outside the test split, too few for "
            f"{num} to be held out; leave data.group out."
        )
    order = Stream(data.split_seed, "split/groups").permutation(0, len(groups))
    chosen = {groups[i] for i in order[:num].tolist()}
    return torch.tensor([value in chosen for value in values]) & ~is_test


def _column(whole: Sounds, name: str) -> list[str]:
    """Return what a column says of each sound, as text.

    Raises:
        UserError: There is no such column.
    """
    if not isinstance(whole, ParquetAudio):
        raise UserError(f"{str(whole.root)!r} is a folder, which has no column {name!r}; give a .parquet file with it.")
    return [str(value) for value in whole.values(name)]
