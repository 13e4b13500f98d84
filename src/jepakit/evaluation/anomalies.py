"""Say at which moments of a signal a masked method is surprised, and in which rows, at a rate that the user sets.

    place[k, r, c]   = (log energy - mean) / deviation       of the patch, where it stands in its window; and so of
                       log (energy / size of the target)     the share of the patch that was left unexplained
    mean[k, r, j]    = mean of place over the n windows that hold column j
    patch[k, r, j]   = (mean - centre) / sqrt(agreement + (1 - agreement) / n)
    row[r, j]        = mean of patch[k, r, j] over kinds of questions k, of energies and of shares
    score[j]         = max over rows of row[r, j]
    marked[j]        = (1 + clean moments that scored as much) / (1 + clean moments) <= rate

A patch at the edge of a window is harder to predict than one in the middle, a noisy channel harder than a smooth one,
and a hidden channel harder than a hidden moment: each is compared with its like in clean signals. Fewer windows hold a
moment near the ends of a signal, and a mean over few scatters more: agreement is the correlation of what two windows
say of a moment, learned from clean signals. A row is a channel or a band of frequencies, a column a stretch of time as
long as a patch: the moment of which alarms are counted.

The rate is that of each moment. Neighbours share windows, so alarms come in runs, and clean moments are worth fewer
independent ones: over a short clean part the rate that comes out scatters around the one that was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.evaluation.patch_energies import along
from jepakit.evaluation.tails import limit, require_rate, tail
from jepakit.types import UserError

_NOTHING = 1e-3
"""Targets have a size of about 1; of one that is smaller than this there is no share to speak of."""


@dataclass(frozen=True)
class Seen:
    """Hold what windows over one signal told.

    Args:
        energy: Of each window's patches for each kind of question; NaN where nothing was asked or measured.
        size: Of their targets: what an answer of nothing would cost.
        first: The signal's column in which each window begins.
        num_columns: Of the signal.
    """

    energy: Float[Tensor, "w kinds gh gw"]
    size: Float[Tensor, "w gh gw"]
    first: Int[Tensor, " w"]
    num_columns: int

    def logs(self) -> Float[Tensor, "w k gh gw"]:
        """Return what is calibrated: logarithms of all kinds' energies, then of their shares of the targets' size.

        Energies are above 0 and skewed; one of 0 is as low as numbers go, not infinitely so.
        """
        energy = self.energy.clamp_min(1e-12).log()
        return torch.cat((energy, energy - self.size[:, None].clamp_min(_NOTHING).log()), dim=1)


@dataclass(frozen=True)
class Scored:
    """Hold how surprising each moment of a signal is; NaN where nothing was measured.

    Args:
        row: Of each row.
        score: Of all rows together.
    """

    row: Float[Tensor, "gh columns"]
    score: Float[Tensor, " columns"]


@dataclass(frozen=True)
class PatchCalibration:
    """Hold what energies of clean signals, and their shares of the targets' size, are like (k: `Seen.logs`).

    Args:
        mean: Mean logarithm by place in a window; NaN where nothing was asked.
        std: Its deviation.
        centre: Mean by row of what windows say together of a patch.
        agreement: Correlation of what two windows say of the same patch, in [0, 1].
        ordinary: Scores of clean moments, ascending.
    """

    mean: Float[Tensor, "k gh gw"]
    std: Float[Tensor, "k gh gw"]
    centre: Float[Tensor, "k gh"]
    agreement: Float[Tensor, "k gh"]
    ordinary: Float[Tensor, " n"]

    def patches(self, seen: Seen) -> Float[Tensor, "k gh columns"]:
        """Return how many deviations each patch of a signal is above clean ones, by energy and by share."""
        together, count = self.together(seen)
        agreement = self.agreement[..., None]
        return (together - self.centre[..., None]) / (agreement + (1.0 - agreement) / count).sqrt()

    def together(self, seen: Seen) -> tuple[Float[Tensor, "k gh columns"], Float[Tensor, "k gh columns"]]:
        """Return what windows say of each patch compared with its like, in the mean, and how many say it."""
        return along((seen.logs() - self.mean) / self.std, seen.first, seen.num_columns)

    def scored(self, seen: Seen) -> Scored:
        """Return how surprising each moment is."""
        row = self.patches(seen).nanmean(dim=0)
        score = row.nan_to_num(nan=-torch.inf).amax(dim=0)
        return Scored(row, torch.where(score.isfinite(), score, torch.nan))

    def tails(self, score: Float[Tensor, " columns"]) -> Float[Tensor, " columns"]:
        """Return the share of clean moments that scored as much; 1 where nothing was measured."""
        return torch.where(score.isnan(), 1.0, tail(self.ordinary, score.nan_to_num()))

    def marked(self, score: Float[Tensor, " columns"], rate: float) -> Bool[Tensor, " columns"]:
        """Return which moments are marked.

        Raises:
            UserError: The rate is no share, or finer than the clean moments can tell.
        """
        require_rate(rate, len(self.ordinary), "moments")
        return self.tails(score) <= rate

    def limit(self, rate: float) -> float:
        """Return the score that a moment must exceed to be marked."""
        return float(limit(self.ordinary, rate))


def calibrate_patches(clean: Sequence[Seen]) -> PatchCalibration:
    """Learn what is ordinary from signals in which nothing is wrong.

    Args:
        clean: What windows over each told, in one way of sliding.

    Raises:
        UserError: There are fewer than two windows or moments, or energies are no finite numbers.
    """
    logs = torch.cat([seen.logs() for seen in clean])
    mean, std = _spread(logs, 0)
    nothing = torch.zeros(mean.shape[:2])
    places = PatchCalibration(mean, std, nothing, nothing, torch.zeros(0))
    parts = [places.together(seen) for seen in clean]
    together, count = (torch.cat([part[i] for part in parts], dim=2) for i in (0, 1))
    centre, spread = _spread(together, 2)
    if len(logs) < 2 or not bool(spread.isfinite().all()):
        raise UserError("Calibration needs at least two windows in which something was measured in every channel.")
    whole = PatchCalibration(mean, std, centre, _agreement(spread, count), torch.zeros(0))
    scores = torch.cat([whole.scored(seen).score for seen in clean])
    return replace(whole, ordinary=scores[scores.isfinite()].sort().values)


def _agreement(spread: Float[Tensor, "k gh"], count: Float[Tensor, "k gh columns"]) -> Float[Tensor, "k gh"]:
    """Return the correlation under which means over so many statements of deviation 1 deviate as they do.

    The variance of a mean over n is agreement + (1 - agreement) / n; where every n is 1 nothing tells it, or needs it.
    """
    alone = torch.where(count > 0, 1.0 / count, torch.nan).nanmean(dim=2)
    return torch.where(alone < 1.0, (spread.square() - alone) / (1.0 - alone), 1.0).clamp(0.0, 1.0)


def stretches(marked: Bool[Tensor, " columns"]) -> list[tuple[int, int]]:
    """Return the first column of each run of marked ones, and the one after its last."""
    edges = torch.diff(marked.int(), prepend=torch.zeros(1, dtype=torch.int), append=torch.zeros(1, dtype=torch.int))
    begins, ends = ((edges == sign).nonzero().flatten().tolist() for sign in (1, -1))
    return list(zip(begins, ends, strict=True))


def _spread(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return mean and deviation over what there is; what is always the same deviates by a rounding, not by nothing."""
    mean = values.nanmean(dim=dim)
    centred = values - mean.unsqueeze(dim)
    return mean, centred.square().nanmean(dim=dim).sqrt().clamp_min(1e-6)
