"""Draw where sequences surprised the model, curves beside frames, and how it fares on pairs that break a law.

Every key of surprise.json is optional here; arrays come from artifacts/surprise.npz.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from jepakit.report.charts import Chart, Line, Look, Points, line_chart
from jepakit.report.material import Arrays, Material
from jepakit.report.pictures import Canvas
from jepakit.report.scores import Task, score_of, task_of
from jepakit.report.wording import finite, number, percent, plural

SCORE, LIMIT, MARKED = 0, 5, 1
"""The line styles of the curve, of what a moment must exceed, and of the marks."""

LEGEND = [("score", SCORE), ("what a moment must exceed to be marked", LIMIT), ("marked", MARKED)]


@dataclass(frozen=True)
class Still:
    """Hold one frame with what stands below it."""

    picture: Markup
    caption: str
    is_marked: bool


@dataclass(frozen=True)
class Sequence:
    """Hold the curve of one sequence, and some of its frames, or charts of its channels, beside it."""

    title: str
    chart: Chart
    stills: list[Still]
    are_charts: bool = False


@dataclass(frozen=True)
class Kind:
    """Hold the table of one kind of violation and what else is known of it, in a sentence."""

    task: Task
    note: str


@dataclass(frozen=True)
class SurpriseSection:
    """Hold all that the page shows of surprise.

    Args:
        about: What was looked at and how much was marked, in sentences.
        sequences: Curves.
        kinds: Violations of laws.
        looks: Changes that break none.
    """

    about: list[str]
    sequences: list[Sequence]
    kinds: list[Kind] = field(default_factory=list)
    looks: list[Kind] = field(default_factory=list)
    legend: list[tuple[str, int]] = field(default_factory=lambda: LEGEND)


def surprise_section(material: Material) -> SurpriseSection | None:
    """Return what there is to show of surprise; None where nothing was looked at."""
    told = material.surprise if isinstance(material.surprise, Mapping) else {}
    looked, pairs = (_part(told, name) for name in ("sequences", "violations"))
    arrays = material.artifacts.get("surprise")
    drawn = [] if arrays is None else _sequences(arrays)
    kinds, looks = (_kinds(pairs.get(name)) for name in ("kinds", "looks"))
    if not (drawn or kinds or looks):
        return None
    return SurpriseSection(_about(looked) + _about_pairs(pairs), drawn, kinds, looks)


def _part(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = told.get(name)
    return part if isinstance(part, Mapping) else {}


def _about(looked: Mapping[str, Any]) -> list[str]:
    """Say how much was marked, and how much would be by chance, as far as the record tells."""
    marked, moments, rate = (finite(looked.get(name)) for name in ("num_marked", "num_moments", "rate"))
    if marked is None or moments is None or rate is None:
        return []
    return [
        f"Of {plural(int(moments), 'moment')} of {looked.get('data')}, {marked:,.0f} are marked; were the sequences "
        f"ordinary, {rate:.2%} would be: about {number(round(rate * moments, 1))}.",
        f"Compared with {looked.get('num_ordinary')} ordinary clips ({looked.get('ordinary')}).",
    ]


def _about_pairs(pairs: Mapping[str, Any]) -> list[str]:
    alarms = finite(pairs.get("alarms"))
    rate = finite(_part(pairs, "protocol").get("rate"))
    if alarms is None or rate is None:
        return []
    return [f"Of other ordinary moments of the run's own world {alarms:.2%} were marked; {rate:.2%} was asked for."]


def _sequences(arrays: Arrays) -> list[Sequence]:
    """Return the curve and the frames of each sequence."""
    made = []
    for episode in dict.fromkeys(arrays["episode"].tolist()):
        rows = np.flatnonzero(arrays["episode"] == episode)
        title = f"episode {episode:g}"
        chart = line_chart(f"surprise of {title}", score_lines(arrays, rows), Look(x_name="frame", may_log=False))
        stills = [_still(arrays, i) for i, row in enumerate(arrays["moment"].tolist()) if row in rows]
        made += [Sequence(title, chart, stills)] if chart else []
    return made


def score_lines(arrays: Arrays, rows: Any, name: str = "frame") -> list[Line]:
    """Return the score over what `name` counts, what it must exceed, and the moments at which it does."""
    score, limit = (points(arrays[name][rows], arrays[part][rows]) for part in ("score", "limit"))
    marks = [point for point, is_marked in zip(score, arrays["marked"][rows], strict=True) if is_marked]
    lines = [Line("score", score, SCORE), Line("marked above", limit, LIMIT)]
    return lines + ([Line("marked", marks, MARKED, is_dots=True)] if marks else [])


def points(xs: Any, values: Any) -> Points:
    """Return values over places; what is no finite number breaks the line."""
    return [(float(x), finite(float(value))) for x, value in zip(xs, values, strict=True)]


def _still(arrays: Arrays, i: int) -> Still:
    row = int(arrays["moment"][i])
    frame, score = arrays["frame"][row], finite(float(arrays["score"][row]))
    is_marked = bool(arrays["marked"][row])
    said = "" if score is None else f", {score:.1f}"
    caption = f"{frame:g}{said}{', marked' if is_marked else ''}"
    return Still(Canvas(arrays["picture"][i], f"frame {frame:g}").markup(), caption, is_marked)


def _kinds(told: Any) -> list[Kind]:
    """Return a table for each kind of pair: the model first, then its floors."""
    made = []
    for name, row in told.items() if isinstance(told, Mapping) else ():
        arms = _part(row, "arms") if isinstance(row, Mapping) else {}
        scores = [
            score_of({**arm, "arm": arm_name, "is_floor": arm_name != "model"})
            for arm_name, arm in arms.items()
            if isinstance(arm, Mapping)
        ]
        if any(score.value is not None for score in scores):
            best = max((s for s in scores if s.is_floor and s.value is not None), key=_value, default=None)
            num = finite(next(iter(arms.values())).get("n"))
            over = "" if num is None else f"95% interval over {plural(int(num), 'pair')}"
            made.append(Kind(task_of(str(name), str(name), scores, best, "", over), _note(row)))
    return made


def _value(score: Any) -> float:
    return float(score.value)


def _note(row: Mapping[str, Any]) -> str:
    """Say how a lawful clip stands among ordinary ones, and how many violations are marked in time."""
    lawful, found = (finite(_part(row, name).get("value")) for name in ("lawful", "found"))
    if lawful is None or found is None:
        return ""
    return (
        f"A lawful clip is more surprising than another ordinary one in {percent(lawful)} of cases (half: as ordinary "
        f"as they are). Marked at its moment or the next: {percent(found)}."
    )
