"""Say in plain words what `experiment pixels-vs-embeddings` found; every word is chosen by the numbers.

Arms are compared in pairs, an embedding arm with an input arm, seed by seed: one is ahead where the 95% interval of the
difference leaves zero out. What is said first rests on the comparisons beside detail that cannot be predicted; then
what slow, predictable distractors do, where predicting embeddings has no reason to look away.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jepakit.evaluation.intervals import Interval
from jepakit.report.thesis_records import EMBEDDINGS, INPUTS, LABELS, Place, Records
from jepakit.report.wording import plural

LOSS = 0.1
"""R2 that must be lost for nuisance to count as having cost something."""


@dataclass(frozen=True)
class Compared:
    """Hold an embedding arm beside an input arm: the interval of the difference, above zero where embeddings lead."""

    place: Place
    ours: str
    theirs: str
    difference: Interval

    @property
    def outcome(self) -> str:
        """Return `ahead`, `behind` or `level` of the embedding arm."""
        return "ahead" if self.difference.low > 0 else "behind" if self.difference.high < 0 else "level"


@dataclass(frozen=True)
class Verdict:
    """Hold what the page says first.

    Args:
        state: `good` where embeddings lead, `bad` where they trail, `watch` where it is mixed, `open` if undecided.
        label: The same in a few words.
        sentence: The answer to the question.
        evidence: What it rests on, a sentence each.
    """

    state: str
    label: str
    sentence: str
    evidence: tuple[str, ...]


def verdict(records: Records) -> Verdict:
    """Return the verdict of an experiment's records."""
    noisy = [pair for place in unpredictable(records) for pair in compare(records, place)]
    state, label, sentence = _answer(noisy)
    return Verdict(state, label, f"{sentence} {_weakness(records)}".strip(), tuple(_evidence(records)))


def unpredictable(records: Records) -> list[Place]:
    """Return the places with the most detail that cannot be predicted."""
    level = records.levels("iid")[-1]
    return [Place("nuisance", "iid", level), Place("moving-digits", "noise"), Place("two-rooms", "noise")]


def compare(records: Records, place: Place) -> list[Compared]:
    """Return every embedding arm beside every input arm of a place."""
    measure, arms = measure_of(place), records.arms(place)
    pairs = [(ours, theirs) for ours in arms if ours in EMBEDDINGS for theirs in arms if theirs in INPUTS]
    found = [(ours, theirs, records.difference(place, ours, theirs, measure)) for ours, theirs in pairs]
    return [Compared(place, ours, theirs, interval) for ours, theirs, interval in found if interval is not None]


def measure_of(place: Place) -> str:
    """Return what counts at a place."""
    return "state" if place.part == "nuisance" else "position"


def _answer(pairs: Sequence[Compared]) -> tuple[str, str, str]:
    """Return state, label and sentence for comparisons beside detail that cannot be predicted."""
    ahead, behind = (sum(pair.outcome == outcome for pair in pairs) for outcome in ("ahead", "behind"))
    counted = f"ahead in {ahead} and behind in {behind} of {plural(len(pairs), 'comparison')}"
    beside = "Beside detail that cannot be predicted,"
    kept = f"{beside} predicting embeddings kept"
    if ahead and not behind:
        return "good", "Embeddings lead", f"{kept} more of what matters than predicting the input: {counted}."
    if behind and not ahead:
        return "bad", "Embeddings lose", f"{kept} less of what matters than predicting the input: {counted}."
    if ahead and behind:
        return "watch", "It depends", f"{kept} now more, now less of what matters than predicting the input: {counted}."
    return "open", "Undecided", f"{kept} no more and no less than predicting the input, as far as these runs can tell."


def _weakness(records: Records) -> str:
    """Return what slow, predictable distractors did to the arms that predict embeddings."""
    falls = {LABELS[arm]: fall for arm in EMBEDDINGS if (fall := lost(records, arm, "slow")) is not None}
    drawn = [label for label, fall in falls.items() if fall.low > LOSS]
    if not falls:
        return ""
    if len(drawn) == len(falls):
        return "Slow, predictable distractors draw every one of them away from the state: a known weakness."
    if not drawn:
        return "That slow, predictable distractors draw them away from the state, a known weakness, was not seen here."
    return f"Slow, predictable distractors draw some of them away from the state: {'; '.join(drawn)}."


def lost(records: Records, arm: str, kind: str) -> Interval | None:
    """Return the R2 of the state that an arm loses from no nuisance to the most of a kind, paired by seed."""
    most = records.levels(kind)[-1]
    both = {
        name: records.told.get(place, {}).get(arm, {})
        for name, place in (("none", records.nuisance(kind, 0)), ("most", records.nuisance(kind, most)))
    }
    if not most or "state" not in both["none"] or "state" not in both["most"]:
        return None
    place = Place("nuisance", kind, most)
    return Records({place: both}, {}, {}, {}).difference(place, "none", "most", "state")


def _evidence(records: Records) -> list[str]:
    """Return what each study found, a sentence each."""
    lines = []
    for kind, words in (("iid", "unpredictable"), ("slow", "slow, predictable")):
        most = records.levels(kind)[-1]
        told = _listed(records, records.nuisance(kind, most))
        if most and told:
            lines += [f"Beside {most} {words} channels, R2 of the state: {told}.", *_fallen(records, kind, words)]
    lines += _holding(records)
    for place in records.told:
        pairs = compare(records, place)
        if place.part != "nuisance" and pairs:
            where = "Moving digits" if place.part == "moving-digits" else "TwoRooms"
            behind = "no background" if place.kind == "none" else f"a background of {place.kind}"
            lines.append(f"{where} before {behind}, the position: {_ended(pairs)}.")
    return lines


def _fallen(records: Records, kind: str, words: str) -> list[str]:
    """Return which arms that nuisance cost more than `LOSS`, and which certainly less."""
    falls = {arm: fall for arm in EMBEDDINGS + INPUTS if (fall := lost(records, arm, kind)) is not None}
    costly = [f"{LABELS[arm]} ({fall.value:.2f})" for arm, fall in falls.items() if fall.low > LOSS]
    free = [f"{LABELS[arm]} ({fall.value:.2f})" for arm, fall in falls.items() if fall.high < LOSS]
    lines = []
    if costly:
        lines.append(f"The {words} channels cost more than {LOSS} of R2: {'; '.join(costly)}.")
    if free:
        lines.append(f"They cost less than {LOSS}: {'; '.join(free)}.")
    return lines


def _holding(records: Records) -> list[str]:
    """Return how much of the slow distractor embeddings hold."""
    place = records.nuisance("slow", records.levels("slow")[-1])
    told = [
        f"{LABELS[arm]} {value.value:.1f}"
        for arm in EMBEDDINGS + INPUTS
        if place.level and (value := records.value(place, arm, "nuisance_held")) is not None
    ]
    return [f"Of the 8 numbers of an embedding the slow channels fill: {'; '.join(told)}."] if told else []


def _listed(records: Records, place: Place) -> str:
    """Return the values of all that learned at a place with their intervals."""
    told = [(arm, records.value(place, arm, measure_of(place))) for arm in EMBEDDINGS + INPUTS]
    return "; ".join(f"{LABELS[arm]} {shown(value)}" for arm, value in told if value is not None)


def shown(value: Interval) -> str:
    """Return a value with its interval."""
    return f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def _ended(pairs: Sequence[Compared]) -> str:
    """Return how comparisons ended, with the difference of each."""
    words = {"ahead": "ahead of", "behind": "behind", "level": "not told apart from"}
    return "; ".join(
        f"{LABELS[pair.ours]} is {words[pair.outcome]} {LABELS[pair.theirs]} ({pair.difference.value:+.3f})".replace(
            "-0", "\u22120"
        )
        for pair in pairs
    )
