"""Score a world model on pairs of clips, one lawful and one not, beside floors that are calibrated as it is.

The floors are the same model without training, the trained encoder's embeddings as if nothing moved, and pixels as if
nothing moved. What differs between the model and a floor is the measure of energy alone: clips for calibration, pairs,
and the one number that stands for a clip (`Surprise.of_clip`) are the same for all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from jepakit.evaluation.energies import Foresees, Measure, foreseen, persisted, pixels_changed
from jepakit.evaluation.expectation import found, likeness, violated
from jepakit.evaluation.intervals import Interval
from jepakit.evaluation.surprise import Calibration, Surprise, calibrate, surprise
from jepakit.types import ClipBatch
from jepakit.worlds.violations.pairs import Pairs

MODEL = "model"
"""The name of the arm that is no floor."""


@dataclass(frozen=True)
class Calibrated:
    """Hold a measure of energy with what is ordinary for it."""

    measure: Measure
    calibration: Calibration

    def surprise(self, clip: ClipBatch, rate: float) -> Surprise:
        """Return how surprising each frame is, marked at a rate of false alarms."""
        return surprise(self.measure, self.calibration, clip, rate)


def measures(method: Foresees, untrained: Foresees, num_horizons: int) -> dict[str, Measure]:
    """Return what is compared by name: the model first, then its floors, each with as many horizons."""
    return {
        MODEL: foreseen(method),
        "untrained": foreseen(untrained),
        "persistence": persisted(method, num_horizons),
        "pixels": pixels_changed(num_horizons),
    }


def calibrated(by_name: Mapping[str, Measure], ordinary: ClipBatch) -> dict[str, Calibrated]:
    """Calibrate measures on the same ordinary clips."""
    return {name: Calibrated(measure, calibrate(measure, ordinary)) for name, measure in by_name.items()}


@dataclass(frozen=True)
class Violated:
    """Hold how surprising violations of one kind are.

    Args:
        arms: P(unlawful clip more surprising than its lawful pair), the model's and each floor's.
        lawful: P(lawful clip more surprising to the model than another ordinary clip).
        found: Share of violations that the model marks at their moment or the frame after.
    """

    arms: Mapping[str, Interval]
    lawful: Interval
    found: Interval


def score_pairs(arms: Mapping[str, Calibrated], pairs: Pairs, others: Float[Tensor, " m"], rate: float) -> Violated:
    """Score every arm on pairs.

    Args:
        arms: The model, under the name `MODEL`, and its floors.
        pairs: Of one kind.
        others: The model's numbers for other ordinary clips, which calibrated nothing.
        rate: Of false alarms, at which moments are marked.
    """
    shares, of_model = {}, None
    for name, arm in arms.items():
        unlawful, lawful = (arm.surprise(clip, rate) for clip in (pairs.unlawful, pairs.lawful))
        shares[name] = violated(unlawful.of_clip, lawful.of_clip)
        if name == MODEL:
            of_model = (likeness(lawful.of_clip, others), found(unlawful.marked, pairs.moment))
    assert of_model is not None
    return Violated(shares, *of_model)


def as_record(told: Violated) -> dict[str, Any]:
    """Return what is told of one kind as it is written into records."""
    shares = {name: _shown(interval) for name, interval in told.arms.items()}
    return {"arms": shares, "lawful": _shown(told.lawful), "found": _shown(told.found)}


def _shown(interval: Interval) -> dict[str, Any]:
    return {"value": interval.value, "low": interval.low, "high": interval.high, "n": interval.n}
