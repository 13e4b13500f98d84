"""Put intervals around measured values, and always say what varies within them.

    test items                    another test set of the same kind; one model, one train set       wilson, bootstrap
    label draws                   other labelled items for the probe; one model, one test set       over_repeats
    label draws and test items    both at once                                                      crossed
    seeds                         another training of the whole model                               over_repeats
    stretches of time             other times of the same kind; one model                           over_stretches

An interval is for the *mean* over what varies; `spread` says where a single draw falls. Differences between two arms
are always taken draw by draw or item by item (`paired`): what both have in common, such as a lucky draw, cancels.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError

Varies = Literal["test items", "label draws", "label draws and test items", "seeds", "stretches of time", "nothing"]

LEVEL = 0.95
"""Coverage that every interval aims at unless told otherwise."""


@dataclass(frozen=True)
class Interval:
    """Hold a value with the interval around it.

    Args:
        value: The estimate.
        low: Lower end.
        high: Upper end.
        n: How many repeats of what varies were seen: items, draws or seeds.
        varies: What would be different in another sample.
    """

    value: float
    low: float
    high: float
    n: int
    varies: Varies


def wilson(num_correct: int, num_total: int, level: float = LEVEL) -> Interval:
    """Return the accuracy on `num_total` test items with Wilson's score interval, which never has width zero.

    Raises:
        UserError: If there are no items, or more correct ones than items.

    Source: Wilson 1927, JASA 22(158). Deviations: none.
    """
    if num_total < 1 or not 0 <= num_correct <= num_total:
        raise UserError(f"An accuracy needs 0 <= correct <= total and total > 0, got {num_correct} of {num_total}.")
    return bounded(num_correct / num_total, num_total, level)


def bounded(p: float, n: int, level: float = LEVEL) -> Interval:
    """Return the mean `p` of `n` values in [0, 1] with Wilson's interval, which never has width zero.

    Such values vary no more than yes and no of the same mean do, so it is too wide rather than too narrow.

    Raises:
        UserError: If there are no values, or their mean is outside [0, 1].

    Source: as `wilson`. Deviations: for values between 0 and 1 besides these two.
    """
    if n < 1 or not 0.0 <= p <= 1.0:
        raise UserError(f"A mean of values in [0, 1] needs at least one of them, got {p} over {n}.")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)), n, "test items")


def over_repeats(values: Float[Tensor, " n"], varies: Varies, level: float = LEVEL) -> Interval:
    """Return the mean of independent repeats (label draws, seeds) with Student's t interval.

    Raises:
        UserError: If there are fewer than two repeats: one tells nothing about how much they vary.
    """
    n = values.shape[0]
    if n < 2:
        raise UserError(f"An interval over {varies} needs at least 2 of them, got {n}.")
    values = values.double()
    value = float(values.mean())
    half = student_t(n - 1, level) * float(values.std(correction=1)) / math.sqrt(n)
    return Interval(value, value - half, value + half, n, varies)


def paired(ours: Float[Tensor, " n"], theirs: Float[Tensor, " m"], varies: Varies, level: float = LEVEL) -> Interval:
    """Return the mean difference of two arms, taken repeat by repeat, with Student's t interval.

    Raises:
        UserError: If the arms have different numbers of repeats, or fewer than two.
    """
    if ours.shape != theirs.shape:
        raise UserError(
            f"Paired arms need the same repeats, got {ours.shape[0]} and {theirs.shape[0]}: give both the same draws."
        )
    return over_repeats(ours.double() - theirs.double(), varies, level)


def crossed(correct: Float[Tensor, "draws m"] | Bool[Tensor, "draws m"], level: float = LEVEL) -> Interval:
    """Return the mean over label draws and test items with an interval for other draws *and* other items.

    The variance of the mean is that of the draws' means over their number plus that of the items' means over theirs
    (independent effects of draw and item; slightly too wide rather than too narrow). Give the difference of two arms'
    correctness for a paired interval.

    Raises:
        UserError: If there are fewer than two draws or items.

    Source: Owen 2007, arXiv 0712.1111, section 3 (random effects of two crossed factors). Deviations: none.
    """
    draws, m = correct.shape
    if min(draws, m) < 2:
        raise UserError(f"A crossed interval needs at least 2 draws and 2 items, got {draws} and {m}.")
    table = correct.double()
    variance = table.mean(dim=1).var(correction=1) / draws + table.mean(dim=0).var(correction=1) / m
    half = student_t(min(draws, m) - 1, level) * math.sqrt(float(variance))
    value = float(table.mean())
    return Interval(value, value - half, value + half, draws, "label draws and test items")


def bootstrap(
    values: Float[Tensor, " n"],
    varies: Varies = "test items",
    num_resamples: int = 2000,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Return the mean with the percentile bootstrap interval, for values that no formula covers.

    Args:
        values: One value per item, e.g. the difference in correctness of two arms.
        varies: What an item is.
        num_resamples: Bootstrap samples.
        level: Coverage.
        seed: Selects the resamples, through `Stream(seed, "bootstrap")`.

    Raises:
        UserError: If there are fewer than two values.

    Source: Efron 1979, Annals of Statistics 7(1). Deviations: none.
    """
    n = values.shape[0]
    if n < 2:
        raise UserError(f"An interval over {varies} needs at least 2 of them, got {n}.")
    idx = Stream(seed, "bootstrap").integers(0, torch.arange(num_resamples), n, n)
    means = values.double().cpu()[idx].mean(dim=1)
    low, high = torch.quantile(means, torch.tensor([0.5 - level / 2, 0.5 + level / 2], dtype=torch.float64)).tolist()
    return Interval(float(values.double().mean()), low, high, n, varies)


def over_stretches(
    values: Float[Tensor, " n"], block: int, num_resamples: int = 1000, level: float = LEVEL, seed: int = 0
) -> Interval:
    """Return the mean of a sequence with the percentile interval of a bootstrap that draws whole stretches of it.

    Values near each other in time go together, and an interval over single ones would be much too narrow. It is rough
    where the sequence holds fewer than about ten stretches.

    Args:
        values: One value a moment, in the order of time.
        block: Moments of a stretch, longer than what neighbours share.
        num_resamples: Bootstrap samples.
        level: Coverage.
        seed: Selects the resamples, through `Stream(seed, "stretches")`.

    Raises:
        UserError: There are fewer than two values, or a stretch is none or longer than the sequence.

    Source: Politis and Romano 1992, "A circular block-resampling procedure for stationary data". Deviations: none.
    """
    n = values.shape[0]
    if n < 2 or not 1 <= block <= n:
        raise UserError(f"An interval over stretches of {block} needs at least 2 values and as many as that, got {n}.")
    num_blocks = -(-n // block)
    sums = torch.cat((values, values[:block])).double().cpu().cumsum(dim=0)
    sums = torch.cat((sums.new_zeros(1), sums))
    first = Stream(seed, "stretches").integers(0, torch.arange(num_resamples), num_blocks, n)
    means = (sums[first + block] - sums[first]).mean(dim=1) / block
    low, high = torch.quantile(means, torch.tensor([0.5 - level / 2, 0.5 + level / 2], dtype=torch.float64)).tolist()
    return Interval(float(values.double().mean()), low, high, num_blocks, "stretches of time")


def spread(values: Float[Tensor, " n"], level: float = LEVEL) -> tuple[float, float]:
    """Return the range in which this share of single draws fell: no interval for the mean, and much wider."""
    tails = torch.tensor([0.5 - level / 2, 0.5 + level / 2], dtype=torch.float64, device=values.device)
    low, high = torch.quantile(values.double(), tails).tolist()
    return low, high


def student_t(degrees: int, level: float) -> float:
    """Return the half-width of Student's t distribution that holds this much probability around zero."""
    from scipy.special import stdtrit  # slow to import

    return float(stdtrit(degrees, 0.5 + level / 2))
