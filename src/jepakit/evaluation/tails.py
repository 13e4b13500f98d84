"""Turn scores into rates of false alarms: the share of ordinary ones that scored as much, and the limit for a rate.

    tail(s)  = (1 + ordinary scores of at least s) / (1 + ordinary scores)
    marked   = tail <= rate, which is: the score exceeds the limit

For a score exchangeable with the ordinary ones P(marked) <= rate, whatever made the scores.

Source: split conformal prediction, Vovk et al. 2005, "Algorithmic learning in a random world". Deviations: none.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.types import require


def finest_rate(num: int) -> float:
    """Return the smallest rate of false alarms that so many ordinary scores can tell from none."""
    return 1.0 / (1 + num)


def require_rate(rate: float, num: int, things: str) -> None:
    """Check that a rate is one, and not finer than so many ordinary things can tell.

    Raises:
        UserError: It is no share, or too fine.
    """
    require(0.0 < rate < 1.0, f"A rate of false alarms is between 0 and 1, got {rate}.")
    require(
        rate >= finest_rate(num),
        f"{num} ordinary {things} tell rates of false alarms down to {finest_rate(num):.2g}, not {rate}; calibrate "
        f"with at least {int(np.ceil(1 / rate)) - 1}.",
    )


def tail(ordinary: Float[Tensor, " n"], score: Float[Tensor, " m"]) -> Float[Tensor, " m"]:
    """Return the share of ordinary scores, ascending, that are at least as high, the score itself counted."""
    below = torch.searchsorted(ordinary.contiguous(), score.contiguous())
    return (1 + len(ordinary) - below) / (1 + len(ordinary))


def limit(ordinary: Float[Tensor, "n ..."], rate: float) -> Float[Tensor, "..."]:
    """Return what a score must exceed to be marked at a rate, given ordinary ones that ascend along the first axis."""
    num = len(ordinary)
    above = min(max(int(rate * (num + 1) + 1e-9) - 1, 0), num - 1)  # so many ordinary scores may be higher
    return ordinary[num - 1 - above]
