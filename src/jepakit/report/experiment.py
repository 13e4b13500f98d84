"""Build the page of `experiment pixels-vs-embeddings` from its records: verdict, curves, tables, what was chosen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jepakit.report.axes import Axis
from jepakit.report.charts import Line, Look, line_chart
from jepakit.report.curves import Panel
from jepakit.report.templates import render, write_page
from jepakit.report.thesis import shown, verdict
from jepakit.report.thesis_records import EMBEDDINGS, INPUTS, LABELS, Place, Records, read_records
from jepakit.report.wording import duration, number

DRAWN = ("ema", "sigreg", "vicreg", "next-input", "masked-input", "pca")
"""Arms with a line each, in the order of the line styles; the other floors stand in the tables."""

MEASURES = {
    "state": "R2 of the state",
    "nuisance_held": "numbers filled by the nuisance, of 8",
    "position": "R2 of the position",
    "accuracy": "digit told right",
    "drift": "R2 of the drift of the background",
}
KINDS = {
    "iid": "unpredictable (iid)",
    "slow": "slow, predictable (AR(1))",
    "none": "no background",
    "noise": "noise, new in every frame",
    "texture": "a texture that drifts",
}
PARTS = {"nuisance": "Nuisance channels", "moving-digits": "Moving digits", "two-rooms": "TwoRooms"}


@dataclass(frozen=True)
class Table:
    """Hold a table: what it is of, its columns, and rows of (label, whether it learned, cells)."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, bool, tuple[str, ...]]]


@dataclass(frozen=True)
class _Levels(Axis):
    """Place numbers of channels as far apart as their ratios are, 0 among them."""

    def __call__(self, value: float) -> float:
        return math.log1p(value / 8) / math.log1p(self.high / 8)


def build_experiment(folder: Path | str) -> Path:
    """Write report.html into the folder of an experiment from its records alone, and return its path.

    Raises:
        UserError: The folder holds no whole experiment, or the disk is full.
    """
    return write_page(Path(folder) / "report.html", render("experiment.html", content(read_records(Path(folder)))))


def content(records: Records) -> dict[str, Any]:
    """Return all that the page shows."""
    experiment = records.experiment
    parts = {name: part["seconds"] for name, part in experiment["parts"].items()}
    env = experiment["env"]
    return {
        "verdict": verdict(records),
        "facts": [
            ("seeds", number(experiment["num_seeds"])),
            ("computed in", duration(sum(parts.values()))),
            ("threads", number(env.get("threads"))),
            ("torch", str(env.get("torch"))),
        ],
        "legend": [(LABELS[arm], style) for style, arm in enumerate(DRAWN)],
        "curves": _curves(records),
        "nuisance": [table for kind in ("iid", "slow") if (table := _nuisance_table(records, kind))],
        "held": _held_table(records),
        "digits": _tables(records, "moving-digits"),
        "rooms": _tables(records, "two-rooms"),
        "settings": _settings(records),
        "seconds": [(PARTS.get(name, name), duration(seconds)) for name, seconds in parts.items()],
        "command": str(env.get("command")),
        "env": env,
    }


def _curves(records: Records) -> list[Panel]:
    """Return a chart of R2 against channels for each kind, and one along the training beside most of the first."""
    panels = []
    for kind in ("iid", "slow"):
        levels = records.levels(kind)
        lines = [_line(records, arm, style, kind, levels) for style, arm in enumerate(DRAWN)]
        x = _Levels(0.0, float(levels[-1]), tuple(map(float, levels))) if levels[-1] else None
        y = Axis(0.0, 1.0, (0.0, 0.25, 0.5, 0.75, 1.0))
        chart = line_chart(f"R2 of the state, {KINDS[kind]}", lines, Look("channels", x=x, y=y))
        panels += [Panel(f"R2 of the state against channels: {KINDS[kind]}", "", chart)] if chart else []
    most = records.levels("iid")[-1]
    along = records.path.get(records.nuisance("iid", most), {})
    lines = [
        Line(LABELS[arm], [(float(step), sum(values) / len(values)) for step, values in along[arm]], style)
        for style, arm in enumerate(DRAWN)
        if arm in along
    ]
    chart = line_chart("R2 of the state along the training", lines, Look("step", y=Axis(0.0, 1.0, (0.0, 0.5, 1.0))))
    return panels + ([Panel(f"R2 of the state along the training: {most} iid channels", "", chart)] if chart else [])


def _line(records: Records, arm: str, style: int, kind: str, levels: Sequence[int]) -> Line:
    """Return the curve of an arm with its interval."""
    told = [(level, records.value(records.nuisance(kind, level), arm, "state")) for level in levels]
    known = [(float(level), value) for level, value in told if value is not None]
    points: list[tuple[float, float | None]] = [(level, value.value) for level, value in known]
    return Line(LABELS[arm], points, style, tuple((level, value.low, value.high) for level, value in known))


def _nuisance_table(records: Records, kind: str) -> Table | None:
    """Return R2 of the state for each arm and number of channels."""
    levels = records.levels(kind)
    arms = records.arms(records.nuisance(kind, levels[-1]))
    rows = [(arm, [records.value(records.nuisance(kind, level), arm, "state") for level in levels]) for arm in arms]
    if len(levels) < 2:
        return None
    return Table(
        f"R2 of the state: {KINDS[kind]}",
        ("arm", *(f"{level} channels" for level in levels)),
        [(LABELS[arm], arm in EMBEDDINGS + INPUTS, tuple(shown(v) if v else "" for v in cells)) for arm, cells in rows],
    )


def _held_table(records: Records) -> Table | None:
    """Return how much of an embedding the most nuisance of each kind fills."""
    places = [records.nuisance(kind, records.levels(kind)[-1]) for kind in ("iid", "slow")]
    arms = [arm for arm in records.arms(places[0]) if arm != "raw"]
    if not all(place.level for place in places):
        return None
    cells = {arm: tuple(_cell(records, place, arm, "nuisance_held") for place in places) for arm in arms}
    return Table(
        "Numbers of an embedding filled by the nuisance, of 8",
        ("arm", *(f"{place.level} channels, {KINDS[place.kind]}" for place in places)),
        [(LABELS[arm], arm in EMBEDDINGS + INPUTS, told) for arm, told in cells.items()],
    )


def _tables(records: Records, part: str) -> list[Table]:
    """Return a table for each background of a part."""
    tables = []
    for place in (place for place in records.told if place.part == part):
        measures = [m for m in MEASURES if any(m in told for told in records.told[place].values())]
        rows = [
            (LABELS[arm], arm in EMBEDDINGS + INPUTS, tuple(_cell(records, place, arm, m) for m in measures))
            for arm in records.arms(place)
        ]
        tables.append(Table(KINDS[place.kind], ("arm", *(MEASURES[m] for m in measures)), rows))
    return tables


def _cell(records: Records, place: Place, arm: str, measure: str) -> str:
    value = records.value(place, arm, measure)
    return "" if value is None else shown(value)


def _settings(records: Records) -> Table:
    """Return what was chosen for each arm, from how many settings."""
    rows = [
        (f"{PARTS[part]}: {LABELS[arm]}", True, (number(tried), number(s["learning_rate"]), number(s["knob"])))
        for (part, arm), (s, tried) in records.chosen.items()
    ]
    return Table("What was chosen", ("arm", "settings tried", "learning rate", "second setting"), rows)
