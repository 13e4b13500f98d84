"""Read the evaluation of a world run: how often goals are reached, what it costs, and what fails if anything does.

Every key is optional here. A record that lacks a finite value is shown as such or left out, never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jepakit.report.glossary import term
from jepakit.report.scores import SPLITS, Task, over_of, records, score_of, task_of
from jepakit.report.wording import duration, finite, points, spaced

MEASURES = ("ends", "comes")
"""Success at the last step, which counts, and success at any step, which forgives leaving again."""


@dataclass(frozen=True)
class ArmRow:
    """Hold what one arm took and was told, as text."""

    label: str
    is_ours: bool
    told: str
    per_decision: str
    per_episode: str
    note: str


@dataclass(frozen=True)
class Goals:
    """Hold how often goals are reached.

    Args:
        tasks: One table for each measure of success.
        headline: The one whose number stands beside the verdict.
        rows: Seconds, and what each arm was told.
        gains: Paired differences in sentences.
        about: What was played and when it counts, in sentences.
        split_name: Which episodes were played.
        protocol: The rule, in sentences.
    """

    tasks: list[Task]
    headline: Task | None
    rows: list[ArmRow]
    gains: list[str]
    about: list[str]
    split_name: str
    protocol: list[str]


def goals(evaluation: Any) -> Goals | None:
    """Return how often goals are reached; None where the evaluation is not of a world, or has no arm."""
    arms = records(evaluation, "arms")
    if not arms or evaluation.get("kind") != "world":
        return None
    protocol = evaluation["protocol"] if isinstance(evaluation.get("protocol"), dict) else {}
    gains = [gain for gain in records(evaluation, "gains") if _is_told(gain)]
    tasks = [_task(measure, arms, gains, protocol) for measure in MEASURES]
    tasks = [task for task in tasks if any(score.value is not None for score in task.scores)]
    statement = protocol.get("statement")
    return Goals(
        tasks=tasks,
        headline=next((t for t in tasks if t.name == "ends" and t.ours and t.ours.value is not None), None),
        rows=[_arm_row(arm) for arm in arms],
        gains=[_gain(gain, named=True) for gain in gains],
        about=_about(protocol),
        split_name=SPLITS.get(str(protocol.get("split")), spaced(str(protocol.get("split") or ""))),
        protocol=[str(line) for line in statement] if isinstance(statement, list) else [],
    )


def measure_label(measure: str) -> str:
    """Return the name of a measure of success as a heading."""
    return term(measure).label.capitalize()


def _task(
    measure: str,
    arms: Sequence[Mapping[str, Any]],
    gains: Sequence[Mapping[str, Any]],
    protocol: Mapping[str, Any],
) -> Task:
    """Return the table of one measure; gains are differences of success at the end."""
    rows = [_of_measure(arm, measure) for arm in arms]
    to_beat = _arm_to_beat(arms, measure)
    best = score_of(_of_measure(to_beat, measure)) if to_beat else None
    ours = next((arm["arm"] for arm in arms if not score_of(arm).is_floor), None)
    of_ours = [gain for gain in gains if gain["arm"] == ours and measure == "ends"]
    matching = [gain for gain in of_ours if to_beat and gain.get("against") == to_beat["arm"]]
    gain = next((_gain(gain) for gain in matching + of_ours), "")
    label, over = measure_label(measure), over_of(rows, protocol)
    return task_of(measure, label, [score_of(row) for row in rows], best, gain, over)


def _of_measure(arm: Mapping[str, Any], measure: str) -> dict[str, Any]:
    """Return an arm as a record of one score; of those that were told more than pictures the name says so."""
    told = arm.get(measure)
    name = f"{arm['arm']}, uses labels" if arm.get("uses_labels") is True else arm["arm"]
    kept = {key: told.get(key) for key in ("value", "low", "high", "n", "varies")} if isinstance(told, dict) else {}
    return kept | {"arm": name, "is_floor": score_of(arm).is_floor}


def _arm_to_beat(arms: Sequence[Mapping[str, Any]], measure: str) -> Mapping[str, Any] | None:
    """Return the best floor by a measure among those that see no more than the model does."""
    scored = [
        (value, arm)
        for arm in arms
        if arm.get("uses_labels") is not True
        and score_of(arm).is_floor
        and (value := score_of(_of_measure(arm, measure)).value) is not None
    ]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def _is_told(gain: Mapping[str, Any]) -> bool:
    return all(finite(gain.get(key)) is not None for key in ("value", "low", "high"))


def _gain(gain: Mapping[str, Any], *, named: bool = False) -> str:
    """Say a paired difference of success in a sentence, as strongly as its interval allows."""
    value, low, high = (finite(gain[key]) or 0.0 for key in ("value", "low", "high"))
    who = f"{score_of(gain).label}: " if named else ""
    against = spaced(str(gain.get("against") or "the other"))
    where = f"({points(low)} to {points(high)}, paired)"
    if low > 0:
        return f"{who}{points(value)} points {where} above {against}."
    verdict = f"This is worse than {against}" if high < 0 else f"This cannot be told apart from {against}"
    return f"{who}{points(value)} points {where} against {against}. {verdict}."


def _arm_row(arm: Mapping[str, Any]) -> ArmRow:
    score = score_of(arm)
    told = arm.get("uses_labels")
    return ArmRow(
        label=score.label,
        is_ours=not score.is_floor,
        told="" if not isinstance(told, bool) else "true states" if told else "pictures",
        per_decision=_seconds(arm.get("seconds_per_decision")),
        per_episode=_seconds(arm.get("seconds_per_episode")),
        note=str(arm.get("note") or ""),
    )


def _seconds(value: Any) -> str:
    """Return seconds in the unit in which they can be read; nothing where they were not measured."""
    seconds = finite(value)
    if seconds is None or seconds < 0:
        return ""
    if seconds == 0 or seconds >= 1:
        return duration(seconds)
    return f"{1e3 * seconds:.3g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.3g} µs"


def _about(protocol: Mapping[str, Any]) -> list[str]:
    """Say what was played and what counts, as far as the record tells."""
    num_episodes, num_steps = finite(protocol.get("num_episodes")), finite(protocol.get("num_steps"))
    split = SPLITS.get(str(protocol.get("split")), "")
    sentences = []
    if num_episodes is not None:
        steps = f" of {num_steps:,.0f} steps" if num_steps is not None else ""
        manifest = f" ({protocol['manifest']})" if isinstance(protocol.get("manifest"), str) else ""
        where = f", {split}" if split else ""
        sentences.append(f"{num_episodes:,.0f} episodes{steps}{where}{manifest}.")
    if isinstance(protocol.get("goal"), str):
        sentences.append(f"The goal is {protocol['goal']}.")
    if isinstance(protocol.get("success"), str):
        sentences.append(f"Success: {protocol['success']}.")
    return sentences
