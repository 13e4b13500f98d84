"""Say how strong a kind of corruption is at a severity: one rule for images, series, sounds and tables."""

from collections.abc import Mapping, Sequence

from jepakit.types import require


def level_of(what: str, severities: Mapping[str, Sequence[float]], kind: str, severity: int) -> float:
    """Return how strong a kind of corruption is at a severity, from 1 to 5.

    Args:
        what: What is corrupted, as in "of sounds".
        severities: Five levels of each kind.
        kind: Which.
        severity: Which level.

    Raises:
        UserError: The kind or the severity is unknown.
    """
    require(kind in severities, f"There is no corruption {kind!r} of {what}; there are {', '.join(severities)}.")
    require(1 <= severity <= 5, f"A severity is a whole number from 1 to 5, got {severity}.")
    return severities[kind][severity - 1]
