"""Divide images into what training sees, what health is measured on, and what probes learn from and are tested on.

The test split never reaches training, and the probes see it only when a run is finished (`final`); choices are made on
the development split, which is cut from the probes' training part. Sources are divided before a single image is
decoded, so a file that cannot be read never moves another image across a border.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from jepakit.data import (
    ImageSource,
    LabelledImages,
    NoLabels,
    Skipped,
    Subset,
    open_source,
    overlooked,
    read_all,
    read_labelled,
    split,
)
from jepakit.recipes.config import ImageData
from jepakit.types import UserError

MAX_PROBE_BYTES = 16 * 2**30
"""Most bytes of decoded labelled images: probes hold them all in memory, and features beside them."""


@dataclass(frozen=True)
class Probing:
    """Hold the labelled images of the probes: a training part and the split on which they are scored."""

    train: LabelledImages
    test: LabelledImages
    split: str
    skipped: list[Skipped]


@dataclass(frozen=True)
class Sources:
    """Hold the opened sources, divided.

    Args:
        train: Images to learn from, without those held out.
        health: Held-out images without labels.
        probe: Labelled images from which the probes learn for final scores; None without labels.
        test: The labelled test split; None without labels.
        fitting: The part of `probe` from which they learn while choices are made; None without labels.
        dev: The rest of `probe`, on which choices are made; None without labels.
    """

    train: Subset
    health: Subset
    probe: ImageSource | None = None
    test: ImageSource | None = None
    fitting: Subset | None = None
    dev: Subset | None = None


def open_sources(data: ImageData) -> Sources:
    """Open the images of a run and hold out what training must not see.

    Raises:
        UserError: A source cannot be opened, is too small to be divided, or holds the test images of another one.
    """
    _refuse_leaks(data)
    whole = _open_train(data)
    test = None if data.test is None else _open_labelled(data.test, data)
    probe = None if data.probe is None else _open_labelled(data.probe, data)
    if probe is None and data.labels != "none" and whole.labels is not None:
        probe = whole
    kept = torch.arange(len(whole))
    if probe is None and test is not None:
        raise UserError(f"data.test is {data.test!r}, but there are no labels to fit probes by; give --data.probe.")
    if probe is not None and test is None:
        fit_idx, test_idx = _cut(probe, data.split_seed, test_fraction=data.test_fraction)
        kept = fit_idx if probe is whole else kept
        probe, test = Subset(probe, fit_idx), Subset(probe, test_idx)
    num_health = min(data.num_health, len(kept) // 5)
    if num_health < 2:
        raise UserError(f"{data.train} has {len(kept)} images to learn from; at least 10 are needed.")
    rest, health = split(len(kept), num_health / len(kept), data.split_seed)
    sources = Sources(Subset(whole, kept[rest]), Subset(whole, kept[health]))
    if probe is None:
        return sources
    fit_idx, dev_idx = _cut(probe, data.split_seed + 1, dev_fraction=data.dev_fraction)
    return replace(sources, probe=probe, test=test, fitting=Subset(probe, fit_idx), dev=Subset(probe, dev_idx))


def _cut(source: ImageSource, seed: int, **setting: float) -> tuple[Int[Tensor, " k"], Int[Tensor, " m"]]:
    """Split a labelled source by the one setting that is given.

    Raises:
        UserError: One of the parts would be empty; it names the setting.
    """
    ((name, fraction),) = setting.items()
    assert source.labels is not None
    try:
        return split(source.labels, fraction, seed)
    except UserError as error:
        raise UserError(f"data.{name}: {error}") from error


def _open_train(data: ImageData) -> ImageSource:
    """Open the training images, with their labels where these are to be probed by; `auto` takes those there are.

    Labels that are there and wrong are an error even so: without them no test split would be kept from training.
    """
    if data.probe is not None or data.labels == "none":
        return open_source(data.train, labels=False, column=data.column)
    if data.labels != "auto":
        return open_source(data.train, labels=data.labels, column=data.column)
    try:
        source = open_source(data.train, labels=True, column=data.column)
    except NoLabels:
        return open_source(data.train, labels=False, column=data.column)
    if source.class_names is not None and len(source.class_names) < 2:  # one folder of images is no class
        return open_source(data.train, labels=False, column=data.column)
    return source


def _open_labelled(spec: str, data: ImageData) -> ImageSource:
    """Open a labelled set of its own, whose labels are always wanted."""
    return open_source(spec, labels=True if data.labels in ("auto", "none") else data.labels, column=data.column)


def _refuse_leaks(data: ImageData) -> None:
    """Refuse paths by which training, or the probes, would see the images on which results are tested.

    Raises:
        UserError: It names the two.
    """
    name, hidden = ("test", data.test) if data.test is not None else ("probe", data.probe)
    if hidden is None:
        return
    seen = {"train": data.train} | ({"probe": data.probe} if name == "test" and data.probe is not None else {})
    for other, spec in seen.items():
        if _overlap(Path(spec).resolve(), Path(hidden).resolve()):
            raise UserError(
                f"data.{other} {spec!r} and data.{name} {hidden!r} share images, and results are tested on the latter; "
                f"give sets apart, or leave --data.{name} out and a test split is cut off before training."
            )


def _overlap(a: Path, b: Path) -> bool:
    return a == b or a in b.parents or b in a.parents


def read_health(sources: Sources, data: ImageData, channels: int, num_workers: int) -> UInt8[Tensor, "b c h w"]:
    """Decode the held-out images of the health measurements."""
    return read_all(sources.health, channels, data.stored_size, num_workers)[0]


def refuse_too_large(sources: Sources, data: ImageData, channels: int) -> None:
    """Refuse labelled images that would not fit into memory, before any is decoded.

    Raises:
        UserError: They are more than `MAX_PROBE_BYTES`; it says how many and what to do.
    """
    num = sum(len(source) for source in (sources.probe, sources.test) if source is not None)
    size = num * channels * data.stored_size**2
    if size > MAX_PROBE_BYTES:
        raise UserError(
            f"The {num} labelled images would fill {size / 2**30:.1f} GiB at {data.stored_size} x {data.stored_size} "
            f"pixels, more than the {MAX_PROBE_BYTES / 2**30:.0f} GiB that probes may take; use a smaller "
            "--data.stored-size or a smaller labelled set (--data.probe), or do without labels (--data.labels none)."
        )


def read_probing(sources: Sources, data: ImageData, channels: int, num_workers: int, *, final: bool) -> Probing | None:
    """Decode the labelled images: train and test where `final`, else train and development; None without labels.

    Raises:
        UserError: They are too many to hold in memory.
    """
    train, test = (sources.probe, sources.test) if final else (sources.fitting, sources.dev)
    if train is None or test is None:
        return None
    refuse_too_large(sources, data, channels)
    learnt, skipped = read_labelled(train, channels, data.stored_size, num_workers)
    asked, skipped_too = read_labelled(test, channels, data.stored_size, num_workers)
    asked = asked.with_classes(learnt.class_names)
    skipped += skipped_too + overlooked(train) + overlooked(test)
    return Probing(learnt, asked, "test" if final else "dev", skipped)
