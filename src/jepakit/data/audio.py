"""Read sounds: files below a folder, or encoded bytes in a column of parquet; each mono, at one sampling rate.

What is done with the odd ones:

    several channels          mixed to their mean
    another sampling rate     resampled
    longer than needed        only the middle is decoded
    float samples beyond 1    scaled, so that the loudest is 1; what is not finite becomes silence
    silent, clipped           kept; `survey` counts them
    empty, nothing finite, damaged, of an absurd rate   `Unreadable`
"""

import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from jepakit.data.folder import FolderOfFiles, find_files
from jepakit.data.parquet import MEMORY_BUDGET, ParquetFiles
from jepakit.data.record import Record, Seconds
from jepakit.data.signal import fitted
from jepakit.data.source import SignalSource, Unreadable
from jepakit.types import UserError, require

SOUND_EXTENSIONS = (".wav", ".flac", ".ogg", ".mp3")
_RATES = (1_000, 400_000)
"""Sampling rates that are believed; headers may tell any, and a filter between absurd ones fills the memory."""
_MARGIN = 32
"""Samples on either side of the middle, at the lower of two rates, over which the filter of resampling reaches."""
_CLIPPED_RUN = 4
"""Samples in a row at full scale from which a sound counts as clipped."""


class _Sounds(SignalSource, Protocol):
    """Read sounds, wherever their bytes lie."""

    rate: int
    length: int

    def open(self, index: int) -> io.BufferedIOBase:
        """Open the encoded bytes of one sound. Raises `Unreadable`."""
        ...


class AudioFolder(FolderOfFiles):
    """Read the sounds below a folder.

    Args:
        root: The folder.
        rate: Samples a second of the result.
        length: Samples that are needed of each: the middle of longer ones is decoded.
        labels: As in `FolderOfFiles`.

    Raises:
        UserError: As `FolderOfFiles`, or soundfile is not installed.
    """

    what = "sound"
    extensions = SOUND_EXTENSIONS
    channels = 1

    def __init__(self, root: str | Path, rate: int, length: int, labels: Literal["folder"] | None = None) -> None:
        _check(rate, length)
        super().__init__(root, labels)
        self.rate, self.length = rate, length

    def read(self, index: int) -> Float[Tensor, "1 t"]:
        """Decode one sound. Raises `Unreadable`."""
        return read_sound(self.open(index), self.name(index), self.rate, self.length)


class ParquetAudio(ParquetFiles):
    """Read encoded sounds from parquet.

    Args:
        path: As in `ParquetFiles`.
        rate: Samples a second of the result.
        length: Samples that are needed of each.
        column: The column of sounds; by default "audio", else the only one that holds bytes.
        labels: As in `ParquetFiles`.

    Raises:
        UserError: As `ParquetFiles`, or soundfile is not installed.
    """

    usual = "audio"
    instead = "give the sounds as files in a folder, from which they are read one by one."
    channels = 1

    def __init__(
        self,
        path: str | Path,
        rate: int,
        length: int,
        column: str | None = None,
        labels: bool | str = False,
        memory_budget: int = MEMORY_BUDGET,
    ) -> None:
        _check(rate, length)
        super().__init__(path, column, labels, memory_budget)
        self.rate, self.length = rate, length

    def open(self, index: int) -> io.BufferedIOBase:
        """Open the bytes of one row. Raises `Unreadable`."""
        return io.BytesIO(self.encoded(index))

    def read(self, index: int) -> Float[Tensor, "1 t"]:
        """Decode one sound. Raises `Unreadable`."""
        return read_sound(self.open(index), self.name(index), self.rate, self.length)


def open_sounds(
    spec: str | Path, rate: int, length: int, *, labels: bool | str = False, column: str | None = None
) -> AudioFolder | ParquetAudio:
    """Open a folder of sounds, or a parquet file or a folder of them.

    Args:
        spec: The path.
        rate: Samples a second of what is read.
        length: Samples that are needed of each.
        labels: False for none; True for those the source has; a name for a column of that name, or "folder".
        column: The column of sounds in a table.

    Raises:
        NoLabels: The labels it has are asked for, and it has none.
        UserError: There is nothing at the path, nothing that can be read, or labels that are wrong.
    """
    path = Path(spec)
    is_table = path.is_file() and path.suffix.lower() in (".parquet", ".pq")
    if path.is_file() and not is_table:
        raise UserError(f"{str(spec)!r} is a single file; give a folder of sounds or a .parquet file.")
    if path.is_dir():
        is_table = any(path.glob("*.parquet")) and not find_files(path, SOUND_EXTENSIONS).files
    if is_table:
        return ParquetAudio(path, rate, length, column, labels)
    if column is not None or labels not in (False, True, "folder"):
        raise UserError(f"{str(spec)!r} is a folder of sounds without columns; ask for its labels by 'folder'.")
    return AudioFolder(path, rate, length, "folder" if labels else None)


def read_sound(file: io.BufferedIOBase, name: str, rate: int, length: int) -> Float[Tensor, "1 t"]:
    """Decode the middle of one sound, and a little around it: mono, in [-1, 1].

    Args:
        file: The encoded bytes; closed thereafter.
        name: What to call the sound if it is unreadable.
        rate: Samples a second of the result.
        length: Samples that are needed.

    Raises:
        Unreadable: It is empty, damaged, holds nothing finite, or tells an absurd sampling rate.
    """
    samples, own = _decode(file, name, rate, length)
    if not samples.size:
        raise Unreadable(name, "it is empty")
    finite = np.isfinite(samples)
    if not finite.any():
        raise Unreadable(name, "it holds no finite sample")
    mono = np.where(finite, samples, 0.0).astype(np.float64).mean(axis=1)
    mono /= max(1.0, float(np.abs(mono).max()))
    return torch.from_numpy(resampled(mono, own, rate).astype(np.float32))[None]


def read_sounds(paths: Sequence[str | Path], rate: int, length: int) -> Float[Tensor, "b 1 t"]:
    """Decode files, one sound each, cut or filled to one length as `SignalDecoder` does.

    Raises:
        UserError: soundfile is not installed, or a file cannot be read.
    """
    return torch.stack([fitted(_read_file(path, rate, length), length) for path in paths])


def read_whole(path: str | Path, rate: int) -> Record:
    """Decode one file from its beginning to its end, an hour of it at most, as a record of one channel.

    Raises:
        UserError: soundfile is not installed, or the file cannot be read.
    """
    values = _read_file(path, rate, rate * 3600)
    return Record(values, ("sound",), Seconds(values.shape[1], 1 / rate), 1 / rate)


def _read_file(path: str | Path, rate: int, length: int) -> Float[Tensor, "1 t"]:
    """Decode the middle of one file."""
    _check(rate, length)
    try:
        with Path(path).open("rb") as file:
            return read_sound(file, str(path), rate, length)
    except OSError as error:
        raise UserError(f"The sound {str(path)!r} cannot be read: {error.strerror}.") from error
    except Unreadable as error:
        raise UserError(f"{error.name}: {error.reason}.") from error


def resampled(samples: NDArray[np.float64], rate: int, wanted: int) -> NDArray[np.float64]:
    """Return samples at another rate, by a polyphase filter that lets through what both rates can hold."""
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    found: NDArray[np.float64] = resample_poly(samples, wanted // common, rate // common)
    return found


def _decode(file: io.BufferedIOBase, name: str, rate: int, length: int) -> tuple[NDArray[np.float32], int]:
    """Return the samples (t, c) around the middle of an encoded sound, and its own rate."""
    soundfile = _soundfile()
    try:
        with file, soundfile.SoundFile(file) as sound:
            own = int(sound.samplerate)
            if not _RATES[0] <= own <= _RATES[1]:
                raise Unreadable(name, f"its header tells a sampling rate of {own} Hz")
            needed = math.ceil(length * own / rate) + 2 * math.ceil(_MARGIN * max(1.0, own / rate))
            if sound.frames > needed:
                sound.seek((sound.frames - needed) // 2)
            samples: NDArray[np.float32] = sound.read(min(sound.frames, needed), dtype="float32", always_2d=True)
            return samples, own
    except (soundfile.SoundFileError, OSError) as error:
        detail = str(getattr(error, "error_string", None) or error).strip().rstrip(".")
        raise Unreadable(name, f"cannot be decoded: {detail}") from error


def survey(source: _Sounds, num: int = 256) -> str:
    """Look at some sounds, spread over a source, and say in one sentence what should be known; "" if nothing is odd.

    Args:
        source: The sounds.
        num: How many to look at.
    """
    looked, rates, silent, clipped = 0, Counter[int](), 0, 0
    for samples, own in _some(source, num):
        peak = np.abs(samples).max(axis=1)
        looked += 1
        rates[own] += 1
        silent += not peak.any()
        clipped += _longest_run(peak >= 0.999) >= _CLIPPED_RUN
    others = [f"{count} at {own:,} Hz" for own, count in sorted(rates.items()) if own != source.rate]
    odd = [f"{', '.join(others)} (resampled to {source.rate:,} Hz)"] if others else []
    odd += [f"{count} {word}" for count, word in ((silent, "silent"), (clipped, "clipped")) if count]
    return f"Of {looked} sounds looked at, there are {' and '.join(odd)}; all are kept." if odd else ""


def _some(source: _Sounds, num: int) -> Iterator[tuple[NDArray[np.float32], int]]:
    """Decode some sounds, spread over a source; those that cannot be read are left out."""
    for index in np.unique(np.linspace(0, len(source) - 1, min(num, len(source))).astype(int)).tolist():
        try:
            samples, own = _decode(source.open(index), source.name(index), source.rate, source.length)
        except Unreadable:
            continue
        if samples.size:
            yield samples, own


def _longest_run(marked: NDArray[np.bool_]) -> int:
    """Return the length of the longest row of marks."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], marked, [False])).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _check(rate: int, length: int) -> None:
    """Refuse, before any file is opened, what no sound can be brought to."""
    require(
        _RATES[0] <= rate <= _RATES[1], f"A sampling rate lies between {_RATES[0]} and {_RATES[1]} Hz, not at {rate}."
    )
    require(length >= 1, f"A sound needs at least 1 sample, not {length}.")
    _soundfile()


def _soundfile() -> Any:
    """Return the module that reads sounds."""
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: it is there, and the C library it needs is not
        raise UserError("Reading sounds needs soundfile: pip install 'jepakit[audio]'.") from error
    return soundfile
