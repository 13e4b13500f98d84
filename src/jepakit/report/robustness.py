"""Read the robustness curves of evaluation.json: accuracy against severity for each kind of corruption, and numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jepakit.report.axes import Axis
from jepakit.report.charts import Line, Look, line_chart
from jepakit.report.curves import Panel
from jepakit.report.scores import HEADLINES, arm_label, probe_label, probe_tables, records
from jepakit.report.wording import finite, number, percent, spaced

CHANCE_STYLE = 5


@dataclass(frozen=True)
class RobustnessRow:
    """Hold the numbers of one arm under one kind of corruption, as text."""

    kind: str
    arm: str
    is_ours: bool
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Robustness:
    """Hold the curves of one probe.

    Args:
        label: The probe.
        panels: One chart for each kind of corruption.
        rows: The numbers.
    """

    label: str
    panels: list[Panel]
    rows: list[RobustnessRow]


@dataclass(frozen=True)
class RobustnessCurves:
    """Hold all that the page shows of robustness: one probe first, others to unfold, and the style of each arm."""

    first: Robustness
    others: list[Robustness]
    arms: list[tuple[str, int]]


COLUMNS = ("clean", "strongest", "area", "relative_robustness", "drift", "separation")


def robustness_curves(evaluation: Any) -> RobustnessCurves | None:
    """Return the robustness curves of an evaluation; None where it has none."""
    curves = [curve for curve in records(evaluation, "robustness") if _points(curve)]
    if not curves:
        return None
    floors = _floors(evaluation)
    arms = list(dict.fromkeys(str(curve["arm"]) for curve in curves))
    arms = [*(arm for arm in arms if arm not in floors), *(arm for arm in arms if arm in floors)]
    styles = {arm: min(i, CHANCE_STYLE - 1) for i, arm in enumerate(arms)}
    probes = list(dict.fromkeys(str(curve.get("probe", "probe")) for curve in curves))
    probes.sort(key=lambda probe: HEADLINES.index(probe) if probe in HEADLINES else len(HEADLINES))
    chance = _chance(evaluation)
    made = [
        _of_probe(p, [c for c in curves if str(c.get("probe", "probe")) == p], styles, floors, chance) for p in probes
    ]
    legend = [(arm_label(arm), style) for arm, style in styles.items()]
    return RobustnessCurves(made[0], made[1:], legend + ([] if chance is None else [("chance", CHANCE_STYLE)]))


def _of_probe(
    probe: str,
    curves: Sequence[Mapping[str, Any]],
    styles: Mapping[str, int],
    floors: set[str],
    chance: float | None,
) -> Robustness:
    panels, rows = [], []
    for kind in dict.fromkeys(str(curve.get("kind", "corruption")) for curve in curves):
        of_kind = sorted(
            (c for c in curves if str(c.get("kind", "corruption")) == kind), key=lambda c: styles[str(c["arm"])]
        )
        severities = sorted({x for curve in of_kind for x, _, _, _ in _points(curve)})
        lines = [_line(curve, styles[str(curve["arm"])]) for curve in of_kind]
        if chance is not None:
            flat: list[tuple[float, float | None]] = [(severities[0], 100 * chance), (severities[-1], 100 * chance)]
            lines.append(Line("chance", flat, CHANCE_STYLE))
        x = Axis(severities[0], severities[-1], tuple(severities)) if len(severities) > 1 else None
        y = Axis(0.0, 100.0, (0.0, 25.0, 50.0, 75.0, 100.0))
        chart = line_chart(spaced(kind), lines, Look(x_name="severity", x=x, y=y, unit="%"))
        panels += [Panel(spaced(kind), "", chart)] if chart else []
        rows += [_row(spaced(kind), curve, floors) for curve in of_kind]
    return Robustness(probe_label(probe), panels, rows)


def _points(curve: Mapping[str, Any]) -> list[tuple[float, float, float | None, float | None]]:
    """Return (severity, accuracy, low, high), clean images first at severity 0; what is not finite is left out."""
    severity, accuracy = curve.get("severity"), curve.get("accuracy")
    pairs = (
        list(zip(severity, accuracy, strict=False)) if isinstance(severity, list) and isinstance(accuracy, list) else []
    )
    told = []
    for x, interval in [(0.0, curve.get("clean")), *pairs]:
        place = finite(x)
        value, low, high = _interval(interval)
        if place is not None and value is not None:
            told.append((place, value, low, high))
    return sorted(told, key=lambda point: point[0])


def _interval(value: Any) -> tuple[float | None, float | None, float | None]:
    if isinstance(value, Mapping):
        return finite(value.get("value")), finite(value.get("low")), finite(value.get("high"))
    return finite(value), None, None


def _line(curve: Mapping[str, Any], style: int) -> Line:
    told = _points(curve)
    band = tuple((x, 100 * low, 100 * high) for x, _, low, high in told if low is not None and high is not None)
    points = [(x, 100 * value) for x, value, _, _ in told]
    return Line(arm_label(str(curve["arm"])), [*points], style, band if style == 0 else ())


def _row(kind: str, curve: Mapping[str, Any], floors: set[str]) -> RobustnessRow:
    """Return the numbers of one curve; relative robustness and drift at the strongest severity."""
    told = _points(curve)
    cells = (
        percent(told[0][1]) if told[0][0] == 0 else "",
        percent(told[-1][1]),
        _cell(curve.get("area"), percent),
        _cell(_last(curve.get("relative")), percent),
        _cell(_last(curve.get("drift")), number),
        _cell(curve.get("separation"), number),
    )
    arm = str(curve["arm"])
    return RobustnessRow(kind, arm_label(arm), arm not in floors, cells)


def _last(values: Any) -> Any:
    return values[-1] if isinstance(values, list) and values else None


def _cell(value: Any, words: Any) -> str:
    return "" if finite(value) is None else str(words(value))


def _floors(evaluation: Any) -> set[str]:
    tables = probe_tables(evaluation)
    if tables is None:
        return {str(curve["arm"]) for curve in records(evaluation, "robustness")} - {"jepa"}
    return {score.arm for task in tables.tasks for score in task.scores if score.is_floor}


def _chance(evaluation: Any) -> float | None:
    return next((finite(s.get("value")) for s in records(evaluation, "scores") if s["arm"] == "chance"), None)
