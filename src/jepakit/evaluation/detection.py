"""Score detectors on windows with and without an anomaly: the area under the ROC curve, and paired differences.

Windows of one record are no independent draws: neighbours overlap. So intervals resample blocks of time, and all
detectors are resampled alike.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.evaluation.intervals import LEVEL, Interval
from jepakit.random import Stream
from jepakit.types import require

Scores = tuple[Float[Tensor, " n"], Float[Tensor, " n"]]
"""What a detector says of windows with an anomaly, and of the same windows without."""


def auroc(
    scores: Mapping[str, Scores],
    block: Int[Tensor, " n"],
    pairs: tuple[tuple[str, str], ...] = (),
    num_resamples: int = 2000,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[dict[str, Interval], dict[tuple[str, str], Interval]]:
    """Return P(a window with an anomaly scores above one without), ties counting half, and differences of pairs.

    Args:
        scores: Of each detector.
        block: Which block of time a window lies in; blocks are what another record would have others of.
        pairs: Names of detectors whose difference (first less second) is asked for.
        num_resamples: Bootstrap samples of blocks.
        level: Coverage.
        seed: Selects the resamples.

    Raises:
        UserError: There are fewer than two blocks, or a score is NaN.
    """
    names, index = block.unique(return_inverse=True)
    num = len(names)
    require(num > 1, f"An interval over blocks of time needs at least 2 of them, got {num}.")
    drawn = Stream(seed, "bootstrap/blocks").integers(0, torch.arange(num_resamples), num, num)
    weight = torch.zeros(num_resamples, num, dtype=torch.double).scatter_add(1, drawn, torch.ones_like(drawn).double())
    weight = torch.cat((torch.ones(1, num, dtype=torch.double), weight))  # the first row is the record itself
    size = torch.bincount(index, minlength=num).double()
    total = (weight @ size).square()
    areas = {name: _wins(one, index, num, weight) / total for name, one in scores.items()}
    found = {name: _interval(area, num, level) for name, area in areas.items()}
    return found, {(a, b): _interval(areas[a] - areas[b], num, level) for a, b in pairs}


def _wins(scores: Scores, index: Tensor, num: int, weight: Tensor) -> Float[Tensor, " s"]:
    """Return how many pairs are ordered rightly, in each resample."""
    with_, without = (part.double() for part in scores)
    require(not bool(with_.isnan().any() | without.isnan().any()), "Some windows have no score (NaN).")
    won = (with_[:, None] > without).double() + 0.5 * (with_[:, None] == without).double()
    one_hot = torch.nn.functional.one_hot(index, num).double()
    by_block = one_hot.T @ won @ one_hot
    return torch.einsum("si,ij,sj->s", weight, by_block, weight)


def _interval(values: Tensor, num: int, level: float) -> Interval:
    tails = torch.tensor([0.5 - level / 2, 0.5 + level / 2], dtype=torch.double)
    low, high = torch.quantile(values[1:], tails).tolist()
    return Interval(float(values[0]), low, high, num, "test items")
