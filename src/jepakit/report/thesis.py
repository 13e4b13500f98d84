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
"""R2 of the state that nuisance may cost an arm and still leave it as it was."""


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
    """Return what slow, predictable distractors did to the arms, those that predict embeddings first."""
    ours, theirs = _drawn(records, EMBEDDINGS), _drawn(records, INPUTS)
    drawn, beside = [arm for arm, is_drawn in ours.items() if is_drawn], [arm for arm in theirs if theirs[arm]]
    if not ours:
        return ""
    if not drawn:
        return "That slow, predictable distractors draw them away from the state, a known weakness, was not seen here."
    others = "; ".join(LABELS[arm] for arm in beside) if 0 < len(beside) < len(theirs) else "all" if beside else "none"
    which = "every one of them" if len(drawn) == len(ours) else f"some of them ({'; '.join(LABELS[a] for a in drawn)})"
    return (
        f"Slow, predictable distractors draw {which} away from the state, a known weakness, "
        f"and of those that predict the input {others}."
    )


def _drawn(records: Records, arms: Sequence[str]) -> dict[str, bool]:
    """Return for each arm whether the most slow channels cost it more than `LOSS`."""
    most = records.levels("slow")[-1]
    return {arm: fall.low > LOSS for arm in arms if (fall := lost(records, arm, "slow", most)) is not None}


def lost(records: Records, arm: str, kind: str, level: int) -> Interval | None:
    """Return the R2 of the state that an arm loses from no nuisance to so many channels of a kind, paired by seed."""
    ends = {
        name: records.told.get(place, {}).get(arm, {})
        for name, place in (("none", records.nuisance(kind, 0)), ("some", records.nuisance(kind, level)))
    }
    if not level or "state" not in ends["none"] or "state" not in ends["some"]:
        return None
    place = Place("nuisance", kind, level)
    return Records({place: ends}, {}, {}, {}).difference(place, "none", "some", "state")


def _evidence(records: Records) -> list[str]:
    """Return what each study found, a sentence each."""
    lines = []
    for kind, words in (("iid", "unpredictable"), ("slow", "slow, predictable")):
        most = records.levels(kind)[-1]
        told = _listed(records, records.nuisance(kind, most))
        if most and told:
            lines += [f"Beside {most} {words} channels, R2 of the state: {told}.", _borne(records, kind, words)]
    lines += _holding(records)
    for place in records.told:
        pairs = compare(records, place)
        if place.part != "nuisance" and pairs:
            where = "Moving digits" if place.part == "moving-digits" else "TwoRooms"
            behind = "no background" if place.kind == "none" else f"a background of {place.kind}"
            lines.append(f"{where} before {behind}, the position: {_ended(pairs)}.")
    return lines


def _borne(records: Records, kind: str, words: str) -> str:
    """Return for each arm how many channels of a kind, and all fewer, certainly cost it less than `LOSS`."""
    told = []
    for arm in EMBEDDINGS + INPUTS:
        falls = [(level, lost(records, arm, kind, level)) for level in records.levels(kind)[1:]]
        costly = [level for level, fall in falls if fall is not None and fall.high >= LOSS]
        free = [level for level, fall in falls if fall is not None and not any(c <= level for c in costly)]
        if any(fall is not None for _, fall in falls):
            told.append(f"{LABELS[arm]} {free[-1] if free else 'none'}")
    return f"So many {words} channels certainly cost less than {LOSS} of R2: {'; '.join(told)}."


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
    return f"{rounded(value.value)} [{rounded(value.low)}, {rounded(value.high)}]"


def rounded(value: float, form: str = ".2f") -> str:
    """Return a number without a sign where it is zero once it is rounded.

    Example:
        >>> rounded(-0.001), rounded(-0.5), rounded(0.25, "+.1f")
        ('0.00', '\u22120.50', '+0.2')
    """
    text = f"{value:{form}}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "\u2212")


def _ended(pairs: Sequence[Compared]) -> str:
    """Return how comparisons ended, with the difference of each."""
    words = {"ahead": "ahead of", "behind": "behind", "level": "not told apart from"}
    return "; ".join(
        f"{LABELS[pair.ours]} is {words[pair.outcome]} {LABELS[pair.theirs]} ({rounded(pair.difference.value, '+.3f')})"
        for pair in pairs
    )
