"""Divide images into what training sees, what health is measured on, and what probes learn from and are tested on.

The test split never reaches training, and the probes see it only when a run is finished (`final`); choices are made on
the development split, which is cut from the probes' training part.
"""

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from jepakit.data import ImageSource, LabelledImages, Skipped, Subset, open_source, read_all, read_labelled, split
from jepakit.recipes.config import ImageData
from jepakit.types import UserError


@dataclass(frozen=True)
class Probing:
    """Hold the labelled images of the probes: a training part and the split on which they are scored."""

    train: LabelledImages
    test: LabelledImages
    split: str
    skipped: list[Skipped]


@dataclass(frozen=True)
class Sources:
    """Hold the opened sources and which of their images go where.

    Args:
        train: Images to learn from, without those held out.
        health: Held-out images without labels.
        probe: The labelled set of the probes, or None.
        test: A labelled test set of its own, or None where one is cut from `probe`.
    """

    train: ImageSource
    health: ImageSource
    probe: ImageSource | None
    test: ImageSource | None


def open_sources(data: ImageData) -> Sources:
    """Open the images of a run and hold out what training must not see.

    Raises:
        UserError: A source cannot be opened, or is too small to be divided.
    """
    labels = {"auto": True, "none": False}.get(data.labels, data.labels)
    whole = _open_with_labels(data.train, labels if data.probe is None else False, data)
    probe = whole if data.probe is None else open_source(data.probe, labels=labels or True, column=data.column)
    test = None if data.test is None else open_source(data.test, labels=labels or True, column=data.column)
    if data.probe is None and test is None and whole.labels is not None:
        kept, _ = split(whole.labels, data.test_fraction, data.split_seed)
    else:
        kept = torch.arange(len(whole))
    num_health = min(data.num_health, len(kept) // 5)
    if num_health < 2:
        raise UserError(f"{data.train} has {len(kept)} images to learn from; at least 10 are needed.")
    rest, health = split(len(kept), num_health / len(kept), data.split_seed)
    return Sources(
        train=Subset(whole, kept[rest]),
        health=Subset(whole, kept[health]),
        probe=probe if probe.labels is not None else None,
        test=test,
    )


def _open_with_labels(spec: str, labels: bool | str, data: ImageData) -> ImageSource:
    """Open the training images with their labels, or without where `auto` finds none."""
    try:
        return open_source(spec, labels=labels, column=data.column)
    except UserError:
        if data.labels != "auto" or labels is False:
            raise
        return open_source(spec, labels=False, column=data.column)


def read_health(sources: Sources, data: ImageData, channels: int, num_workers: int) -> UInt8[Tensor, "b c h w"]:
    """Decode the held-out images of the health measurements."""
    return read_all(sources.health, channels, data.stored_size, num_workers)[0]


def read_probing(sources: Sources, data: ImageData, channels: int, num_workers: int, *, final: bool) -> Probing | None:
    """Decode the labelled images: train and test where `final`, else train and development; None without labels."""
    if sources.probe is None:
        return None
    whole, skipped = read_labelled(sources.probe, channels, data.stored_size, num_workers)
    if sources.test is not None:
        train_idx = torch.arange(len(whole))
        test, skipped_test = read_labelled(sources.test, channels, data.stored_size, num_workers)
        test = test.with_classes(whole.class_names)
        skipped = skipped + skipped_test
    else:
        train_idx, test_idx = split(whole.labels, data.test_fraction, data.split_seed)
        test = whole.select(test_idx)
    if final:
        return Probing(whole.select(train_idx), test, "test", skipped)
    return _development(whole.select(train_idx), data, skipped)


def _development(train: LabelledImages, data: ImageData, skipped: list[Skipped]) -> Probing:
    """Cut the development split off the probes' training part."""
    fit_idx, dev_idx = split(train.labels, data.dev_fraction, data.split_seed + 1)
    return Probing(train.select(fit_idx), train.select(dev_idx), "dev", skipped)
