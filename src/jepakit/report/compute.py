"""Draw the curves of several runs over equal compute: seconds of training, or images seen."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from jepakit.report.charts import Line, Look, Points, line_chart
from jepakit.report.curves import NUM_STYLES, Panel
from jepakit.report.glossary import term
from jepakit.report.material import Material
from jepakit.report.wording import finite

HEALTH = ("rankme", "feature_std", "across_share")
SPACE = "encoder"

Clock: TypeAlias = Callable[[float], float | None]
"""Tell the compute that a run had used at a step; None where it is not known."""


def seconds_spent(material: Material) -> Clock:
    """Return the training seconds of a run as a function of the step, straight lines between log points."""
    known = {0.0: 0.0}
    for row in material.train:
        seconds = finite(row.get("seconds"))
        if seconds is not None:
            known[float(row["step"])] = seconds
    steps, spent = list(known), list(known.values())
    return lambda step: float(np.interp(step, steps, spent)) if step <= steps[-1] else None


def images_seen(material: Material) -> Clock:
    """Return the images seen by a run as a function of the step; None where the batch size is not known."""
    batch_size = finite(material.section("training").get("batch_size"))
    return lambda step: None if batch_size is None else step * batch_size


def equal_compute(
    materials: Sequence[Material],
    labels: Sequence[str],
    clock: Callable[[Material], Clock],
    x_name: str,
) -> list[Panel]:
    """Return charts of health, loss and energy of all runs over a common measure of compute."""
    panels = []
    for name in (*HEALTH, "loss", "energy"):
        lines = [
            Line(label, _curve(m, name, clock(m)), min(i, NUM_STYLES - 1))
            for i, (m, label) in enumerate(zip(materials, labels, strict=True))
        ]
        label = f"{term(name).label}, {SPACE}" if name in HEALTH else term(name).label
        chart = line_chart(label, lines, Look(x_name=x_name, smooth=name not in HEALTH, may_log=name not in HEALTH))
        panels += [Panel(label, term(name).meaning, chart)] if chart else []
    return panels


def _curve(material: Material, name: str, at: Clock) -> Points:
    told: Points = []
    for row in material.health if name in HEALTH else material.train:
        x = at(float(row["step"]))
        spaces = row.get("spaces")
        values = (spaces.get(SPACE) if isinstance(spaces, dict) else None) if name in HEALTH else row
        if x is not None and isinstance(values, dict):
            told.append((x, finite(values.get(name))))
    return told
