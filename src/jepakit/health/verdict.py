"""Say in plain words whether an embedding has collapsed, how one can tell, and what to try.

Four collapses are named, from the coarsest to the finest; the first that fits is the verdict:

    total                 everything is constant
    positional            tokens know where they are, not what is there: all samples look alike at a position
    per_sample_constant   all tokens of a sample are equal
    dimensional           few directions of the space are used

A raw statistic says little by itself: a loss that falls may be a collapse, and so may one that rises. Every threshold
is dimensionless: a ratio of variances, a number of directions, or a run against its own random start (the reference).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jepakit.health.measure import Measurements
from jepakit.health.words import ADVICE, SENTENCES
from jepakit.types import UserError

Kind = Literal["healthy", "watch", "total", "positional", "per_sample_constant", "dimensional"]
COLLAPSES: tuple[Kind, ...] = ("total", "positional", "per_sample_constant", "dimensional")
SPACES = ("encoder", "target", "projector")
"""The order in which spaces are looked at; a verdict names the first that has the coarsest collapse."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Hold the values below which a collapse is called.

    They were set on I-JEPA with SIGReg on the digits, between its honest and its spoilt trainings, and tested on other
    methods and data: `benchmarks/verdict.py`. Two could not be set there: `projector_std` follows from what the losses
    ask for, `rank_kept` is a plain third.

    Args:
        variation: Total: variance over mean square of all tokens. A space that starts below it, as a projector may,
            must fall to a fifth of its start.
        shrinkage: Total: standard deviation of all tokens over that of the random start.
        projector_std: Total: mean standard deviation in the space "projector", where the loss asks for 1. It begins far
            below it, so while training settles it must fall to a fifth of its start.
        across_share: Positional: share of the variance at a position that lies across samples.
        within_share: Per-sample-constant: share of the variance that lies within samples.
        directions: Dimensional: participation ratio, the number of directions that carry the variance.
        rank_kept: Dimensional: RankMe over that of the random start.
        watch_factor: A value below this factor of its threshold is worth watching.

    Raises:
        UserError: If one is not positive, or the factor is below 1.
    """

    variation: float = 0.02
    shrinkage: float = 0.1
    projector_std: float = 0.2
    across_share: float = 0.01
    within_share: float = 0.02
    directions: float = 1.5
    rank_kept: float = 0.3
    watch_factor: float = 1.5

    def __post_init__(self) -> None:
        """Refuse thresholds that nothing or everything would pass."""
        for name, value in vars(self).items():
            if value <= 0.0 or (name == "watch_factor" and value < 1.0):
                raise UserError(f"Threshold {name} must be positive (watch_factor at least 1), got {value}.")


@dataclass(frozen=True)
class Verdict:
    """Hold the verdict.

    Args:
        kind: Its short name.
        healthy: False for the four collapses alone; a "watch" is not one yet.
        sentence: The verdict in plain words.
        evidence: The numbers it rests on, one sentence each.
        advice: What to try, the most promising first; empty where nothing needs doing.
    """

    kind: Kind
    healthy: bool
    sentence: str
    evidence: tuple[str, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class _Sign:
    """Hold one comparison: `ratio` below 1 means that this collapse is there."""

    kind: Kind
    space: str
    ratio: float
    evidence: str


def diagnose(
    measurements: Measurements,
    reference: Measurements | None = None,
    thresholds: Thresholds = Thresholds(),
    is_settling: bool = False,
) -> Verdict:
    """Turn measurements into a verdict with its evidence and advice.

    Args:
        measurements: What `measure` returned.
        reference: What `measure` returned for the same method before training, on the same samples; sharpens the
            verdict, since a random start has few directions too.
        thresholds: Where collapse begins.
        is_settling: Whether training is in its warm-up, in which a projector has yet to open.

    Raises:
        UserError: If nothing was measured, or the reference is of other samples.
    """
    if not measurements:
        raise UserError("There is nothing to diagnose: no space was measured.")
    names = sorted(measurements, key=lambda name: (SPACES.index(name) if name in SPACES else len(SPACES), name))
    signs: list[_Sign] = []
    for name in names:
        start = (reference or {}).get(name)
        if start is not None and start["num_samples"] != measurements[name]["num_samples"]:
            raise UserError(
                f"Ranks depend on the number of samples: space {name!r} was measured on "
                f"{measurements[name]['num_samples']:.0f}, its reference on {start['num_samples']:.0f}; use one set."
            )
        bounds = _settling(thresholds, start) if is_settling and start is not None else thresholds
        signs += _signs(name, measurements[name], start, bounds)
    collapsed = [sign for sign in signs if sign.ratio < 1.0]
    if collapsed:
        first = min(collapsed, key=lambda sign: COLLAPSES.index(sign.kind))
        evidence = tuple(sign.evidence for sign in collapsed if sign.kind == first.kind)
        others = tuple(sign.evidence for sign in collapsed if sign.kind != first.kind)
        return Verdict(
            first.kind, False, SENTENCES[first.kind].format(space=first.space), evidence + others, ADVICE[first.kind]
        )
    told = _told(names[0], measurements[names[0]])
    near = [sign for sign in signs if sign.ratio < thresholds.watch_factor]
    if near:
        first = min(near, key=lambda sign: sign.ratio)
        sentence = SENTENCES["watch"].format(space=first.space, kind=first.kind.replace("_", "-"))
        return Verdict("watch", True, sentence, tuple(sign.evidence for sign in near) + told, ADVICE[first.kind])
    return Verdict("healthy", True, SENTENCES["healthy"].format(space=names[0]), told, ())


def _settling(thresholds: Thresholds, start: Mapping[str, float]) -> Thresholds:
    """Return thresholds that a projector meets which has not opened yet, but not one that has closed."""
    return replace(thresholds, projector_std=min(thresholds.projector_std, max(0.2 * _opening(start), 1e-12)))


def _opening(m: Mapping[str, float]) -> float:
    """Return the standard deviation across samples, of one position where there are several."""
    return max(m["feature_std"], m.get("group_feature_std", 0.0))


def _signs(name: str, m: Mapping[str, float], start: Mapping[str, float] | None, t: Thresholds) -> Iterator[_Sign]:
    """Compare one space with every threshold that applies to it."""
    variation, std = m["variation"], m["token_std"]
    bound = t.variation if start is None else min(t.variation, 0.2 * start["variation"])
    if name != "projector":
        yield _Sign(
            "total",
            name,
            variation / bound,
            f"Only {variation:.2%} of the {name}'s mean square is variation; the rest is one constant embedding.",
        )
    else:
        opened = _opening(m)
        yield _Sign(
            "total",
            name,
            opened / t.projector_std,
            f"The {name}'s standard deviation is {opened:.2g}, where the loss asks for 1.",
        )
    if start is not None and name != "projector":
        kept = std / max(start["token_std"], 1e-30)
        yield _Sign(
            "total",
            name,
            kept / t.shrinkage,
            f"The {name}'s standard deviation fell to {std:.2g}, {kept:.1%} of its random start.",
        )
    if m["num_groups"] > 1:
        yield from _token_signs(name, m, t)
    yield from _direction_signs(name, m, start, t)


def _token_signs(name: str, m: Mapping[str, float], t: Thresholds) -> Iterator[_Sign]:
    yield _Sign(
        "positional",
        name,
        m["across_share"] / t.across_share,
        f"{m['across_share']:.2%} of the {name}'s variance at a position lies across samples.",
    )
    yield _Sign(
        "per_sample_constant",
        name,
        m["within_share"] / t.within_share,
        f"{m['within_share']:.2%} of the {name}'s variance lies within samples.",
    )


def _direction_signs(
    name: str, m: Mapping[str, float], start: Mapping[str, float] | None, t: Thresholds
) -> Iterator[_Sign]:
    """Compare the larger of pooled and per-group numbers, since one of the two may be low for good reasons."""
    directions = max(m["participation_ratio"], m.get("group_participation_ratio", 0.0))
    yield _Sign(
        "dimensional",
        name,
        directions / t.directions,
        f"{directions:.1f} of {m['dim']:.0f} directions carry the {name}'s variance (participation ratio).",
    )
    if start is None:
        return
    rank, before = (max(x["rankme"], x.get("group_rankme", 0.0)) for x in (m, start))
    kept = rank / max(before, 1e-30)
    yield _Sign(
        "dimensional",
        name,
        kept / t.rank_kept,
        f"RankMe of the {name} is {rank:.1f} of {m['dim']:.0f}, {kept:.0%} of its random start.",
    )


def _told(name: str, m: Mapping[str, float]) -> tuple[str, ...]:
    """Return what a healthy space is told by."""
    told = [
        f"RankMe of the {name} is {m['rankme']:.1f} of {m['dim']:.0f} directions; {m['participation_ratio']:.1f} carry "
        "most of the variance.",
        f"{m['variation']:.0%} of its mean square is variation.",
    ]
    if m["num_groups"] > 1:
        told.append(
            f"{m['across_share']:.0%} of the variance at a position lies across samples and {m['within_share']:.0%} of "
            "all variance within samples, so tokens tell what is there as well as where."
        )
    return tuple(told)
