"""Show forecasts of a record: errors beside floors with intervals, and some forecasts drawn against what came.

Every key of evaluation.json is optional here; arrays come from artifacts/forecasts.npz.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jepakit.report.charts import Chart, Line, Look, line_chart
from jepakit.report.material import Arrays, Material
from jepakit.report.scores import SPLITS, arm_label, is_floor, records
from jepakit.report.wording import finite

TRUTH = 5
DRAWN = ("jepa", "linear, window normalised", "seasonal naive")
"""The arms that are drawn, where they are there: more lines than these hide each other."""


@dataclass(frozen=True)
class ForecastRow:
    """Hold one arm at one horizon, as text."""

    label: str
    is_ours: bool
    mse: str
    interval: str
    mae: str
    difference: str
    chosen: str


@dataclass(frozen=True)
class HorizonTable:
    """Hold the arms at one horizon, the best first, and a sentence on how the model stands."""

    title: str
    rows: list[ForecastRow]
    verdict: str


@dataclass(frozen=True)
class ForecastSection:
    """Hold all that the page shows of forecasts.

    Args:
        split: Which part was forecast, in a sentence.
        tables: One for each horizon.
        charts: Forecasts of some windows.
        legend: (label, line style) of the charts.
        protocol: The rule, in sentences.
    """

    split: str
    tables: list[HorizonTable]
    charts: list[Chart]
    legend: list[tuple[str, int]]
    protocol: list[str]


def forecast_section(material: Material) -> ForecastSection | None:
    """Return what there is to show of forecasts; None where nothing was forecast."""
    rows = _scored(material.evaluation)
    if not rows:
        return None
    protocol = material.evaluation.get("protocol")
    protocol = protocol if isinstance(protocol, Mapping) else {}
    less = {
        (d.get("horizon"), str(d.get("against"))): d
        for d in records(material.evaluation, "differences")
        if d["arm"] == "jepa"
    }
    tables = [_table(horizon, rows, less) for horizon in dict.fromkeys(row.get("horizon") for row in rows)]
    drawn = material.artifacts.get("forecasts")
    charts, legend = ([], []) if drawn is None else _charts(drawn, material.evaluation.get("shown"))
    name = SPLITS.get(str(protocol.get("split")), "").replace("split", "part")
    said = protocol.get("statement")
    statement = [str(line) for line in said] if isinstance(said, list) else []
    return ForecastSection(f"Forecast is the {name}." if name else "", tables, charts, legend, statement)


def compared_forecasts(evaluation: Any, names: Mapping[str, str]) -> list[HorizonTable]:
    """Return a table for each horizon at which runs were compared; its differences are those from the first run.

    Args:
        evaluation: A joint record of forecasts whose arms are paths of runs, or floors.
        names: What each path is called.
    """
    first = next(iter(names))
    rows = _scored(evaluation)
    less = {
        (d.get("horizon"), str(d["arm"])): d for d in records(evaluation, "differences") if d.get("against") == first
    }
    tables = [_table(horizon, rows, less) for horizon in dict.fromkeys(row.get("horizon") for row in rows)]
    labels = {arm_label(path): label for path, label in names.items()}
    return [
        replace(table, rows=[replace(row, label=labels.get(row.label, row.label)) for row in table.rows])
        for table in tables
    ]


def _scored(evaluation: Any) -> list[dict[str, Any]]:
    return [row for row in records(evaluation, "forecasts") if finite(row.get("value")) is not None]


def _table(
    horizon: Any, rows: Sequence[Mapping[str, Any]], less: Mapping[tuple[Any, str], Mapping[str, Any]]
) -> HorizonTable:
    """Return the arms of one horizon, the least error first, each with its paired difference if there is one."""
    of = {measure: {str(r["arm"]): r for r in rows if (r.get("horizon"), r.get("measure")) == (horizon, measure)}
          for measure in ("mse", "mae")}  # fmt: skip
    ranked = sorted(of["mse"].items(), key=lambda pair: finite(pair[1].get("value")) or 0.0)
    told = [_row(arm, row, of["mae"].get(arm), less.get((horizon, arm))) for arm, row in ranked]
    floor = next((arm for arm, row in ranked if is_floor(row)), None)
    return HorizonTable(f"{horizon} moments ahead", told, _verdict(floor, less.get((horizon, floor or ""))))


def _row(
    arm: str, mse: Mapping[str, Any], mae: Mapping[str, Any] | None, less: Mapping[str, Any] | None
) -> ForecastRow:
    return ForecastRow(
        label=arm_label(arm),
        is_ours=not is_floor(mse),
        mse=_number(mse.get("value")),
        interval=f"{_number(mse.get('low'))} to {_number(mse.get('high'))}",
        mae=_number((mae or {}).get("value")),
        difference="" if less is None else _signed(less),
        chosen=str(mse.get("chosen") or ""),
    )


def _verdict(floor: str | None, less: Mapping[str, Any] | None) -> str:
    """Say in a sentence whether the model forecasts better than its best floor, as strongly as the interval allows."""
    low, high = (finite((less or {}).get(key)) for key in ("low", "high"))
    if floor is None or less is None or low is None or high is None:
        return ""
    beside = f"the best floor ({arm_label(floor)}): {_signed(less)}, paired"
    if high < 0:
        return f"Its error is below {beside}."
    return f"Its error is above {beside}." if low > 0 else f"Its error cannot be told apart from {beside}."


def _signed(difference: Mapping[str, Any]) -> str:
    value, low, high = (finite(difference.get(key)) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return ""
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})".replace("-", "\u2212")


def _number(value: Any) -> str:
    told = finite(value)
    return "" if told is None else f"{told:.3f}"


def _charts(arrays: Arrays, shown: Any) -> tuple[list[Chart], list[tuple[str, int]]]:
    """Return a chart for each window that was kept: what came, and what some arms said would."""
    told = shown if isinstance(shown, Mapping) else {}
    arms, titles = ([str(name) for name in told.get(key) or []] for key in ("arms", "titles"))
    picked = [(arms.index(name), name) for name in DRAWN if name in arms[: arrays["predicted"].shape[1]]]
    made: list[Chart] = []
    for i, (past, truth) in enumerate(zip(arrays["past"], arrays["truth"], strict=True)):
        known = [float(value) for value in (*past, *truth)]
        lines = [Line("what came", [(float(t - len(past)), finite(v)) for t, v in enumerate(known)], TRUTH)]
        for style, (arm, name) in enumerate(picked):
            ahead = arrays["predicted"][i, arm].tolist()
            lines.insert(style, Line(arm_label(name), [(float(t), finite(v)) for t, v in enumerate(ahead)], style))
        title = titles[i] if i < len(titles) else f"window {i}"
        chart = line_chart(title, lines, Look(x_name="moments ahead", may_log=False))
        made += [chart] if chart else []
    return made, [*((arm_label(name), style) for style, (_, name) in enumerate(picked)), ("what came", TRUTH)]
