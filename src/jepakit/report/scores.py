"""Read the probe scores of evaluation.json into tables: the model first, its floors beside it, intervals drawn.

Every key is optional here; what the keys mean stands in `jepakit.evaluation.table`. A record that lacks its name, its
arm or a finite value is shown as such or left out, never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jepakit.report.axes import Axis, linear_axis
from jepakit.report.wording import finite, percent, points, spaced

HEADLINES = ("kshot_5", "ridge", "logistic", "knn")
PROBES = {
    "ridge": "Linear probe, ridge",
    "logistic": "Linear probe, logistic",
    "knn": "Nearest-neighbour vote",
    "attentive": "Attentive probe",
}
ARMS = {"jepa": "JEPA"}
SPLITS = {"dev": "development split", "test": "test split"}


@dataclass(frozen=True)
class Score:
    """Hold one row of a probe table.

    Args:
        arm: Whose features were probed.
        value: The score; None where it is not finite.
        low: Lower end of its interval, where there is one.
        high: Upper end.
        is_floor: Whether it is something that the model has to beat.
        chosen: What train data chose.
        dot: Place of the value in percent of the axis; None where it lies off the axis.
        whisker: Place and length of the interval in percent of the axis.
    """

    arm: str
    value: float | None
    low: float | None = None
    high: float | None = None
    is_floor: bool = True
    chosen: str = ""
    dot: float | None = None
    whisker: tuple[float, float] | None = None

    @property
    def label(self) -> str:
        """Return the name of the arm on the page."""
        return arm_label(self.arm)

    @property
    def text(self) -> str:
        """Return the value as the page shows it."""
        return percent(self.value)

    @property
    def interval(self) -> str:
        """Return the interval as the page shows it; empty where there is none, or where it is a point."""
        if self.low is None or self.high is None or self.low == self.high:
            return ""
        return f"{100 * self.low:.1f} to {percent(self.high)}"


@dataclass(frozen=True)
class Task:
    """Hold one probe table: the model first, then its floors from best to worst.

    Args:
        name: The probe.
        label: What was measured.
        scores: The rows.
        ticks: (place, label) of the axis.
        mark: Place of the floor to beat.
        gain: A sentence on how far the model lies above it.
        over: What the intervals cover.
    """

    name: str
    label: str
    scores: list[Score]
    ticks: list[tuple[float, str]]
    mark: float | None
    gain: str
    over: str

    @property
    def ours(self) -> Score | None:
        """Return the row of the model; None where only floors were scored."""
        return next((score for score in self.scores if not score.is_floor), None)


@dataclass(frozen=True)
class ProbeTables:
    """Hold all that the page shows of the probes.

    Args:
        tasks: One table for each probe.
        headline: The one whose number stands beside the verdict.
        split_name: Which part of the labelled images was scored.
        split: A sentence on it.
        protocol: The rule, in sentences.
        features: (arms, where their features come from).
    """

    tasks: list[Task]
    headline: Task | None
    split_name: str
    split: str
    protocol: list[str]
    features: list[tuple[str, str]]


def arm_label(arm: str) -> str:
    """Return the name of an arm on the page."""
    return ARMS.get(arm, spaced(arm))


def probe_label(probe: str) -> str:
    """Return the name of a probe on the page.

    Example:
        >>> probe_label("kshot_1"), probe_label("kshot_5")
        ('1 label a class', '5 labels a class')
    """
    shots = probe.removeprefix("kshot_")
    if shots != probe and shots.isdigit():
        return f"{shots} label{'' if shots == '1' else 's'} a class"
    return PROBES.get(probe, spaced(probe))


def records(evaluation: Any, key: str) -> list[dict[str, Any]]:
    """Return the entries of a list in evaluation.json that are mappings with an arm."""
    entries = evaluation.get(key) if isinstance(evaluation, Mapping) else None
    return [e for e in entries if isinstance(e, dict) and "arm" in e] if isinstance(entries, list) else []


def is_floor(record: Mapping[str, Any]) -> bool:
    """Return whether a score is something that the model has to beat, by its name where the record does not say."""
    told = record.get("is_floor")
    return told if isinstance(told, bool) else record["arm"] != "jepa"


def probe_tables(evaluation: Any) -> ProbeTables | None:
    """Return the probe tables of an evaluation; None where there is no score in it."""
    by_probe: dict[str, list[dict[str, Any]]] = {}
    for record in records(evaluation, "scores"):
        by_probe.setdefault(str(record.get("name", "probe")), []).append(record)
    if not by_probe:
        return None
    gains = {(str(gain.get("name")), str(gain["arm"])): gain for gain in records(evaluation, "gains")}
    protocol = evaluation.get("protocol") if isinstance(evaluation.get("protocol"), dict) else {}
    tasks = [_task(name, rows, gains, protocol) for name, rows in by_probe.items()]
    told = {task.name: task for task in tasks if task.ours and task.ours.value is not None}
    headline = next((told[name] for name in (*HEADLINES, *told) if name in told), None)
    statement = protocol.get("statement")
    sentences = [str(line) for line in statement] if isinstance(statement, list) else []
    split_name = SPLITS.get(str(protocol.get("split")), spaced(str(protocol.get("split") or "")))
    features = _features(records(evaluation, "scores"))
    return ProbeTables(tasks, headline, split_name, _split(split_name, protocol), sentences, features)


def _task(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    gains: Mapping[tuple[str, str], Mapping[str, Any]],
    protocol: Mapping[str, Any],
) -> Task:
    """Order the rows of one probe and place them on a common axis, which chance need not be on."""
    scores = [score_of(row) for row in rows]
    ours, best = next((s for s in scores if not s.is_floor), None), _best_floor(scores)
    gain = gains.get((name, ours.arm)) if ours else None
    told = (s for s in scores if s.is_floor and s.value is not None)
    best = next((s for s in told if gain and s.arm == gain.get("against")), best)
    return task_of(name, probe_label(name), scores, best, _gain(ours, best, gain), over_of(rows, protocol))


def task_of(name: str, label: str, scores: Sequence[Score], best: Score | None, gain: str, over: str) -> Task:
    """Return a table of scores on a common axis: the model, then its floors from best to worst.

    Args:
        name: What was measured, to find it again.
        label: What was measured, in words.
        scores: The rows.
        best: The floor to beat.
        gain: A sentence on how far the model lies above it.
        over: What the intervals cover.
    """
    axis = _axis(scores)
    ours = [score for score in scores if not score.is_floor]
    floors = sorted((s for s in scores if s.is_floor), key=lambda s: -1.0 if s.value is None else -s.value)
    return Task(
        name=name,
        label=label,
        scores=[_placed(score, axis) for score in (*ours, *floors)],
        ticks=[(_place(axis, tick), f"{100 * tick:g}") for tick in axis.ticks],
        mark=None if best is None else _placed(best, axis).dot,
        gain=gain,
        over=over,
    )


def _best_floor(scores: Sequence[Score]) -> Score | None:
    """Return the floor with the highest score that is told."""
    floors = [(s.value, s) for s in scores if s.is_floor and s.value is not None]
    return max(floors, key=lambda pair: pair[0])[1] if floors else None


def score_of(record: Mapping[str, Any]) -> Score:
    """Return the row of a record that has an arm, and may lack all else."""
    return Score(
        arm=str(record["arm"]),
        value=finite(record.get("value")),
        low=finite(record.get("low")),
        high=finite(record.get("high")),
        is_floor=is_floor(record),
        chosen=str(record.get("chosen") or ""),
    )


def _axis(scores: Sequence[Score]) -> Axis:
    """Return an axis over all but chance, which would press the others together, within [0, 1] where they are."""
    shown = [s for s in scores if s.arm != "chance" or len(scores) == 1]
    told = [v for s in shown for v in (s.value, s.low, s.high) if v is not None] or [0.0, 1.0]
    axis = linear_axis(min(told), max(told), 4)
    if max(told) <= 1.0 < axis.high:
        axis = Axis(axis.low, 1.0, tuple(tick for tick in axis.ticks if tick <= 1.0))
    return axis


def _place(axis: Axis, value: float) -> float:
    return round(100 * axis(value), 2)


def _placed(score: Score, axis: Axis) -> Score:
    """Return the score with its places on the axis."""
    dot, whisker = None, None
    if score.value is not None and axis.low <= score.value <= axis.high:
        dot = _place(axis, score.value)
    if dot is not None and score.low is not None and score.high is not None:
        left, right = (min(max(_place(axis, end), 0.0), 100.0) for end in (score.low, score.high))
        whisker = (left, round(right - left, 2))
    return replace(score, dot=dot, whisker=whisker)


def _gain(ours: Score | None, floor: Score | None, gain: Mapping[str, Any] | None) -> str:
    """Say in a sentence how the model compares with its best floor, as strongly as the interval allows."""
    if ours is None or floor is None or ours.value is None or floor.value is None:
        return ""
    beside = f"the best floor, {floor.label} at {floor.text}"
    value, low, high = (finite((gain or {}).get(key)) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return f"{points(ours.value - floor.value)} points against {beside}."
    where = f"({points(low)} to {points(high)}, paired)"
    if low > 0:
        return f"{points(value)} points {where} above {beside}."
    verdict = "This is worse than the floor" if high < 0 else "This cannot be told apart from the floor"
    return f"{points(value)} points {where} against {beside}. {verdict}."


def over_of(rows: Sequence[Mapping[str, Any]], protocol: Mapping[str, Any]) -> str:
    """Say what the intervals of a table cover."""
    row = next((row for row in rows if row.get("n") and row.get("varies")), None)
    if row is None:
        return ""
    level = finite(protocol.get("level"))
    return f"{f'{level:.0%} ' if level else ''}interval over {row['n']} {row['varies']}"


def _split(name: str, protocol: Mapping[str, Any]) -> str:
    """Say on which images the probes were scored."""
    if not name:
        return ""
    num_train, num_test = protocol.get("num_train"), protocol.get("num_test")
    if not isinstance(num_train, int) or not isinstance(num_test, int):
        return f"Scored on the {name}."
    return f"Scored on the {num_test:,} images of the {name}; probes may see the labels of {num_train:,} others."


def _features(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return where the features of each arm come from, arms with the same answer together."""
    arms: dict[str, dict[str, None]] = {}
    for row in rows:
        layer, pooling = str(row.get("layer") or "none"), str(row.get("pooling") or "none")
        if (layer, pooling) != ("none", "none"):
            told = layer if pooling == "none" else f"{layer}; pooling: {pooling.removeprefix('none; ')}"
            arms.setdefault(told, {})[arm_label(str(row["arm"]))] = None
    return [(", ".join(names), told) for told, names in arms.items()]
