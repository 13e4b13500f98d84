"""Choose which curves of a run are drawn: the loss and its terms, the pace, and health with a line for each space."""

from dataclasses import dataclass
from typing import Any

from jepakit.report.charts import Chart, Line, Look, Points, line_chart
from jepakit.report.glossary import term
from jepakit.report.material import Material
from jepakit.report.wording import finite

TRAINING = ("loss", "energy", "gradient_norm", "learning_rate", "images_per_s")
SPACES = ("encoder", "target", "projector")
HEALTH = ("rankme", "feature_std", "across_share", "within_share", "lidar", "sigreg")
"""The health measures that are shown first, where a run has them; all others can be unfolded."""

SIZES = ("dim", "num_samples", "num_groups")
"""Entries of a measurement that say what was measured and are no measure."""

NUM_STYLES = 6


@dataclass(frozen=True)
class Panel:
    """Hold one chart with what its title means."""

    label: str
    meaning: str
    chart: Chart


@dataclass(frozen=True)
class HealthCurves:
    """Hold the charts of health: the telling ones, the others, and the line style of each space."""

    first: list[Panel]
    others: list[Panel]
    spaces: list[tuple[str, int]]


def training_panels(material: Material) -> list[Panel]:
    """Return one panel for the loss, each of its terms, the energy and the pace of training."""
    terms = sorted({key for row in material.train for key in row if key.startswith("term/")})
    curves = {
        name: [(float(row["step"]), finite(row.get(name))) for row in material.train] for name in (*TRAINING, *terms)
    }
    told_twice = [name for name in terms if any(_same(curves[name], curves[other]) for other in TRAINING)]
    panels = []
    for name in ("loss", *terms, *TRAINING[1:]):
        if name in told_twice:  # the only term of a loss is the loss
            continue
        known = term("clips_per_s" if material.is_world and name == "images_per_s" else name.removeprefix("term/"))
        label = f"term: {known.label}" if name in terms else known.label
        is_noisy = name not in ("learning_rate", "images_per_s")
        chart = line_chart(label, [Line(label, curves[name], style=0 if is_noisy else 5)], Look(smooth=is_noisy))
        panels += [Panel(label, known.meaning, chart)] if chart else []
    return panels


def _same(points: Points, others: Points) -> bool:
    """Return whether two curves would look the same."""
    pairs = [(y, other) for (_, y), (_, other) in zip(points, others, strict=True)]
    return all(y == other or (y and other and abs(y - other) <= 1e-3 * abs(y)) for y, other in pairs)


def health_curves(material: Material) -> HealthCurves | None:
    """Return one panel for each health measure, with a line for each space; None where nothing was measured."""
    table = _by_measure(material)
    found = dict.fromkeys(space for lines in table.values() for space in lines)
    order = [*(space for space in SPACES if space in found), *(space for space in found if space not in SPACES)]
    styles = {space: min(i, NUM_STYLES - 1) for i, space in enumerate(order)}
    look, panels = Look(may_log=False), {}
    for name, lines in table.items():
        chart = line_chart(term(name).label, [Line(s, lines[s], styles[s]) for s in order if s in lines], look)
        if chart:
            panels[name] = Panel(term(name).label, term(name).meaning, chart)
    if not panels:
        return None
    telling = [name for name in HEALTH if name in panels] or list(panels)[:6]
    others = [panel for name, panel in panels.items() if name not in telling]
    legend = [(_with_size(material, space), style) for space, style in styles.items()]
    return HealthCurves([panels[name] for name in telling], others, legend)


def _with_size(material: Material, space: str) -> str:
    """Return the name of a space with the size of its embedding, where that was noted."""
    spaces = material.health[-1].get("spaces")
    values = spaces.get(space) if isinstance(spaces, dict) else None
    dim = finite(values.get("dim")) if isinstance(values, dict) else None
    return space if dim is None else f"{space} ({dim:g} dimensions)"


def _by_measure(material: Material) -> dict[str, dict[str, Points]]:
    """Return the points of each (measure, space), in the order in which they first appear."""
    table: dict[str, dict[str, Points]] = {}
    for row in material.health:
        spaces = row.get("spaces")
        for space, values in spaces.items() if isinstance(spaces, dict) else ():
            for name, value in values.items() if isinstance(values, dict) else ():
                if name not in SIZES and not isinstance(value, (list, dict, str)):
                    table.setdefault(str(name), {}).setdefault(str(space), []).append((_step(row), finite(value)))
    return table


def _step(row: dict[str, Any]) -> float:
    return float(row["step"])
