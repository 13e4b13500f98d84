"""Slide a masked method over signals: what its windows tell of each stretch as long as a patch.

Nothing here knows how a signal is laid out: its windows become pictures by the method's own preprocessing, and rows and
columns are those of its patches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.evaluation.anomalies import Seen
from jepakit.evaluation.patch_energies import grid_of_patches, patch_energies
from jepakit.masking.covering import Kind
from jepakit.types import require

LOOKS = 4
"""Windows that hold a moment, away from the ends of a signal."""


@dataclass(frozen=True)
class Windows:
    """Hold the windows over one signal.

    Args:
        x: As the encoder takes them.
        told: In which patches anything was measured.
        first: Column of the signal in which each begins; a column is as long as a patch.
        num_columns: Of the signal.
    """

    x: Float[Tensor, "w c h w1"]
    told: Bool[Tensor, "w gh gw"]
    first: Int[Tensor, " w"]
    num_columns: int


@dataclass(frozen=True)
class Watcher:
    """Look at signals through a masked method.

    Args:
        method: The method, in eval mode.
        length: Moments of a window.
        kinds: Of questions; by default what the other rows let expect, or of a single row what the time around does.
    """

    method: Any
    length: int
    kinds: tuple[Kind, ...] = ()

    def __post_init__(self) -> None:
        has_others = grid_of_patches(self.method)[0] > 1
        object.__setattr__(self, "kinds", self.kinds or (("row",) if has_others else ("moment",)))

    @property
    def width(self) -> int:
        """Return the moments of a patch."""
        return self.length // grid_of_patches(self.method)[1]

    def __call__(self, signal: Float[Tensor, "c t"]) -> Seen:
        """Return what windows over a signal tell; what comes before its whole patches is left out.

        Args:
            signal: NaN where nothing was measured.

        Raises:
            UserError: It is shorter than a window.
        """
        return self.all([signal])[0]

    def all(self, signals: Sequence[Float[Tensor, "c _"]]) -> list[Seen]:
        """Return what windows over each of several signals tell, all measured together."""
        parts = [windows_over(self.method, signal, self.length) for signal in signals]
        found = patch_energies(self.method, torch.cat([part.x for part in parts]), self.kinds)
        energies, sizes = (of_all.split([len(part.x) for part in parts]) for of_all in found)
        return [
            Seen(torch.where(part.told[:, None], energy, torch.nan), size, part.first, part.num_columns)
            for part, energy, size in zip(parts, energies, sizes, strict=True)
        ]


def windows_over(method: Any, signal: Float[Tensor, "c t"], length: int) -> Windows:
    """Cut a signal into overlapping windows that end with it, laid out as the encoder takes them.

    Raises:
        UserError: It is shorter than a window, or the method hides no patches.
    """
    rows, columns = grid_of_patches(method)
    width = length // columns
    num = signal.shape[1] // width
    require(
        signal.shape[1] >= length,
        f"A window of this model has {length} moments, and there are {signal.shape[1]}; give a longer record.",
    )
    whole = signal[:, signal.shape[1] - num * width :]
    first = torch.tensor(sorted({*range(0, num - columns, max(1, columns // LOOKS)), num - columns}))
    cut = torch.stack([whole[:, begin : begin + length] for begin in (first * width).tolist()])
    x = method.preprocess(cut.to(next(method.parameters()).device)).to(method.dtype)
    return Windows(x, _measured(cut, rows, columns), first, num)


def _measured(windows: Float[Tensor, "w c t"], num_rows: int, num_columns: int) -> Bool[Tensor, "w gh gw"]:
    """Return in which patches anything was measured; where rows are no channels, at which moments."""
    width = windows.shape[2] // num_columns
    found = windows[..., : num_columns * width].isfinite().unflatten(2, (num_columns, width)).any(dim=3)
    if windows.shape[1] % num_rows:
        return found.any(dim=1, keepdim=True).expand(-1, num_rows, -1)
    return found.unflatten(1, (num_rows, -1)).any(dim=2)
