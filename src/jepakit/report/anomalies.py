"""Draw where a record surprised the model: the score over time, and beside it the channels around what is marked.

Every key of surprise.json is optional here; arrays come from artifacts/anomalies.npz.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jepakit.report.charts import Line, Look, line_chart
from jepakit.report.material import Arrays, Material
from jepakit.report.surprise import MARKED, SCORE, Sequence, Still, SurpriseSection, points, score_lines
from jepakit.report.wording import finite, number

MOST_STRETCHES = 4
MOST_CHANNELS = 4
AROUND = 8
"""Columns that are drawn on either side of a marked stretch."""


def record_section(material: Material) -> SurpriseSection | None:
    """Return what there is to show of a record that was looked at; None where none was."""
    told = material.surprise.get("record") if isinstance(material.surprise, Mapping) else None
    arrays = material.artifacts.get("anomalies")
    if not isinstance(told, Mapping) or arrays is None:
        return None
    drawn = _curves(arrays, told)
    return SurpriseSection(_about(told), drawn) if drawn else None


def _about(told: Mapping[str, Any]) -> list[str]:
    """Say how much was marked, how much would be by chance, and how much was where nothing is wrong."""
    marked, moments, rate, width = (finite(told.get(name)) for name in ("num_marked", "num_moments", "rate", "moment"))
    if marked is None or moments is None or rate is None:
        return []
    lines = [
        f"Of {moments:,.0f} stretches of {number(width)} moments of {told.get('data')}, {marked:,.0f} are marked; were "
        f"all ordinary, {rate:.2%} would be: about {number(round(rate * moments, 1))}.",
        f"Compared with {told.get('num_ordinary')} clean ones ({told.get('ordinary')}).",
    ]
    alarms = told.get("alarms")
    share = [finite(alarms.get(name)) for name in ("value", "low", "high")] if isinstance(alarms, Mapping) else [None]
    if None not in share:
        value, low, high = (f"{part:.2%}" for part in share)
        lines.append(f"Of the run's own test part {value} [{low}, {high}] are marked.")
    return lines


def _curves(arrays: Arrays, told: Mapping[str, Any]) -> list[Sequence]:
    """Return the score over the whole record, then around the most surprising marked stretches, channels beside it."""
    everything = np.arange(len(arrays["first"]))
    width = int(finite(told.get("moment")) or 1)
    drawn = _sequence("the whole record", arrays, everything, [])
    anomalies = [one for one in told.get("anomalies") or () if isinstance(one, Mapping)]
    for one in sorted(anomalies, key=lambda one: -(finite(one.get("score")) or 0.0))[:MOST_STRETCHES]:
        first, last = (finite(one.get(name)) for name in ("first", "last"))
        if first is None or last is None:
            continue
        inside = np.flatnonzero((arrays["first"] >= first) & (arrays["first"] <= last))
        rows = everything[max(0, inside[0] - AROUND) : inside[-1] + 1 + AROUND] if len(inside) else everything[:0]
        if len(rows):
            drawn += _sequence(
                f"{one.get('from')} to {one.get('to')}", arrays, rows, _channels(arrays, one, rows, width)
            )
    return drawn


def _sequence(title: str, arrays: Arrays, rows: Any, stills: list[Still]) -> list[Sequence]:
    chart = line_chart(f"surprise of {title}", score_lines(arrays, rows, "first"), Look("moment", may_log=False))
    return [Sequence(title, chart, stills, are_charts=True)] if chart else []


def _channels(arrays: Arrays, one: Mapping[str, Any], rows: Any, width: int) -> list[Still]:
    """Return charts of the most surprising channels of a stretch, dots where it is marked."""
    begin, end = int(arrays["first"][rows[0]]), int(arrays["first"][rows[-1]]) + width
    time, values = np.arange(len(arrays["values"]))[begin:end], arrays["values"][begin:end]
    inside = (time >= float(one["first"])) & (time <= float(one["last"]))
    made = []
    for channel in [part for part in one.get("channels") or () if isinstance(part, Mapping)][:MOST_CHANNELS]:
        name, row = str(channel.get("name")), finite(channel.get("row"))
        if row is None or row < 0 or values.ndim != 2 or not values.shape[1]:
            continue
        curve = values[:, min(int(row), values.shape[1] - 1)]  # a sound has one curve for all its bands
        lines = [
            Line("marked", points(time[inside], curve[inside]), MARKED, is_dots=True),
            Line(name, points(time, curve), SCORE),
        ]
        chart = line_chart(name, lines, Look("moment", may_log=False))
        made += [Still(chart.svg, f"{name}, {number(channel.get('score'))}", False)] if chart else []
    return made
