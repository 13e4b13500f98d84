"""Fit each probe to one arm's train features by one fixed rule, and say which test items it gets right."""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.evaluation.arms import Arm
from jepakit.evaluation.attentive import AttentiveConfig, fit_attentive
from jepakit.evaluation.features import SCALINGS
from jepakit.evaluation.intervals import Interval, crossed, over_repeats, paired, wilson
from jepakit.evaluation.knn import predict_knn
from jepakit.evaluation.kshot import Rule, draw_labels, kshot_correct
from jepakit.evaluation.linear import LOGISTIC_GRID, LinearProbe, fit_logistic, fit_ridge
from jepakit.evaluation.ridge import RIDGE_GRID
from jepakit.evaluation.robustness import Predict
from jepakit.types import UserError

Probe = Literal["ridge", "logistic", "knn", "attentive", "kshot"]


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """Fix the rule that every arm goes through.

    Args:
        split: "dev" while anything is still being chosen, "test" once.
        probes: Which probes to fit.
        shots: Labels per class of the k-shot probes.
        num_draws: Label draws of each, shared by all arms.
        kshot_rule: The k-shot classifier.
        num_neighbours: k of the kNN probe.
        temperature: Of the kNN votes.
        attentive: Settings of the attentive probe.
        corruptions: Kinds for the robustness curves; empty for none.
        severities: Levels of each.
        seed: Seed of label draws and probe training.

    Raises:
        UserError: If there is nothing to fit.
    """

    split: Literal["dev", "test"] = "dev"
    probes: tuple[Probe, ...] = ("ridge", "logistic", "knn", "attentive", "kshot")
    shots: tuple[int, ...] = (1, 5, 10)
    num_draws: int = 100
    kshot_rule: Rule = "ridge"
    num_neighbours: int = 20
    temperature: float = 0.07
    attentive: AttentiveConfig = field(default_factory=AttentiveConfig)
    corruptions: tuple[str, ...] = ()
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.probes:
            raise UserError("An evaluation needs at least one probe, got none.")


@dataclass(frozen=True)
class Outcome:
    """Hold which test items were right.

    Args:
        correct: One row for a probe that saw all labels, one row per label draw for a k-shot probe.
        chosen: What train data chose.
    """

    correct: Bool[Tensor, "draws m"]
    chosen: str = ""

    def interval(self) -> Interval:
        """Return the accuracy, over test items or over label draws."""
        if len(self.correct) == 1:
            return wilson(int(self.correct.sum()), self.correct.shape[1])
        mean = over_repeats(self.correct.double().mean(dim=1), "label draws")
        return replace(mean, low=max(0.0, mean.low), high=min(1.0, mean.high))

    def gain_over(self, other: "Outcome") -> Interval:
        """Return the paired difference in accuracy from another arm's outcome of the same probe.

        It is that of other test items too, not of other label draws alone: a hundred draws on one test set would make
        any difference look certain.
        """
        if len(self.correct) == 1:
            return paired(self.correct[0].double(), other.correct[0].double(), "test items")
        return crossed(self.correct.double() - other.correct.double())


@dataclass(frozen=True)
class Fitted:
    """Hold a probe fitted to all train labels of an arm.

    Args:
        predict: Classes of features of this arm.
        chosen: What train data chose.
    """

    predict: Predict
    chosen: str = ""


def fit_probes(arm: Arm, labels: Int[Tensor, " n"], num_classes: int, config: EvaluationConfig) -> dict[str, Fitted]:
    """Fit those of ridge, logistic and kNN that the config names to pooled train features."""
    if arm.classifier is not None:
        own = Fitted(arm.classifier(arm.train[:, 0], labels, num_classes), "a classifier of its own")
        return {name: own for name in ("ridge", "logistic", "knn") if name in config.probes}
    num_copies = arm.train.shape[1]
    x, y = rearrange(arm.train, "n v d -> (n v) d"), repeat(labels, "n -> (n v)", v=num_copies)
    fitted: dict[str, Fitted] = {}
    if "ridge" in config.probes:
        fitted["ridge"] = _linear(fit_ridge(x, y, num_classes, num_copies=num_copies))
    if "logistic" in config.probes:
        fitted["logistic"] = _linear(fit_logistic(x, y, num_classes, num_copies=num_copies, seed=config.seed))
    if "knn" in config.probes:
        vote = partial(_vote, x, y, num_classes, config)
        fitted["knn"] = Fitted(vote, f"k {config.num_neighbours}, temperature {config.temperature:g}")
    return fitted


def _linear(probe: LinearProbe) -> Fitted:
    return Fitted(probe.predict, f"penalty {probe.penalty:g}")


def _vote(
    x: Float[Tensor, "r d"], y: Int[Tensor, " r"], num_classes: int, config: EvaluationConfig, z: Float[Tensor, "m d"]
) -> Int[Tensor, " m"]:
    return predict_knn(x, y, z, num_classes, config.num_neighbours, config.temperature)


def probe_arm(
    arm: Arm,
    fitted: dict[str, Fitted],
    train_labels: Int[Tensor, " n"],
    test_labels: Int[Tensor, " m"],
    num_classes: int,
    config: EvaluationConfig,
) -> dict[str, Outcome]:
    """Score fitted probes on the test features, and fit and score those of attentive and k-shot that are asked for."""
    outcomes = {
        name: Outcome((probe.predict(arm.test) == test_labels)[None], probe.chosen) for name, probe in fitted.items()
    }
    if "attentive" in config.probes and arm.tokens is not None:
        train, test = arm.tokens
        probe = fit_attentive(train, train_labels, num_classes, config.attentive, config.seed)
        outcomes["attentive"] = Outcome((probe.predict(test) == test_labels)[None])
    for k in config.shots if "kshot" in config.probes else ():
        draws = draw_labels(train_labels, num_classes, k, config.num_draws, config.seed)
        if arm.classifier is None:
            correct = kshot_correct(
                arm.train, train_labels, arm.test, test_labels, num_classes, draws, config.kshot_rule
            )
            outcomes[f"kshot_{k}"] = Outcome(correct, config.kshot_rule)
            continue
        predicted = [arm.classifier(arm.train[i, 0], train_labels[i], num_classes)(arm.test) for i in draws]
        outcomes[f"kshot_{k}"] = Outcome(torch.stack(predicted) == test_labels, "a classifier of its own")
    return outcomes


def settings_tried(config: EvaluationConfig) -> dict[str, int]:
    """Return how many settings each probe tries, which is the same for every arm."""
    num_kshot = len(RIDGE_GRID) * len(SCALINGS) if config.kshot_rule == "ridge" else 1
    tried = {
        "ridge": len(RIDGE_GRID) * len(SCALINGS),
        "logistic": len(LOGISTIC_GRID) * len(SCALINGS),
        "knn": 1,
        "attentive": 1,
        "kshot": num_kshot,
    }
    return {name: tried[name] for name in config.probes}
