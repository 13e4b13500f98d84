"""Read the health verdicts of a run: the one that stands, and those along the way."""

from dataclasses import dataclass, field
from typing import Any

from jepakit.report.material import Material
from jepakit.report.wording import spaced


@dataclass(frozen=True)
class Verdict:
    """Hold the health verdict of one step in words.

    Args:
        step: When it was given.
        kind: Short name.
        healthy: Whether the embedding is healthy; None where the record does not say.
        sentence: The verdict.
        evidence: What it rests on.
        advice: What to try.
    """

    step: int
    kind: str
    healthy: bool | None
    sentence: str
    evidence: list[str] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Return `good`, `watch`, `bad` or `open`, by which the page draws it."""
        if self.healthy is None:
            return "open"
        if not self.healthy:
            return "bad"
        return "watch" if self.kind == "watch" else "good"

    @property
    def label(self) -> str:
        """Return the short name as the page shows it."""
        words = spaced(self.kind)
        return words if self.healthy is not False or "collapse" in words else f"{words} collapse"


def verdicts(material: Material) -> list[Verdict]:
    """Return the verdict of every health measurement that has one, by rising step."""
    return [
        _verdict(int(row["step"]), row["verdict"]) for row in material.health if isinstance(row.get("verdict"), dict)
    ]


def _verdict(step: int, stored: dict[str, Any]) -> Verdict:
    healthy = stored.get("healthy")
    kind = str(stored.get("kind") or "unnamed")
    return Verdict(
        step=step,
        kind=kind,
        healthy=healthy if isinstance(healthy, bool) else None,
        sentence=str(stored.get("sentence") or f"The embedding was judged {spaced(kind)}."),
        evidence=_sentences(stored.get("evidence")),
        advice=_sentences(stored.get("advice")),
    )


def _sentences(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(item) for item in value] if isinstance(value, list) else []
