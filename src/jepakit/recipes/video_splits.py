"""Open video and divide it by file, class by class; or draw moving digits, of other writers for tests."""

from functools import partial
from pathlib import Path
from typing import Any

import torch

from jepakit.data import (
    Decoder,
    DigitClipDecoder,
    DigitClips,
    DigitPairs,
    FrameFolders,
    Subset,
    VideoDecoder,
    VideoFolder,
    VideoWindows,
    open_videos,
    places_in_whole,
    whole_of,
)
from jepakit.recipes.data import VideoData
from jepakit.recipes.divided import Sources, all_of, divided_by_class, labelled_if_asked

MOVING_DIGITS = "moving-digits"

_SCANS = {"train": (0, 1000), "dev": (1000, 1200), "test": (1200, 1797)}
"""Scanned digits, of writers that the others have not; probes learn from those of the training."""
_CLIPS = {
    "train": (0, 20_000),
    "health": (1 << 20, 0),
    "probe": (2 << 20, 2_000),
    "dev": (3 << 20, 1_000),
    "test": (4 << 20, 1_000),
}
"""First id and number of clips of moving digits; those of health are as many as the data says."""


def digit_clips(data: VideoData, split: str, part: str = "seen") -> DigitClips:
    """Return the moving digits of one split: `train`, `health`, `probe`, `dev` or `test`.

    Args:
        data: Says size, length and seed.
        split: Which; `dev` and `test` show digits of writers that none of the others shows.
        part: `seen`, `unseen speed` or `unseen pair`, as in `DigitPairs`; training sees the first alone.
    """
    first, num = _CLIPS[split]
    pairs = DigitPairs(
        seed=data.split_seed,
        part=part,
        image_size=data.stored_size,
        scale=max(1, data.stored_size // 16),
        images=_SCANS.get(split, _SCANS["train"]),
    )
    return DigitClips(pairs, data.num_frames, num or data.num_health, first)


def divided_videos(data: VideoData) -> Sources:
    """Open the videos of a run and hold out what training must not see.

    Raises:
        UserError: They cannot be read, or there are too few to be divided.
    """
    if data.train == MOVING_DIGITS:
        whole = {split: digit_clips(data, split) for split in _CLIPS}
        train, health, probe, dev = (
            Subset(whole[name], all_of(whole[name])) for name in ("train", "health", "probe", "dev")
        )
        return Sources(train, health, whole["probe"], whole["test"], probe, dev)
    files = labelled_if_asked(partial(_opened_folder, data), data.labels)
    sources = divided_by_class(files, data)
    if data.stride_s is None:
        return sources
    windows = VideoWindows(files, data.form(3).span_s, data.stride_s)
    parts: dict[str, Any] = {
        name: None if part is None else _windows_of(part, windows) for name, part in vars(sources).items()
    }
    watched = parts["health"].indices
    spread = torch.linspace(0, len(watched) - 1, min(data.num_health, len(watched))).long()
    return Sources(**parts | {"health": Subset(windows, watched[spread])})


def opened_videos(data: VideoData) -> VideoFolder | FrameFolders | DigitClips:
    """Open all videos of a folder without labels, none held out; or the moving digits on which choices are made."""
    return digit_clips(data, "dev") if data.train == MOVING_DIGITS else _opened_folder(data, labels=False)


def clip_decoder(source: Any, data: VideoData, channels: int, seed: int | None) -> Decoder:
    """Return what brings the clips of a source, or of a part of one, into the form that the data says."""
    if isinstance(whole_of(source), DigitClips):
        return DigitClipDecoder(source, channels)
    return VideoDecoder(source, data.form(channels), seed)


def _opened_folder(data: VideoData, labels: bool | str) -> VideoFolder | FrameFolders:
    index = None if data.index is None else Path(data.index)
    return open_videos(data.train, labels=labels, frame_rate=data.frame_rate, index=index)


def _windows_of(part: Any, windows: VideoWindows) -> Subset:
    """Return all windows of the videos of a part."""
    return Subset(windows, windows.of(places_in_whole(part, all_of(part))))
