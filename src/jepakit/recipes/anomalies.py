"""Look at records and sounds with a run's masked model: what surprises it, compared with what the run held out.

What is ordinary is learned from the development part of a record, or from held-out sounds; the share of false alarms is
checked on the test part, or on the test sounds.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from jepakit.data import SignalDecoder, SignalSource, Source
from jepakit.data.audio import read_whole
from jepakit.data.record import Record, Seconds, read_record
from jepakit.evaluation.anomalies import PatchCalibration, Scored, calibrate_patches, stretches
from jepakit.evaluation.intervals import Interval, bounded, over_repeats
from jepakit.evaluation.watching import Watcher
from jepakit.recipes.data import AudioData, SeriesData
from jepakit.recipes.signal_splits import open_signals, parts_of, record_of
from jepakit.types import UserError, require

OWN_PART = "the run's own development part"
OWN_SOUNDS = "sounds that the run held out"
_WINDOWS = 4
"""As long are the pieces that are taken of held-out sounds, if they are longer: only so often one is cut off."""


@dataclass(frozen=True)
class Compared:
    """Hold what is looked at and what it is compared with.

    Args:
        record: To look at.
        clean: In which nothing is wrong.
        ordinary: What that is, in words.
        tested: In which nothing is wrong either, and which calibrates nothing; none where it is not of the run.
    """

    record: Record
    clean: Record
    ordinary: str
    tested: Record | None


@dataclass(frozen=True)
class Watched:
    """Hold a record and what is said about it.

    Args:
        record: All of it.
        lead: Its moments before the first whole patch, at which nobody looked.
        width: Moments of a patch: what is marked is marked in such stretches.
        scored: How surprising each is.
        tail: Share of clean moments that scored as much.
        marked: Which are marked.
        limit: The score that must be exceeded.
    """

    record: Record
    lead: int
    width: int
    scored: Scored
    tail: Float[Tensor, " columns"]
    marked: Bool[Tensor, " columns"]
    limit: float

    def anomalies(self) -> list[dict[str, Any]]:
        """Return what is marked, runs of neighbours joined, in the order of time."""
        return [self.told(begin, end) for begin, end in stretches(self.marked)]

    def told(self, begin: int, end: int) -> dict[str, Any]:
        """Return when a stretch of columns was, how surprising, and which channels most: those above the limit."""
        part = self.scored.row[:, begin:end].nan_to_num(nan=-torch.inf).amax(dim=1)
        order = part.argsort(descending=True).tolist()
        above = [row for row in order if float(part[row]) > self.limit] or order[:1]
        first, last = (self.lead + column * self.width for column in (begin, end))
        return {
            "from": self.record.stamps[first],
            "to": self.record.stamps[last - 1],
            "first": first,
            "last": last - 1,
            "score": float(part.max()),
            "tail": float(self.tail[begin:end].min()),
            "channels": [{"name": self.channel(row), "row": row, "score": float(part[row])} for row in above],
        }

    def channel(self, row: int) -> str:
        """Return the name of a row of patches."""
        names, rows = self.record.names, len(self.scored.row)
        return names[row] if len(names) == rows else f"band {row + 1} of {rows} from above"

    def highest(self) -> dict[str, Any]:
        """Return the most surprising moment, marked or not."""
        column = int(self.scored.score.nan_to_num(nan=-torch.inf).argmax())
        return self.told(column, column + 1)


def watch(watcher: Watcher, calibration: PatchCalibration, record: Record, rate: float) -> Watched:
    """Return how surprising each moment of a record is, and which are marked at a rate of false alarms."""
    scored = calibration.scored(watcher(record.values))
    lead = len(record) - len(scored.score) * watcher.width
    marked, tail = calibration.marked(scored.score, rate), calibration.tails(scored.score)
    return Watched(record, lead, watcher.width, scored, tail, marked, calibration.limit(rate))


def part_of(data: SeriesData, record: Record, name: str) -> Record:
    """Return one part of the record that a run has learned from: `train`, `dev` or `test`."""
    begin, end = parts_of(data, len(record))[name]
    return Record(record.values[:, begin:end], record.names, record.stamps[begin:end], record.step_s)


def record_like(path: Path, known: Record) -> Record:
    """Read a record with the channels and the pace of one that is known.

    Raises:
        UserError: It cannot be read, lacks a channel, or was measured at another pace.
    """
    record = read_record(path, known.names)
    require(
        record.step_s == known.step_s,
        f"{path} has a moment every {_pace(record)}, the record that the run learned from every {_pace(known)}; "
        "resample it.",
    )
    return record


def _pace(record: Record) -> str:
    return "row (it tells no time)" if record.step_s is None else f"{record.step_s:g} s"


def alarms(watched: Sequence[Watched], length: int) -> Interval:
    """Return the share of moments that are marked, with an interval over blocks as long as a window.

    Neighbours share windows, so blocks are counted and not moments; where all blocks are alike the interval is Wilson's
    for as many of them.
    """
    blocks = [block for one in watched for block in one.marked.split(length // one.width)]
    values = torch.tensor([float(block.float().mean()) for block in blocks], dtype=torch.double)
    if len(values) < 2 or float(values.std()) == 0.0:
        return bounded(float(values.mean()), len(values))
    found = over_repeats(values, "test items")
    return Interval(found.value, max(0.0, found.low), min(1.0, found.high), found.n, found.varies)


def compared(data: SeriesData | AudioData, path: Path, ordinary: Path | None) -> Compared:
    """Read what is to be looked at, and what it is to be compared with.

    Raises:
        UserError: Something cannot be read, or a record has other channels or another pace than that of the run.
    """
    named = str(ordinary)
    if isinstance(data, AudioData):
        record = read_whole(path, data.rate)
        if ordinary is not None:
            return Compared(record, read_whole(ordinary, data.rate), named, None)
        more = replace(data, length=_WINDOWS * data.length)
        sources = open_signals(more)
        tested = None if sources.test is None else end_to_end(sources.test, more)
        return Compared(record, end_to_end(sources.health, more), OWN_SOUNDS, tested)
    own = record_of(data)
    record = record_like(path, own)
    if ordinary is not None:
        return Compared(record, record_like(ordinary, own), named, None)
    test = part_of(data, own, "test")
    return Compared(record, part_of(data, own, "dev"), OWN_PART, test if len(test) >= data.length else None)


def end_to_end(source: Source, data: AudioData) -> Record:
    """Return sounds that training has not heard, one after the other, as one record of many windows.

    What is looked at is a file of any length, whose windows hold sound from edge to edge and overlap. A short sound by
    itself would lie in the middle of silence, in a single window: nothing would tell what is usual at its edges. Those
    that cannot be read are left out.
    """
    some = list(range(min(len(source), data.num_health)))
    sounds, *_ = SignalDecoder(cast(SignalSource, source), data.length)[some]
    whole = torch.cat([sound[:, sound.isfinite().all(dim=0)] for sound in sounds], dim=1)
    return Record(whole, ("sound",), Seconds(whole.shape[1], 1 / data.rate), 1 / data.rate)


def surprise_in_record(
    method: Any, data: SeriesData | AudioData, path: Path, ordinary: Path | None, rate: float
) -> tuple[dict[str, Any], Watched]:
    """Look at a record or a sound, and return what the report is to say of it.

    Args:
        method: The masked method, in eval mode.
        data: What the run has learned from.
        path: The record or sound to look at.
        ordinary: One in which nothing is wrong; by default what the run held out.
        rate: False alarms for each moment.

    Raises:
        UserError: Something cannot be read, is of another form or too short; or the rate is no share, or too fine.
    """
    begin = time.perf_counter()
    require(0.0 < rate < 1.0, f"A rate of false alarms is between 0 and 1, got {rate}.")
    given = compared(data, path, ordinary)
    watcher = Watcher(method, data.length)
    calibration = calibrate_patches([watcher(given.clean.values)])
    watched = watch(watcher, calibration, given.record, rate)
    told = {
        "data": str(path),
        "rate": rate,
        "ordinary": given.ordinary,
        "num_ordinary": len(calibration.ordinary),
        "moment": watched.width,
        "num_moments": int(watched.scored.score.isfinite().sum()),
        "num_marked": int(watched.marked.sum()),
        "limit": watched.limit,
        "alarms": _own_alarms(watcher, calibration, given.tested, rate),
        "anomalies": watched.anomalies(),
        "highest": watched.highest(),
        "seconds": round(time.perf_counter() - begin, 1),
    }
    return told, watched


def _own_alarms(
    watcher: Watcher, calibration: PatchCalibration, tested: Record | None, rate: float
) -> dict[str, Any] | None:
    """Return the share that is marked of what is ordinary and calibrated nothing; None where there is nothing."""
    if tested is None:
        return None
    found = alarms([watch(watcher, calibration, tested, rate)], watcher.length)
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def curves_of(watched: Watched) -> Mapping[str, NDArray[Any]]:
    """Return the arrays from which the report draws: scores by column, values by moment."""
    columns = watched.marked.numpy()
    return {
        "first": watched.lead + np.arange(len(columns)) * watched.width,
        "score": watched.scored.score.numpy(),
        "row": watched.scored.row.numpy().T,
        "marked": columns,
        "limit": np.full(len(columns), watched.limit),
        "values": watched.record.values.T.numpy(),
    }


def require_record(data: Any) -> SeriesData | AudioData:
    """Check that a run has learned from a record, whose time was divided, or from sounds.

    Raises:
        UserError: It has learned from other samples.
    """
    if isinstance(data, AudioData):
        return data
    if not isinstance(data, SeriesData) or Path(data.train).suffix.lower() == ".npz":
        raise UserError(
            "This run has learned from samples, not from a record whose later part could say what is ordinary; give a "
            "run on a .csv, .parquet or .npy record, or on sounds."
        )
    return data
