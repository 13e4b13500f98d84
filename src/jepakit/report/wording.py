"""Put numbers, durations and names into the words of a page; what is no finite number is said, never shown as nan."""

import math
from typing import Any

NOT_FINITE = "not finite"


def finite(value: Any) -> float | None:
    """Return a number as float; None where it is no number, or none that is finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def number(value: Any) -> str:
    """Return a number with four significant digits, thousands apart.

    Example:
        >>> number(0.123456), number(1234567), number(12.0), number(3.2e-06), number(None)
        ('0.1235', '1,234,567', '12', '3.2e-6', 'not finite')
    """
    x = finite(value)
    if x is None:
        return NOT_FINITE
    if x == 0:
        return "0"
    if abs(x) < 1e-3 or abs(x) >= 1e9:
        mantissa, exponent = f"{x:.3e}".split("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}"
    if x == int(x):
        return f"{int(x):,}"
    decimals = max(0, 3 - math.floor(math.log10(abs(x))))
    return _trimmed(f"{x:,.{decimals}f}")


def short(value: float) -> str:
    """Return a number for an axis: as few characters as it can be told with.

    Example:
        >>> short(2000), short(0.5), short(1500000), short(1e-05)
        ('2k', '0.5', '1.5M', '1e-5')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return _trimmed(f"{value / size:.2f}") + letter
    if value != 0 and abs(value) < 1e-4:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{_trimmed(mantissa)}e{int(exponent)}"
    return _trimmed(f"{value:.5f}")


def percent(value: Any, decimals: int = 1) -> str:
    """Return a fraction as percent.

    Example:
        >>> percent(0.9304), percent(float("nan"))
        ('93.0%', 'not finite')
    """
    x = finite(value)
    return NOT_FINITE if x is None else f"{100 * x:.{decimals}f}%"


def points(value: float) -> str:
    """Return a difference of two fractions in percentage points, with its sign.

    Example:
        >>> points(0.095), points(-0.004)
        ('+9.5', '\u22120.4')
    """
    text = f"{100 * value:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\u2212")


def duration(seconds: Any) -> str:
    """Return seconds as a person says them.

    Example:
        >>> duration(97.2), duration(7260), duration(3.21)
        ('1 min 37 s', '2 h 1 min', '3.2 s')
    """
    x = finite(seconds)
    if x is None or x < 0:
        return NOT_FINITE
    if x < 60:
        return f"{_trimmed(f'{x:.1f}')} s"
    minutes, rest = divmod(round(x), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    Example:
        >>> plural(1, "file"), plural(2000, "file")
        ('1 file', '2,000 files')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def spaced(name: str) -> str:
    """Return an identifier as words.

    Example:
        >>> spaced("gradient_norm")
        'gradient norm'
    """
    return " ".join(name.replace("_", " ").split())


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
