"""Areas under the ROC curve count pairs that are ordered rightly, and their intervals resample blocks of time."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from jepakit.evaluation.detection import auroc
from jepakit.types import UserError

GENERATOR = torch.Generator().manual_seed(0)
WITHOUT = torch.randn(120, generator=GENERATOR)
WITH = WITHOUT.roll(3) + 0.5 + torch.randn(120, generator=GENERATOR)
BLOCK = torch.arange(120) // 10


def test_the_area_is_scikit_learns_with_ties() -> None:
    with_, without = WITH.round(), WITHOUT.round()
    found, _ = auroc({"a": (with_, without)}, BLOCK)
    truth = torch.cat((torch.ones(120), torch.zeros(120)))
    assert found["a"].value == pytest.approx(roc_auc_score(truth, torch.cat((with_, without))))
    assert found["a"].low < found["a"].value < found["a"].high
    assert found["a"].n == 12


def test_one_detector_against_itself_differs_by_nothing_and_a_better_one_by_more() -> None:
    scores = {"a": (WITH, WITHOUT), "same": (WITH, WITHOUT), "better": (WITH + 3.0, WITHOUT)}
    _, differences = auroc(scores, BLOCK, (("a", "same"), ("better", "a")))
    assert (differences["a", "same"].low, differences["a", "same"].high) == (0.0, 0.0)
    assert differences["better", "a"].low > 0.1


def test_blocks_that_agree_within_make_the_interval_wider() -> None:
    shift = torch.randn(12, generator=GENERATOR).repeat_interleave(10)
    scores = {"a": (WITHOUT.roll(1) + 1.5 * shift, WITHOUT)}
    alone, _ = auroc(scores, torch.arange(120))
    together, _ = auroc(scores, BLOCK)
    assert together["a"].high - together["a"].low > 1.3 * (alone["a"].high - alone["a"].low)


def test_what_cannot_be_scored_is_said() -> None:
    with pytest.raises(UserError, match="at least 2"):
        auroc({"a": (WITH, WITHOUT)}, torch.zeros(120, dtype=torch.long))
    with pytest.raises(UserError, match="NaN"):
        auroc({"a": (WITH * torch.nan, WITHOUT)}, BLOCK)
