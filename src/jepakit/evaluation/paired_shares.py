"""Compare two success rates on the same episodes, with an interval that never has width zero."""

import math

from jaxtyping import Bool
from torch import Tensor

from jepakit.evaluation.intervals import LEVEL, Interval, wilson
from jepakit.types import UserError


def paired_shares(ours: Bool[Tensor, " n"], theirs: Bool[Tensor, " m"], level: float = LEVEL) -> Interval:
    """Return how much larger one share of the same items is than another.

    Student's interval of the differences has width zero where all of them agree, however few they are; this one is made
    of both shares' Wilson intervals and of how far the two go together.

    Raises:
        UserError: If the items differ in number, or there are none.

    Source: Newcombe 1998, Statistics in Medicine 17(22), 2635-2650, method 10. Deviations: none.
    """
    n = len(ours)
    if n != len(theirs) or n == 0:
        raise UserError(f"Shares are paired over the same items, at least one, got {n} and {len(theirs)}.")
    both, only_ours = int((ours & theirs).sum()), int((ours & ~theirs).sum())
    only_theirs = int((theirs & ~ours).sum())
    one, other = (wilson(both + only, n, level) for only in (only_ours, only_theirs))
    phi = _together(both, only_ours, only_theirs, n - both - only_ours - only_theirs)
    down = _joined(one.value - one.low, other.high - other.value, phi)
    up = _joined(one.high - one.value, other.value - other.low, phi)
    difference = one.value - other.value
    return Interval(difference, difference - down, difference + up, n, "test items")


def _together(both: int, only_ours: int, only_theirs: int, neither: int) -> float:
    """Return the correlation of two yes-or-no values, where it is positive brought nearer to 0 for the counts' sake."""
    n = both + only_ours + only_theirs + neither
    margins = (both + only_ours) * (only_theirs + neither) * (both + only_theirs) * (only_ours + neither)
    if margins == 0:
        return 0.0
    determinant = float(both * neither - only_ours * only_theirs)
    return (max(determinant - n / 2, 0.0) if determinant > 0 else determinant) / math.sqrt(margins)


def _joined(one: float, other: float, phi: float) -> float:
    """Return the half-width of a difference from those of its two parts."""
    return math.sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))
