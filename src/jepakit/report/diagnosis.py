"""Read what the swaps of model and cost for the truth say: which part of a planner fails, and how one can see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jepakit.report.charts import Line, Look, Points, line_chart
from jepakit.report.curves import NUM_STYLES, Panel
from jepakit.report.glossary import Term, term
from jepakit.report.scores import Task, over_of, records, score_of, task_of
from jepakit.report.wording import finite, number, percent, spaced
from jepakit.report.worlds import MEASURES, measure_label

VERDICTS = {
    "nothing": ("good", "Nothing fails"),
    "model": ("watch", "The model fails"),
    "metric": ("watch", "The metric fails"),
    "search": ("watch", "The search fails"),
}
CURVES = {"model": 0, "stay": 1, "chance": 5}
"""The lines of the drift chart with their styles."""


@dataclass(frozen=True)
class Diagnosis:
    """Hold the diagnosis.

    Args:
        state: By which its badge is drawn.
        label: What fails, shortly.
        sentence: What fails, in a sentence.
        swaps: Success with parts swapped for the truth, one table for each measure.
        numbers: Further measures, as (term, value).
        panels: Charts over the steps of a rollout, each with its legend.
        search: How was searched.
    """

    state: str
    label: str
    sentence: str
    swaps: list[Task]
    numbers: list[tuple[Term, str]]
    panels: list[tuple[Panel, list[tuple[str, int]]]]
    search: str


def diagnosis(evaluation: Any) -> Diagnosis | None:
    """Return the diagnosis of an evaluation; None where none was made."""
    told = evaluation.get("diagnosis") if isinstance(evaluation, Mapping) else None
    if not isinstance(told, Mapping) or not told:
        return None
    fails = str(told.get("fails") or "")
    state, label = VERDICTS.get(fails, ("open", spaced(fails) or "No verdict"))
    num = finite(told.get("num_episodes"))
    searched = [f"{num:,.0f} episodes" if num is not None else "", str(told.get("search") or "")]
    return Diagnosis(
        state=state,
        label=label,
        sentence=str(told.get("sentence") or "The record does not say what fails."),
        swaps=_swaps(told, evaluation.get("protocol")),
        numbers=_numbers(told),
        panels=[made for made in (_drift(told.get("drift")), _probes(told.get("probe"))) if made],
        search="; ".join(part for part in searched if part),
    )


def _swaps(told: Mapping[str, Any], protocol: Any) -> list[Task]:
    """Return a table for each measure whose rows stay in their order: each swaps in one more truth."""
    tasks = []
    for measure in MEASURES:
        rows = [
            {**(arm[measure] if isinstance(arm.get(measure), dict) else {}), "arm": arm["arm"], "is_floor": i > 0}
            for i, arm in enumerate(records(told, "arms"))
        ]
        if any(finite(row.get("value")) is not None for row in rows):
            over = over_of(rows, protocol if isinstance(protocol, Mapping) else {})
            task = task_of(measure, measure_label(measure), [score_of(row) for row in rows], None, "", over)
            order = [str(row["arm"]) for row in rows]
            tasks.append(replace(task, scores=sorted(task.scores, key=lambda s: order.index(s.arm))))
    return tasks


def _numbers(told: Mapping[str, Any]) -> list[tuple[Term, str]]:
    """Return the rank of the true actions and the spread of the cost, as far as they were measured."""
    found = []
    rank = told.get("rank")
    value, low, high = (finite(rank.get(k)) if isinstance(rank, Mapping) else None for k in ("value", "low", "high"))
    if value is not None:
        interval = "" if low is None or high is None else f" ({100 * low:.1f} to {percent(high)})"
        found.append((term("rank"), f"{percent(value)}{interval}"))
    if finite(told.get("spread")) is not None:
        found.append((term("spread"), number(told["spread"])))
    return found


def _drift(rows: Any) -> tuple[Panel, list[tuple[str, int]]] | None:
    """Return the chart of how far predictions lie from what came true, beside predicting nothing and beside chance."""
    by_step = sorted(
        (row for row in (rows if isinstance(rows, list) else []) if isinstance(row, dict) and _step(row) is not None),
        key=lambda row: _step(row) or 0.0,
    )
    lines = []
    for name, style in CURVES.items():
        values: Points = [(_step(row) or 0.0, finite(row.get(name))) for row in by_step]
        lines.append(Line(term(f"drift_{name}").label, values, style))
    return _charted("rollout_drift", lines, "step ahead")


def _step(row: Mapping[str, Any]) -> float | None:
    return finite(row.get("step"))


def _probes(rows: Any) -> tuple[Panel, list[tuple[str, int]]] | None:
    """Return the chart of what a linear probe reads off true embeddings (step 0) and predicted ones."""
    lines: list[Line] = []
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, Mapping):
            continue
        later = row.get("predicted")
        values = [row.get("true"), *(later if isinstance(later, list) else [])]
        curve: Points = [(float(step), finite(value)) for step, value in enumerate(values)]
        lines.append(Line(spaced(str(row.get("factor", "factor"))), curve, min(len(lines), NUM_STYLES - 1)))
    return _charted("probe_r2", lines, "step ahead")


def _charted(name: str, lines: Sequence[Line], x_name: str) -> tuple[Panel, list[tuple[str, int]]] | None:
    chart = line_chart(term(name).label, lines, Look(x_name=x_name, may_log=False))
    legend = [(line.label, line.style) for line in lines if line.drawn]
    return None if chart is None else (Panel(term(name).label, term(name).meaning, chart), legend)
