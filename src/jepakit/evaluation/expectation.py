"""Score surprise at violations of what is to be expected: pairs of clips, the same but for what makes one unlawful.

`violated` is the share of pairs of which the unlawful clip is the more surprising one; chance, and whoever cannot see
the difference, has a half. It could be reached by finding everything before a door strange, so `likeness` says how a
lawful clip stands among ordinary ones: a half if it is as ordinary as they are.

Source: violation of expectation, as V-JEPA measures it (Garrido et al. 2025, arXiv 2502.11831), after IntPhys (Riochet
et al. 2018, arXiv 1803.07616). Deviations: energies are calibrated per horizon first, see `evaluation.surprise`.
"""

import math
from statistics import NormalDist

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.evaluation.intervals import LEVEL, Interval, wilson
from jepakit.types import UserError


def violated(unlawful: Float[Tensor, " n"], lawful: Float[Tensor, " m"], level: float = LEVEL) -> Interval:
    """Return P(an unlawful clip is more surprising than its lawful pair), ties counting half, with Wilson's interval.

    Args:
        unlawful: Surprise of each unlawful clip.
        lawful: Surprise of its pair.
        level: Coverage.

    Raises:
        UserError: There are no pairs, a clip has none, or a number is NaN.
    """
    if unlawful.shape != lawful.shape or len(unlawful) == 0:
        raise UserError(f"Each of at least one unlawful clip has a lawful pair, got {len(unlawful)} and {len(lawful)}.")
    _require_numbers(unlawful, lawful)
    wins, ties = int((unlawful > lawful).sum()), int((unlawful == lawful).sum())
    low, high = (wilson(wins + half, len(unlawful), level) for half in (ties // 2, ties - ties // 2))
    return Interval((wins + ties / 2) / len(unlawful), low.low, high.high, len(unlawful), "test items")


def likeness(lawful: Float[Tensor, " n"], ordinary: Float[Tensor, " m"], level: float = LEVEL) -> Interval:
    """Return P(a lawful clip is more surprising than an ordinary one), ties counting half, with DeLong's interval.

    Where all of one kind are above all of the other the formula has no width; there the interval is Wilson's for as
    many clips as the smaller of both has.

    Args:
        lawful: Surprise of lawful clips.
        ordinary: Surprise of other ordinary clips, which neither trained nor calibrated anything.
        level: Coverage.

    Raises:
        UserError: There are fewer than two of either, or a number is NaN.

    Source: DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44(3). Deviations: complete separation, as said.
    """
    n, m = len(lawful), len(ordinary)
    if min(n, m) < 2:
        raise UserError(f"A comparison needs at least 2 lawful and 2 ordinary clips, got {n} and {m}.")
    _require_numbers(lawful, ordinary)
    above_each = _share_below(lawful, ordinary)
    below_each = 1.0 - _share_below(ordinary, lawful)
    value = float(above_each.mean())
    variance = float(above_each.var()) / n + float(below_each.var()) / m
    if variance == 0.0:
        extreme = wilson(round(value * min(n, m)), min(n, m), level)
        return Interval(value, extreme.low, extreme.high, n, "test items")
    half = NormalDist().inv_cdf(0.5 + level / 2) * math.sqrt(variance)
    return Interval(value, max(0.0, value - half), min(1.0, value + half), n, "test items")


def found(marked: Bool[Tensor, "b t"], moment: Int[Tensor, " b"], late: int = 1) -> Interval:
    """Return the share of violations that are marked at their moment or up to `late` frames after it."""
    time = torch.arange(marked.shape[1])
    near = (time >= moment[:, None]) & (time <= moment[:, None] + late)
    return wilson(int((marked & near).any(dim=1).sum()), len(marked))


def _share_below(these: Float[Tensor, " n"], those: Float[Tensor, " m"]) -> Float[Tensor, " n"]:
    """Return for each of these the share of those that are below it, ties counting half."""
    ascending = those.double().sort().values
    below, upto = (torch.searchsorted(ascending, these.double(), right=right) for right in (False, True))
    return (below + upto).double() / (2 * len(those))


def _require_numbers(*values: Tensor) -> None:
    if any(bool(value.isnan().any()) for value in values):
        raise UserError("Some clips have no surprise (NaN); leave them out and say so.")
