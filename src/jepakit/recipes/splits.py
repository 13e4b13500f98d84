"""Divide samples into what training sees, what health is measured on, and what probes learn from and are tested on.

The test split never reaches training, and the probes see it only when a run is finished (`final`); choices are made on
the development split, which is cut from the probes' training part. Sources are divided before a single sample is
decoded, so a file that cannot be read never moves another one across a border.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from jepakit.data import (
    Decoder,
    ImageDecoder,
    ImageSource,
    SignalDecoder,
    Source,
    Subset,
    open_source,
    overlooked,
    read_all,
    read_labelled,
)
from jepakit.recipes.data import Data, ImageData, VideoData
from jepakit.recipes.divided import Probing, Sources, all_of, cut, divided, labelled_if_asked
from jepakit.recipes.signal_splits import open_signal_source, open_signals
from jepakit.recipes.video_splits import clip_decoder, divided_videos, opened_videos
from jepakit.types import Content, UserError

MAX_PROBE_BYTES = 16 * 2**30
"""Most bytes of decoded labelled samples: probes hold them all in memory, and features beside them."""


def open_sources(data: Data) -> Sources:
    """Open the samples of a run and hold out what training must not see.

    Raises:
        UserError: A source cannot be opened, is too small to be divided, or holds the test samples of another one.
    """
    if isinstance(data, VideoData):
        return divided_videos(data)
    return open_images(data) if isinstance(data, ImageData) else open_signals(data)


def open_images(data: ImageData) -> Sources:
    """Open the images of a run and hold out what training must not see.

    Raises:
        UserError: A source cannot be opened, is too small to be divided, or holds the test images of another one.
    """
    _refuse_leaks(data)
    whole = _open_train(data)
    test: Source | None = None if data.test is None else _open_labelled(data.test, data)
    probe: Source | None = None if data.probe is None else _open_labelled(data.probe, data)
    if probe is None and data.labels != "none" and whole.labels is not None:
        probe = whole
    kept = all_of(whole)
    if probe is None and test is not None:
        raise UserError(f"data.test is {data.test!r}, but there are no labels to fit probes by; give --data.probe.")
    if probe is not None and test is None:
        fit_idx, test_idx = cut(probe, data.split_seed, test_fraction=data.test_fraction)
        kept = fit_idx if probe is whole else kept
        probe, test = Subset(probe, fit_idx), Subset(probe, test_idx)
    return divided(whole, kept, probe, test, data)


def _open_train(data: ImageData) -> ImageSource:
    """Open the training images, with their labels where these are to be probed by."""

    def open_with(labels: bool | str) -> ImageSource:
        return open_source(data.train, labels=labels, column=data.column)

    return open_with(False) if data.probe is not None else labelled_if_asked(open_with, data.labels)


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


def decoder_of(source: Any, data: Data, channels: int, seed: int | None = None) -> Decoder:
    """Return what brings the samples of a source into the form in which they are kept.

    Args:
        source: Where they come from.
        data: What says their size.
        channels: Of images and video; signals keep their own.
        seed: The run's seed, from which training takes clips of its videos; None takes the same clip of each always.
    """
    if isinstance(data, VideoData):
        return clip_decoder(source, data, channels, seed)
    if isinstance(data, ImageData):
        return ImageDecoder(source, channels, data.stored_size)
    return SignalDecoder(source, data.length)


def open_whole(data: Data, spec: str) -> Any:
    """Open other samples of the kind that a run has learned from, none held out."""
    if isinstance(data, VideoData):
        return opened_videos(replace(data, train=spec, index=None))  # a file holds the index of one folder
    return open_source(spec) if isinstance(data, ImageData) else open_signal_source(replace(data, train=spec))


def read_health(sources: Sources, data: Data, channels: int, num_workers: int) -> Content:
    """Decode the held-out samples of the health measurements."""
    return read_all(decoder_of(sources.health, data, channels), num_workers)[0]


def refuse_too_large(sources: Sources, data: Data, channels: int) -> None:
    """Refuse labelled samples that would not fit into memory, before any is decoded.

    Raises:
        UserError: They are more than `MAX_PROBE_BYTES`; it says how many and what to do.
    """
    num = sum(len(source) for source in (sources.probe, sources.test) if source is not None)
    size = num * decoder_of(sources.train, data, channels).void(1).nbytes
    if size > MAX_PROBE_BYTES:
        side = getattr(data, "stored_size", None)
        kind = "images" if isinstance(data, ImageData) else "clips" if isinstance(data, VideoData) else "signals"
        ways = ["a smaller --data.stored-size"] if side else []
        ways += ["a smaller labelled set (--data.probe)"] if kind == "images" else ["fewer of them"]
        raise UserError(
            f"The {num} labelled {kind} would fill {size / 2**30:.1f} GiB"
            f"{f' at {side} x {side} pixels' if side else ''}, more than the {MAX_PROBE_BYTES / 2**30:.0f} GiB that "
            f"probes may take; use {' or '.join(ways)}, or do without labels (--data.labels none)."
        )


def read_probing(sources: Sources, data: Data, channels: int, num_workers: int, *, final: bool) -> Probing | None:
    """Decode the labelled samples: train and test where `final`, else train and development; None without labels.

    Raises:
        UserError: They are too many to hold in memory.
    """
    train, test = (sources.probe, sources.test) if final else (sources.fitting, sources.dev)
    if train is None or test is None:
        return None
    refuse_too_large(sources, data, channels)
    learnt, skipped = read_labelled(decoder_of(train, data, channels), num_workers)
    asked, skipped_too = read_labelled(decoder_of(test, data, channels), num_workers)
    asked = asked.with_classes(learnt.class_names)
    skipped += skipped_too + overlooked(train) + overlooked(test)
    return Probing(learnt, asked, "test" if final else "dev", skipped)
