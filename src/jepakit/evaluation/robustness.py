"""Measure how a probe trained on clean images fares on corrupted ones, and how far the features drift.

Accuracy under corruption alone flatters the bad: a model at chance loses nothing. So each curve carries the accuracy
above chance that is left, and the drift of the features stands beside the distance between classes, which it must not
reach: a collapsed model has no drift, and no distance either.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor

from jepakit.evaluation.intervals import Interval, wilson
from jepakit.types import UserError

Corrupt = Callable[[str, Float[Tensor, "b c h w"], int, Int[Tensor, " b"], int], Float[Tensor, "b c h w"]]
"""Corrupt images in [0, 1]: (kind, images, severity, sample ids, seed), as `jepakit.views.corrupt` does."""

CorruptSource = Callable[[str, Shaped[Tensor, "b ..."], int, Int[Tensor, " b"], int], Shaped[Tensor, "b ..."]]
"""Corrupt samples as they come, uint8 pixels or signals: (kind, samples, severity, sample ids, seed)."""

CorruptedFeatures = Callable[[str, int], Float[Tensor, "n d"]]
"""Give an arm's features of the test images under a kind and severity of corruption."""

Predict = Callable[[Float[Tensor, "n d"]], Int[Tensor, " n"]]


@dataclass(frozen=True, kw_only=True)
class RobustnessCurve:
    """Hold what one arm and probe do under one kind of corruption; lists run along the severities.

    Args:
        arm: Whose features.
        probe: Which probe, trained on clean features.
        kind: Which corruption.
        severity: Levels, from 1.
        clean: Accuracy on clean test images.
        accuracy: Accuracy under each severity, over test items.
        area: Area under accuracy against severity, severity 0 being clean, over the width: in [0, 1].
        relative: (accuracy - chance) / (clean - chance), None where clean accuracy is not above chance.
        drift: Mean 1 - cos between the features of a clean image and its corrupted self.
        separation: Mean 1 - cos between clean features of different classes.
    """

    arm: str
    probe: str
    kind: str
    severity: tuple[int, ...]
    clean: Interval
    accuracy: tuple[Interval, ...]
    area: float
    relative: tuple[float | None, ...]
    drift: tuple[float, ...]
    separation: float


def corrupt_pixels(
    corrupt: Corrupt, kind: str, images: UInt8[Tensor, "n c h w"], severity: int, ids: Int[Tensor, " n"], seed: int
) -> UInt8[Tensor, "n c h w"]:
    """Return corrupted source pixels, rounded, so that every arm preprocesses them as it does clean ones."""
    corrupted = corrupt(kind, images.float() / 255.0, severity, ids, seed)
    return (corrupted.clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)


def robustness_curves(
    arm: str,
    probes: Mapping[str, Predict],
    clean: Float[Tensor, "n d"],
    corrupted: CorruptedFeatures,
    labels: Int[Tensor, " n"],
    chance: float,
    kinds: Sequence[str],
    severities: Sequence[int] = (1, 2, 3, 4, 5),
) -> list[RobustnessCurve]:
    """Return one curve per kind and probe; features under corruption are computed once for all probes.

    Args:
        arm: Name of the arm.
        probes: Fitted on clean train features.
        clean: Features of the clean test images.
        corrupted: Gives features of the same images, in the same order, corrupted.
        labels: Test labels.
        chance: Accuracy without looking at the image.
        kinds: Corruptions.
        severities: Levels, ascending.

    Raises:
        UserError: If there are no severities, or if they do not ascend from above 0.
    """
    if not severities or list(severities) != sorted(set(severities)) or severities[0] <= 0:
        raise UserError(f"Severities must ascend from above 0, got {tuple(severities)}.")
    separation = class_separation(clean, labels)
    curves = []
    for kind in kinds:
        features = [corrupted(kind, severity) for severity in severities]
        drifts = tuple(drift(clean, x) for x in features)
        for probe, predict in probes.items():
            at_zero = _accuracy(predict(clean), labels)
            accuracy = tuple(_accuracy(predict(x), labels) for x in features)
            values = [interval.value for interval in accuracy]
            curves.append(
                RobustnessCurve(
                    arm=arm,
                    probe=probe,
                    kind=kind,
                    severity=tuple(severities),
                    clean=at_zero,
                    accuracy=accuracy,
                    area=area_under([0, *severities], [at_zero.value, *values]),
                    relative=tuple(relative_robustness(value, at_zero.value, chance) for value in values),
                    drift=drifts,
                    separation=separation,
                )
            )
    return curves


def _accuracy(predicted: Int[Tensor, " n"], labels: Int[Tensor, " n"]) -> Interval:
    return wilson(int((predicted == labels).sum()), len(labels))


def area_under(severity: Sequence[int], accuracy: Sequence[float]) -> float:
    """Return the area under the curve by trapezoids, over its width: the mean accuracy along it."""
    x, y = torch.tensor(severity, dtype=torch.float64), torch.tensor(accuracy, dtype=torch.float64)
    return float(torch.trapezoid(y, x) / (x[-1] - x[0]))


def relative_robustness(accuracy: float, clean: float, chance: float) -> float | None:
    """Return the share of the accuracy above chance that corruption leaves; None where there was none to lose."""
    return (accuracy - chance) / (clean - chance) if clean > chance else None


def drift(clean: Float[Tensor, "n d"], corrupted: Float[Tensor, "n d"]) -> float:
    """Return the mean of 1 - cos between each item's clean and corrupted features: 0 if nothing moved."""
    return float((1.0 - F.cosine_similarity(clean.double(), corrupted.double(), dim=1)).mean())


def class_separation(z: Float[Tensor, "n d"], labels: Int[Tensor, " n"]) -> float:
    """Return the mean of 1 - cos over all pairs of items of different classes.

    Computed from class sums of unit vectors, since the pairs' sum is |sum of all|^2 less each class's |sum|^2.

    Raises:
        UserError: If all items are of one class.
    """
    unit = F.normalize(z.double(), dim=1)
    counts = torch.bincount(labels).double()
    sums = unit.new_zeros(len(counts), z.shape[1]).index_add(0, labels, unit)
    num_pairs = counts.sum().square() - counts.square().sum()
    if float(num_pairs) == 0.0:
        raise UserError("Classes are compared, but all test items are of one class.")
    return float(1.0 - (sums.sum(dim=0).square().sum() - sums.square().sum()) / num_pairs)
