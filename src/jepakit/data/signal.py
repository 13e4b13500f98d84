"""Hold what all signals share: a decoder that cuts or fills them to one length, and signals that lie in memory."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.data.decoder import Decoder
from jepakit.data.source import SignalSource, Subset, Unreadable, whole_of
from jepakit.types import SignalBatch, UserError


class SignalDecoder(Decoder):
    """Bring signals to one length: the middle of longer ones, shorter ones in the middle of what was not measured.

    Args:
        source: Where the signals come from.
        length: Moments of the result.
    """

    source: SignalSource | Subset

    def __init__(self, source: SignalSource | Subset, length: int) -> None:
        super().__init__(source)
        self.length = length

    def decode(self, index: int, step: int = 0) -> Float[Tensor, "c t"]:
        """Read one signal. Raises `Unreadable`, also where nothing was measured."""
        signal = self.source.read(index)
        if not bool(signal.isfinite().any()):
            raise Unreadable(self.source.name(index), "nothing was measured" if signal.shape[-1] else "it is empty")
        return fitted(signal, self.length)

    def void(self, num: int) -> Float[Tensor, "b c t"]:
        """Return room for so many signals."""
        return torch.empty(num, channels_of(self.source), self.length)

    def batch(self, content: Tensor, ids: Int[Tensor, " b"]) -> SignalBatch:
        """Return signals with their ids."""
        return SignalBatch(content, ids)


def channels_of(source: SignalSource | Subset) -> int:
    """Return how many channels the signals of a source, or of a part of one, have."""
    return int(whole_of(source).channels)


def fitted(signal: Float[Tensor, "c _"], length: int) -> Float[Tensor, "c t"]:
    """Return the middle of a signal, or the signal in the middle of NaN; what is infinite becomes NaN too."""
    lacking = length - signal.shape[-1]
    if lacking < 0:
        start = -lacking // 2
        signal = signal[:, start : start + length]
    elif lacking > 0:
        signal = F.pad(signal, (lacking // 2, lacking - lacking // 2), value=torch.nan)
    return torch.where(signal.isfinite(), signal, torch.nan).float()


class Signals:
    """Serve signals that lie in memory, with labels if there are any.

    Args:
        signals: One signal a row, NaN where nothing was measured.
        labels: Class of each signal, counted from 0.
        class_names: Name of each class; by default its number.

    Raises:
        UserError: The labels do not match.
    """

    def __init__(
        self,
        signals: Float[Tensor, "b c t"],
        labels: Int[Tensor, " _"] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        self.signals = signals
        self.labels = labels
        self.class_names: tuple[str, ...] | None = None
        if labels is None:
            return
        if len(labels) != len(signals):
            raise UserError(f"{len(signals)} signals need as many labels, not {len(labels)}.")
        num = int(labels.max()) + 1 if len(labels) else 0
        self.class_names = tuple(map(str, range(num))) if class_names is None else tuple(class_names)
        if len(labels) and (int(labels.min()) < 0 or num > len(self.class_names)):
            raise UserError(f"Labels must lie in [0, {len(self.class_names)}), as there are so many class names.")

    @property
    def channels(self) -> int:
        """Return how many channels every signal has."""
        return self.signals.shape[1]

    def __len__(self) -> int:
        return len(self.signals)

    def read(self, index: int) -> Float[Tensor, "c t"]:
        """Return one signal."""
        return self.signals[index]

    def name(self, index: int) -> str:
        """Name a signal by its place."""
        return f"signal {index}"


def open_labelled_signals(path: Path | str) -> Signals:
    """Open an .npz file of signals `x` (samples, channels, moments) and perhaps `y`, the class of each.

    Raises:
        UserError: It is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name in ("x", "y")}
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{str(path)!r} is no .npz file of numbers: {error}.") from error
    x, y = arrays.get("x"), arrays.get("y")
    if x is None or x.ndim != 3 or x.dtype.kind not in "fiub":
        raise UserError(f"{str(path)!r} must hold numbers `x` of shape (samples, channels, moments).")
    if y is None:
        return Signals(torch.from_numpy(x.astype(np.float32)))
    if y.dtype.kind == "U":
        names, y = np.unique(y, return_inverse=True)
        return Signals(torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y).long(), names.tolist())
    if y.dtype.kind not in "iub" or y.ndim != 1:
        raise UserError(f"`y` of {str(path)!r} holds one whole number or text a sample, not {y.dtype} {y.shape}.")
    return Signals(torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y.astype(np.int64)))
