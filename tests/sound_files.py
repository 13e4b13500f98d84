"""Make small sound files: tones as wav, flac, ogg or mp3, whole and damaged."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 8000


def tone(frequency: float = 440.0, num: int = 800, rate: int = RATE, loud: float = 0.5) -> NDArray[np.float32]:
    """Return a tone."""
    return (loud * np.sin(2 * np.pi * frequency * np.arange(num) / rate)).astype(np.float32)


def encoded(samples: NDArray[np.float32], rate: int = RATE, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """Return the bytes of a sound file."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def write_folder(root: Path, per_class: int = 8, classes: int = 3, kind: str = "WAV") -> Path:
    """Write tones of another pitch for each class into a folder per class."""
    for label in range(classes):
        for i in range(per_class):
            path = root / f"{label}" / f"{i:02}.{kind.lower()}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(tone(300.0 * (label + 1) + 5 * i), kind=kind))
    return root


def write_table(path: Path, num: int = 48, classes: int = 3, speakers: int = 4) -> Path:
    """Write a parquet file of encoded tones with labels, speakers and the number of each recording."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [(i % classes, (i // classes) % speakers, i // (classes * speakers)) for i in range(num)]
    sounds = [encoded(tone(300.0 * (label + 1) + 20 * speaker + 5 * index)) for label, speaker, index in rows]
    label, speaker, index = zip(*rows, strict=True)
    columns = {"audio": sounds, "label": label, "speaker": [f"s{i}" for i in speaker], "index": index}
    pq.write_table(pa.table(columns), path)
    return path
