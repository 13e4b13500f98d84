"""Give the floors that tables must pass: their raw features, and gradient-boosted trees, which often win."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.evaluation import Arm, Inputs, fit_trees
from jepakit.evaluation.robustness import Predict
from jepakit.views import TablePreprocess


def table_arms(preprocess: TablePreprocess, inputs: Inputs) -> dict[str, Arm]:
    """Return the arms of raw features and of boosted trees.

    Raw features are numbers as the encoder takes them and a column a category, the mean in the place of what is
    missing; those that are constant in training are left out, which probes by cosine would count. Trees are told of
    numbers, categories and what is missing.

    Args:
        preprocess: How rows are laid out.
        inputs: The labelled rows.
    """
    num_categories = preprocess.num_categories
    num = len(num_categories)

    def laid_out(signal: Tensor) -> Float[Tensor, "n p c"]:
        return preprocess(signal)[:, :, int(preprocess.reg) :, 0].cpu()

    train = laid_out(inputs.train)
    planes = torch.cat((train[:, :1], train[:, 2:]), dim=1).flatten(1)
    varies = planes.amax(dim=0) > planes.amin(dim=0)

    def raw(signal: Tensor) -> Float[Tensor, "n d"]:
        x = laid_out(signal)
        return torch.cat((x[:, :1], x[:, 2:]), dim=1).flatten(1)[:, varies]

    def for_trees(signal: Tensor) -> Float[Tensor, "n d"]:
        """Return values, then what was measured: finite numbers, between which robustness can be compared."""
        x = laid_out(signal)
        return torch.cat((x[:, 0] + x[:, 2:].argmax(dim=1) if x.shape[1] > 2 else x[:, 0], x[:, 1]), dim=1)

    def trees(x: Float[Tensor, "n d"], y: Int[Tensor, " n"], num_classes: int) -> Predict:
        predict = fit_trees(_with_missing(x, num), y, num_classes, num_categories)
        return lambda features: predict(_with_missing(features, num))

    def arm(features: Callable[[Tensor], Tensor], **own: object) -> Arm:
        return Arm(
            train=features(inputs.train)[:, None],
            test=features(inputs.test),
            layer="raw features",
            is_floor=True,
            corrupted=None
            if inputs.corrupt is None
            else lambda kind, severity: features(inputs.corrupted(kind, severity)),
            **own,  # type: ignore[arg-type]
        )

    return {
        "raw features": arm(raw, pooling="none"),
        "boosted trees": arm(for_trees, pooling="none; trees in the place of every probe", classifier=trees),
    }


def _with_missing(x: Float[Tensor, "n d"], num: int) -> Float[Tensor, "n c"]:
    return torch.where(x[:, num:] > 0, x[:, :num], torch.nan)
