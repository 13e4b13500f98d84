"""Axes and line charts: round ticks around the values, points where they belong, light however long the run."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepakit.report.axes import Axis, linear_axis, value_axis
from jepakit.report.charts import (
    HEIGHT,
    LEFT,
    MAX_HITS,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    Look,
    line_chart,
    running_mean,
    thinned,
)

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(FINITE, min_size=1, max_size=6), st.booleans())
def test_every_axis_holds_its_values(values: list[float], may_log: bool) -> None:
    axis = value_axis(values, may_log=may_log)
    assert axis.high > axis.low
    assert 2 <= len(axis.ticks) <= 12
    assert list(axis.ticks) == sorted(set(axis.ticks))
    if max(abs(v) for v in values) < 1e150:
        for value in values:
            assert -1e-6 <= axis(value) <= 1 + 1e-6


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10**9), st.none() | FINITE), max_size=80))
def test_any_curve_is_drawn_as_whole_xml_or_not_at_all(points: list[tuple[int, float | None]]) -> None:
    line = Line("a", sorted(((float(x), y) for x, y in points), key=lambda p: p[0]))
    chart = line_chart("<&>", [line], Look(smooth=True))
    assert (chart is None) == (not line.drawn)
    if chart:
        svg = ET.fromstring(chart.svg)
        assert "nan" not in chart.svg
        assert "inf" not in chart.svg.replace("infinity", "")
        assert svg.get("aria-label", "").startswith("<&>, last ")


def test_far_apart_positive_values_get_decades() -> None:
    axis = value_axis([0.002, 3.0])
    assert axis.is_log
    assert axis.ticks == (0.001, 0.01, 0.1, 1.0, 10.0)
    assert axis(0.1) == pytest.approx(0.5)
    assert not value_axis([0.002, 3.0], may_log=False).is_log
    assert not value_axis([-1.0, 3000.0]).is_log


def test_near_values_are_not_pressed_flat_and_low_ones_start_at_zero() -> None:
    assert value_axis([0.91, 0.95]).low >= 0.9
    assert value_axis([0.2, 0.95]).low == 0.0
    assert linear_axis(5.0, 5.0).low < 5.0 < linear_axis(5.0, 5.0).high


def coordinates(svg: str) -> list[tuple[float, float]]:
    path = re.search(r'd="([^"]+)" class="main"', svg)
    assert path
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path[1])]


def test_points_lie_where_their_values_say() -> None:
    frame = Look(x=Axis(0.0, 10.0, (0.0, 10.0)), y=Axis(0.0, 1.0, (0.0, 1.0)))
    chart = line_chart("t", [Line("a", [(0.0, 0.0), (5.0, 0.5), (10.0, 1.0)])], frame)
    assert chart
    bottom = HEIGHT - 24
    middle = ((LEFT + WIDTH - RIGHT) / 2, (bottom + TOP) / 2)
    assert coordinates(chart.svg) == [(LEFT, bottom), middle, (WIDTH - RIGHT, TOP)]


def test_hovering_tells_the_logged_values_and_the_last_is_said() -> None:
    lines = [Line("ours", [(0.0, 0.25), (5.0, 0.123456)]), Line("floor", [(0.0, None), (5.0, 7.0)], 1)]
    chart = line_chart("accuracy", lines, Look(x_name="severity", unit="%"))
    assert chart
    titles = [t.text for t in ET.fromstring(chart.svg).iter("title")]
    assert titles == ["severity 0\nours: 0.25%\nfloor: not finite", "severity 5\nours: 0.1235%\nfloor: 7%"]
    assert chart.last == "ours: 0.1235%, floor: 7%"


def test_long_runs_stay_light_and_keep_their_extremes() -> None:
    points = [(float(i), 0.5 if i != 4321 else 9.0) for i in range(20_000)]
    assert len(thinned(points)) <= 240
    assert (4321.0, 9.0) in thinned(points)
    chart = line_chart("loss", [Line("loss", points)], Look(smooth=True))
    assert chart
    assert len(chart.svg) < 20_000
    assert chart.svg.count("<title>") == MAX_HITS


def test_gaps_survive_thinning() -> None:
    points = [(float(i), None if 1000 <= i < 2000 else 1.0) for i in range(3000)]
    assert any(y is None for _, y in thinned(points))


def test_running_mean_is_the_mean_of_its_window() -> None:
    points = [(float(i), float(i % 2)) for i in range(80)]
    smooth = [y for _, y in running_mean(points)]
    assert smooth[40] == pytest.approx(sum(i % 2 for i in range(38, 43)) / 5)
    assert [y for _, y in running_mean([(float(i), 3.0) for i in range(9)])] == [3.0] * 9
    assert running_mean([(0.0, 1.0), (1.0, None), (2.0, 3.0)])[1] == (1.0, None)
