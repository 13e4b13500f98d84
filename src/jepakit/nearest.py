"""Find the known name that a mistyped one is nearest to, upper and lower case alike; needs no torch."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name most like `name`, or None where none is like it.

    Args:
        name: What was given.
        known: What there is.
        cutoff: How alike they must be, from 0 to 1.

    Example:
        >>> nearest("Digits-IJEPA", ["digits-ijepa", "digits-pixels"])
        'digits-ijepa'
    """
    by_folded: dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), candidate)
    near = difflib.get_close_matches(name.casefold(), by_folded, 1, cutoff)
    return by_folded[near[0]] if near else None
