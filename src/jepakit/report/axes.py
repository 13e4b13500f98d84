"""Choose where an axis begins, ends and is labelled, on a linear or a logarithmic scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOG_FROM_RATIO = 30.0
"""Positive values that spread over more than this ratio are drawn on a logarithmic axis."""


LARGEST = 1e150
"""Values beyond are drawn at the edge, so that no difference overflows."""


@dataclass(frozen=True)
class Axis:
    """Map values to [0, 1] and name the round values in between.

    Args:
        low: Value at 0.
        high: Value at 1, above `low`.
        ticks: Labelled values, rising.
        is_log: Whether equal ratios take equal room.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value along the axis."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value / 2 - self.low / 2) / (self.high / 2 - self.low / 2)  # halves cannot overflow


def linear_axis(low: float, high: float, num_ticks: int = 4, *, snap: bool = True) -> Axis:
    """Return an axis over [low, high] with round ticks; `snap` widens it to the ticks around.

    Example:
        >>> linear_axis(0.13, 0.88).ticks
        (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, 1 / LARGEST):  # flat, as far as an axis can tell
        margin = 0.1 * size if size > 1 / LARGEST else 1.0
        low, high = low - margin, high + margin
    step = _round_step((high - low) / num_ticks)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(i * step, 12) if step > 1e-9 else i * step for i in range(first, last + 1))
    if snap:
        return Axis(ticks[0], ticks[-1], ticks)
    return Axis(low, high, tuple(t for t in ticks if low - 1e-9 * step <= t <= high + 1e-9 * step))


def log_axis(low: float, high: float) -> Axis:
    """Return an axis over positive values whose ticks are powers of ten, thinned to about five.

    Example:
        >>> log_axis(0.002, 3.0).ticks
        (0.001, 0.01, 0.1, 1.0, 10.0)
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    stride = math.ceil((last - first) / 5)
    return Axis(10.0**first, 10.0**last, tuple(10.0**e for e in range(first, last + 1, stride)), is_log=True)


def span(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and the greatest value, neither beyond `LARGEST`."""
    return max(min(*values, LARGEST), -LARGEST), min(max(*values, -LARGEST), LARGEST)


def value_axis(values: Sequence[float], *, may_log: bool = True) -> Axis:
    """Return the axis that shows these finite values best, logarithmic (if it may be) where they are far apart."""
    low, high = span(values)
    if may_log and low > 1 / LARGEST and high / low >= LOG_FROM_RATIO:
        return log_axis(low, high)
    if low > 0 and low < 0.35 * high:
        low = 0.0  # so near to zero that leaving it out would mislead
    return linear_axis(low, high)


def _round_step(raw: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5, 10 times a power of ten that is at least `raw`."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * (1 - 1e-9))
