"""Say in one sentence what fails: nothing, the search, the metric, the model, both, or that it cannot be told.

Thresholds, all of them: an arm is good enough where the lower end of its interval reaches `enough`, and not good enough
where the upper end stays below; one arm is better than another where the paired interval of their difference is above
0; a probe reads well enough for the true cost on a learned model where it explains `READABLE` of the variance.

    nothing   the learned model with its own cost is good enough
    search    the truth in both places is not better than that, and not good enough
    metric    the true cost helps, and more than the true world does
    model     the true world helps, and more than the true cost does
    both      neither helps alone, each adds to the other, and the probe reads well
    unclear   all else
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool
from torch import Tensor

from jepakit.evaluation.intervals import LEVEL, Interval, wilson
from jepakit.evaluation.paired_shares import paired_shares
from jepakit.types import UserError, require

Fails = Literal["nothing", "search", "metric", "model", "both", "unclear"]

LEARNED = "learned model, latent cost"
TRUE_WORLD = "true world, latent cost"
TRUE_COST = "learned model, true cost"
TRUE_BOTH = "true world, true cost"
ARMS = (LEARNED, TRUE_WORLD, TRUE_COST, TRUE_BOTH)

ENOUGH = 0.8
"""Share of episodes from which on nothing is called failing."""

READABLE = 0.9
"""R2 from which on places read from embeddings stand for the true ones."""


@dataclass(frozen=True)
class Verdict:
    """Hold what fails, and the sentence that says so with its numbers."""

    fails: Fails
    sentence: str


def judge(
    reached: Mapping[str, Bool[Tensor, " n"]], readable: float, enough: float = ENOUGH, level: float = LEVEL
) -> Verdict:
    """Judge four arms on the same episodes; what intervals do not tell apart is not claimed.

    Args:
        reached: By arm, which episodes ended at their goals.
        readable: R2 of the probe that stands behind the true cost of the learned model, on true embeddings.
        enough: Share of episodes from which on nothing is called failing.
        level: Coverage of the intervals.

    Raises:
        UserError: An arm is missing, or `enough` is no share.
    """
    if set(reached) != set(ARMS):
        raise UserError(f"A verdict is over the arms {'; '.join(ARMS)}, got {'; '.join(reached)}.")
    require(0.0 < enough <= 1.0, f"Enough is a share of episodes above 0 and at most 1, got {enough}.")
    share = {arm: wilson(int(ends.sum()), len(ends), level) for arm, ends in reached.items()}
    fails = _fails(reached, share, readable, enough, level)
    return Verdict(fails, _sentence(fails, share, readable, enough))


def _fails(
    reached: Mapping[str, Bool[Tensor, " n"]],
    share: Mapping[str, Interval],
    readable: float,
    enough: float,
    level: float,
) -> Fails:
    """Return what fails, by the thresholds above."""

    def beats(one: str, other: str) -> bool:
        return paired_shares(reached[one], reached[other], level).low > 0.0

    if share[LEARNED].low >= enough:
        return "nothing"
    if not beats(TRUE_BOTH, LEARNED):
        return "search" if share[TRUE_BOTH].high < enough else "unclear"
    cost_helps, world_helps = beats(TRUE_COST, LEARNED), beats(TRUE_WORLD, LEARNED)
    if cost_helps and beats(TRUE_COST, TRUE_WORLD):
        return "metric"
    if world_helps and beats(TRUE_WORLD, TRUE_COST):
        return "model"
    adds = beats(TRUE_BOTH, TRUE_COST) and beats(TRUE_BOTH, TRUE_WORLD)
    return "both" if adds and not cost_helps and not world_helps and readable >= READABLE else "unclear"


def _sentence(fails: Fails, share: Mapping[str, Interval], readable: float, enough: float) -> str:
    """Return the sentence; arms are named by what is true in them."""
    own, world, cost, both = (_words(share[arm]) for arm in ARMS)
    n = share[LEARNED].n
    swapped = f"{world} with the true world, {cost} with the true cost, {both} with both"
    floor = f"{100 * enough:.0f}%"
    also = f"; with {both} even with both true, under {floor}, the search loses episodes too"
    also = also if share[TRUE_BOTH].high < enough else ""
    doubt = f"; the probe behind the true cost explains {readable:.2f} of the variance, too little to judge by it"
    doubt = doubt if readable < READABLE else ""
    ends = f"of {n} episodes, {own} end at the goal as it is, {swapped}"
    if fails == "nothing":
        return f"Nothing fails: {own} of {n} episodes end at the goal as it is, at least {floor}."
    if fails == "search":
        return f"The search fails: true world and true cost do not help and stay under {floor}; {ends}."
    if fails == "metric":
        return f"The metric fails: swapping in the true cost helps most; {ends}{also}."
    if fails == "model":
        return f"The model fails: swapping in the true world helps most; {ends}{also}{doubt}."
    if fails == "both":
        return f"Model and metric fail: only the true world and the true cost together help; {ends}{also}."
    return f"What fails cannot be told apart with {n} episodes; {ends}{doubt}."


def _words(share: Interval) -> str:
    """Return a share and its interval in percent."""
    return f"{100 * share.value:.0f}% ({100 * share.low:.0f} to {100 * share.high:.0f})"
