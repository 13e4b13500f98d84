"""Draw line charts as inline SVG whose colours are the page's, so they follow a light or a dark theme.

Every element is made by ElementTree, which escapes names and values: no text of a file reaches the page as markup.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from markupsafe import Markup

from jepakit.report.axes import Axis, linear_axis, span, value_axis
from jepakit.report.wording import number, short

Points = list[tuple[float, float | None]]

WIDTH, HEIGHT = 360.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 12.0, 10.0, 24.0
MAX_POINTS = 240
MAX_HITS = 60
SMOOTH_FROM = 50
"""A line of at least this many points is drawn thin, with its running mean on top."""


@dataclass(frozen=True)
class Line:
    """Hold one curve.

    Args:
        label: Its name.
        points: (x, y) by rising x; a y of None breaks the line.
        style: Number of its colour and dash in the style sheet.
        band: (x, low, high) of an interval drawn behind it.
        is_dots: Whether it is drawn as dots, one a point, and no line.
    """

    label: str
    points: Points
    style: int = 0
    band: tuple[tuple[float, float, float], ...] = ()
    is_dots: bool = False

    @property
    def drawn(self) -> list[tuple[float, float]]:
        """Return the points that can be drawn."""
        return [(x, y) for x, y in self.points if y is not None]


@dataclass(frozen=True)
class Chart:
    """Hold a finished chart: title, markup, last values, and whether its axis is logarithmic."""

    title: str
    svg: Markup
    is_log: bool
    last: str


@dataclass(frozen=True)
class Look:
    """Say how a chart is drawn.

    Args:
        x_name: What the x axis counts, for the hover text.
        x: The axis of x; spans the points where None.
        y: The value axis; chosen from the values where None.
        unit: What stands behind a value in the hover text.
        smooth: Whether long curves get a running mean.
        may_log: Whether values that are far apart get a logarithmic axis.
    """

    x_name: str = "step"
    x: Axis | None = None
    y: Axis | None = None
    unit: str = ""
    smooth: bool = False
    may_log: bool = True


def line_chart(title: str, lines: Sequence[Line], look: Look | None = None) -> Chart | None:
    """Draw curves over a common x axis; None where not one point is finite.

    Args:
        title: What is measured.
        lines: The curves; the first is drawn last, on top.
        look: How to draw; plain where None.
    """
    look = look or Look()
    lines = [line for line in lines if line.drawn]
    if not lines:
        return None
    xs = [x for line in lines for x, _ in line.drawn]
    values = [v for line in lines for _, v in line.drawn] + [v for line in lines for b in line.band for v in b[1:]]
    frame = _Frame(look.x or _span(xs), look.y or value_axis(values, may_log=look.may_log))
    svg = ET.Element("svg", {"viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "role": "img", "class": "chart"})
    name = "{}: " if len(lines) > 1 else ""
    last = ", ".join(name.format(line.label) + number(line.drawn[-1][1]) + look.unit for line in lines)
    svg.set("aria-label", f"{title}, last {last}")
    _draw_axes(svg, frame, xs[0])
    for line in reversed(lines):
        _draw_line(svg, frame, line, look.smooth and len(line.drawn) >= SMOOTH_FROM)
    _draw_hits(svg, frame, lines, look)
    return Chart(title, Markup(ET.tostring(svg, encoding="unicode")), frame.y.is_log, last)


def _span(xs: Sequence[float]) -> Axis | None:
    """Return the axis of x, from zero where the points begin near it; None where they all share one place."""
    first, last = span(xs)
    first = 0.0 if 0 < first < 0.5 * last else first
    return linear_axis(first, last, 4, snap=False) if last > first else None


@dataclass(frozen=True)
class _Frame:
    """Place values on the canvas."""

    x: Axis | None
    y: Axis

    def left(self, x: float) -> float:
        share = 0.5 if self.x is None else min(max(self.x(x), 0.0), 1.0)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def top(self, y: float) -> float:
        share = min(max(self.y(y), -0.02), 1.02)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def path(self, points: Points) -> str:
        """Return the path through the points, lifted where a value is missing."""
        words, lift = [], True
        for x, y in points:
            if y is not None:
                words.append(f"{'M' if lift else 'L'}{self.left(x):.1f} {self.top(y):.1f}")
            lift = y is None
        return " ".join(words)


def _draw_axes(svg: ET.Element, frame: _Frame, only_x: float) -> None:
    for tick in frame.y.ticks:
        top = f"{frame.top(tick):.1f}"
        ET.SubElement(svg, "path", {"d": f"M{LEFT:g} {top} H{WIDTH - RIGHT:g}", "class": "grid"})
        _text(svg, short(tick), LEFT - 6, frame.top(tick) + 3.5, "end")
    for tick in frame.x.ticks if frame.x else (only_x,):
        left = frame.left(tick)
        anchor = "end" if left > WIDTH - RIGHT - 14 else "middle"
        _text(svg, short(tick), min(left, WIDTH - 2), HEIGHT - 8, anchor)


def _text(svg: ET.Element, text: str, x: float, y: float, anchor: str) -> None:
    ET.SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}).text = text


def _draw_line(svg: ET.Element, frame: _Frame, line: Line, smooth: bool) -> None:
    """Draw the band, the line (twice where it is smoothed) and a dot at its end."""
    group = ET.SubElement(svg, "g", {"class": f"line s{line.style}"})
    if line.band:
        there = [f"{frame.left(x):.1f} {frame.top(low):.1f}" for x, low, _ in line.band]
        back = [f"{frame.left(x):.1f} {frame.top(high):.1f}" for x, _, high in reversed(line.band)]
        ET.SubElement(group, "path", {"d": "M" + " L".join(there + back) + "Z", "class": "band"})
    if line.is_dots:
        for x, y in line.drawn:
            _draw_dot(group, frame, x, y)
        return
    points = thinned(line.points)
    if smooth:
        ET.SubElement(group, "path", {"d": frame.path(points), "class": "raw"})
        points = thinned(running_mean(line.points))
    ET.SubElement(group, "path", {"d": frame.path(points), "class": "main"})
    _draw_dot(group, frame, *next((x, y) for x, y in reversed(points) if y is not None))


def _draw_dot(group: ET.Element, frame: _Frame, x: float, y: float) -> None:
    ET.SubElement(group, "circle", {"cx": f"{frame.left(x):.1f}", "cy": f"{frame.top(y):.1f}", "r": "3"})


def _draw_hits(svg: ET.Element, frame: _Frame, lines: Sequence[Line], look: Look) -> None:
    """Lay invisible columns over the chart; hovering one tells the values there."""
    told: dict[float, list[str]] = {}
    for line in lines:
        name = f"{line.label}: " if len(lines) > 1 else ""
        for x, y in line.points:
            told.setdefault(x, []).append(name + number(y) + (look.unit if y is not None else ""))
    xs = sorted(told)
    xs = [xs[round(i * (len(xs) - 1) / (MAX_HITS - 1))] for i in range(MAX_HITS)] if len(xs) > MAX_HITS else xs
    for before, x, after in zip([xs[0], *xs], xs, [*xs[1:], xs[-1]], strict=False):
        left, right = frame.left(before / 2 + x / 2), frame.left(x / 2 + after / 2)
        left, right = (left, right) if right - left > 1 else (LEFT, WIDTH - RIGHT)
        place = {
            "x": f"{left:.1f}",
            "y": f"{TOP:g}",
            "width": f"{right - left:.1f}",
            "height": f"{HEIGHT - TOP - BOTTOM:g}",
        }
        hit = ET.SubElement(svg, "rect", place | {"class": "hit"})
        ET.SubElement(hit, "title").text = "\n".join([f"{look.x_name} {number(x)}", *told[x]])


def thinned(points: Points, most: int = MAX_POINTS) -> Points:
    """Return at most `most` points that look the same: the lowest and the highest of each stretch, gaps kept."""
    if len(points) <= most:
        return points
    kept: Points = []
    stretch = -(-2 * len(points) // most)
    for start in range(0, len(points), stretch):
        part = points[start : start + stretch]
        drawn = [i for i, (_, y) in enumerate(part) if y is not None]
        if not drawn:
            kept.append(part[0])
            continue
        ends = {min(drawn, key=lambda i: part[i][1] or 0.0), max(drawn, key=lambda i: part[i][1] or 0.0)}
        kept += [part[i] for i in sorted(ends)]
    return kept


def running_mean(points: Points) -> Points:
    """Return the mean over a window of a twentieth of the curve around each point, over what is finite in it."""
    half = max(1, len(points) // 40)
    sums = list(accumulate((y or 0.0 for _, y in points), initial=0.0))
    counts = list(accumulate((int(y is not None) for _, y in points), initial=0))
    result: Points = []
    for i, (x, y) in enumerate(points):
        first, last = max(0, i - half), min(len(points), i + half + 1)
        mean = (sums[last] - sums[first]) / max(counts[last] - counts[first], 1)
        result.append((x, None if y is None else mean))
    return result
