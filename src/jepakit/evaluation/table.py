"""Run every probe over every arm by one rule, and collect the content of `evaluation.json`.

`Evaluation.to_json()` gives this document; all accuracies are fractions in [0, 1]:

    {"format": 1,
     "protocol": {"split": "dev" | "test", "num_train": int, "num_test": int, "num_classes": int, "seed": int,
                  "level": 0.95, "statement": [sentence, ...], "tried": {probe: settings tried, the same for each arm}},
     "scores": [{"name": probe, "arm": str, "value": x, "low": x, "high": x, "n": int, "varies": str,
                 "layer": str, "pooling": str, "is_floor": bool, "chosen": str}, ...],
     "gains": [{"name": probe, "arm": str, "against": best floor, "value": x, "low": x, "high": x, "n": int,
                "varies": str}, ...],
     "robustness": [{"arm": str, "probe": str, "kind": str, "severity": [int, ...], "clean": interval,
                     "accuracy": [interval, ...], "area": x, "relative": [x | null, ...], "drift": [x, ...],
                     "separation": x}, ...]}

where an interval is {"value", "low", "high", "n", "varies"} and `varies` says what another sample would change ("test
items", "label draws", "nothing"). Probes are "ridge", "logistic", "knn", "attentive", "kshot_1", "kshot_5", "kshot_10";
the arm "chance" stands in each. `chosen` tells what train data chose, e.g. "penalty 0.1".
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.evaluation.arms import Arm
from jepakit.evaluation.intervals import LEVEL, Varies
from jepakit.evaluation.linear import require_labelled
from jepakit.evaluation.probes import EvaluationConfig, Outcome, fit_probes, probe_arm, settings_tried
from jepakit.evaluation.robustness import RobustnessCurve, robustness_curves
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class Score:
    """Hold one cell of the table; fields as in the module's document."""

    name: str
    arm: str
    value: float
    low: float
    high: float
    n: int
    varies: Varies
    layer: str
    pooling: str
    is_floor: bool
    chosen: str = ""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Hold the paired difference between an arm and the best floor under one probe."""

    name: str
    arm: str
    against: str
    value: float
    low: float
    high: float
    n: int
    varies: Varies


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Hold everything that `evaluation.json` says."""

    protocol: Mapping[str, Any]
    scores: tuple[Score, ...]
    gains: tuple[Gain, ...]
    robustness: tuple[RobustnessCurve, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the document described above, of plain lists, numbers and strings."""
        return {
            "format": 1,
            "protocol": dict(self.protocol),
            "scores": [asdict(score) for score in self.scores],
            "gains": [asdict(gain) for gain in self.gains],
            "robustness": [asdict(curve) for curve in self.robustness],
        }


def evaluate_arms(
    arms: Mapping[str, Arm],
    train_labels: Int[Tensor, " train_labels"],
    test_labels: Int[Tensor, " test_labels"],
    num_classes: int,
    config: EvaluationConfig,
) -> Evaluation:
    """Fit every probe on every arm's train features and score it once on the test features.

    Args:
        arms: By name; those with `is_floor` are what the others are compared with. "chance" is added here.
        train_labels: One per train item.
        test_labels: One per test item.
        num_classes: Number of classes.
        config: The one rule.

    Raises:
        UserError: If features and labels do not fit together, or an arm is called "chance".
    """
    if "chance" in arms:
        raise UserError('The arm "chance" is added by the evaluation itself; give yours another name.')
    for arm in arms.values():
        require_labelled(arm.train, train_labels, num_classes)
        require_labelled(arm.test, test_labels, num_classes)
    chance = chance_accuracy(train_labels, test_labels, num_classes)
    outcomes: dict[str, dict[str, Outcome]] = {}
    curves: list[RobustnessCurve] = []
    for name, arm in arms.items():
        fitted = fit_probes(arm, train_labels, num_classes, config)
        outcomes[name] = probe_arm(arm, fitted, train_labels, test_labels, num_classes, config)
        if config.corruptions and arm.corrupted is not None:
            probes = {probe: fit.predict for probe, fit in fitted.items()}
            curves += robustness_curves(
                name, probes, arm.test, arm.corrupted, test_labels, chance, config.corruptions, config.severities
            )
    return Evaluation(
        protocol=_protocol(train_labels, test_labels, num_classes, config),
        scores=_scores(arms, outcomes, chance),
        gains=_gains(arms, outcomes),
        robustness=tuple(curves),
    )


def chance_accuracy(train_labels: Int[Tensor, " n"], test_labels: Int[Tensor, " m"], num_classes: int) -> float:
    """Return the test accuracy of always naming the most frequent train class, at least 1 / number of classes."""
    most_frequent = torch.bincount(train_labels, minlength=num_classes).argmax()
    return max(float((test_labels == most_frequent).double().mean()), 1.0 / num_classes)


def _scores(arms: Mapping[str, Arm], outcomes: Mapping[str, Mapping[str, Outcome]], chance: float) -> tuple[Score, ...]:
    scores = [
        Score(
            name=probe,
            arm=name,
            layer=arms[name].layer,
            pooling="attentive" if probe == "attentive" else arms[name].pooling,
            is_floor=arms[name].is_floor,
            chosen=outcome.chosen,
            **asdict(outcome.interval()),
        )
        for name, of_arm in outcomes.items()
        for probe, outcome in of_arm.items()
    ]
    probes = dict.fromkeys(score.name for score in scores)
    scores += [
        Score(
            name=probe,
            arm="chance",
            value=chance,
            low=chance,
            high=chance,
            n=0,
            varies="nothing",
            layer="none",
            pooling="none",
            is_floor=True,
        )
        for probe in probes
    ]
    return tuple(scores)


def _gains(arms: Mapping[str, Arm], outcomes: Mapping[str, Mapping[str, Outcome]]) -> tuple[Gain, ...]:
    gains = []
    for name, of_arm in outcomes.items():
        for probe, outcome in of_arm.items() if not arms[name].is_floor else ():
            floors = {n: other[probe] for n, other in outcomes.items() if arms[n].is_floor and probe in other}
            if floors:
                best = max(floors, key=lambda n: floors[n].interval().value)
                gains.append(Gain(name=probe, arm=name, against=best, **asdict(outcome.gain_over(floors[best]))))
    return tuple(gains)


def _protocol(
    train_labels: Int[Tensor, " n"], test_labels: Int[Tensor, " m"], num_classes: int, config: EvaluationConfig
) -> dict[str, Any]:
    statement = [
        "Every arm goes through the same probes with the same number of tried settings; encoders are frozen.",
        "Scaling and penalties are chosen on train data alone: ridge by leave-one-item-out error, logistic on a "
        "held-out fifth of the train set. Test labels are only compared with predictions.",
        f"k-shot: {config.num_draws} label draws shared by all arms, rule {config.kshot_rule}; the probe sees the "
        "drawn labels, features are scaled by the unlabelled train set.",
        "Gains are paired, against the floor with the highest accuracy under the same probe; those of k-shot probes "
        "hold for other label draws and other test items.",
        "Robustness: probes fitted on clean features, scored on corrupted test images.",
    ]
    return {
        "split": config.split,
        "num_train": len(train_labels),
        "num_test": len(test_labels),
        "num_classes": num_classes,
        "seed": config.seed,
        "level": LEVEL,
        "statement": statement[: 5 if config.corruptions else 4],
        "tried": settings_tried(config),
    }
