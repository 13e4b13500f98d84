"""Boosted trees: what they must find, with missing values, categories and a handful of labels; parity with scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier

from jepakit.evaluation import fit_trees
from jepakit.types import UserError


def test_they_are_scikit_learn_s() -> None:
    x, y = load_wine(return_X_y=True)
    x = x[::2].astype(np.float32)[:, :3]
    by_hand = HistGradientBoostingClassifier(
        max_iter=20, learning_rate=0.25, min_samples_leaf=8, early_stopping=False, random_state=0
    ).fit(x, y[::2])
    predict = fit_trees(torch.from_numpy(x), torch.from_numpy(y[::2]), 3)
    assert predict(torch.from_numpy(x)).tolist() == by_hand.predict(x).tolist()


def test_few_labels_are_enough_for_a_split_and_missing_is_a_value() -> None:
    x = torch.tensor([[0.0, float("nan")], [1.0, float("nan")]]).repeat(5, 1)
    y = torch.tensor([0, 1]).repeat(5)
    predict = fit_trees(x, y, 2)
    assert predict(torch.tensor([[0.0, 3.0], [1.0, float("nan")]])).tolist() == [0, 1]
    by_missing = torch.tensor([[float("nan")], [1.0]]).repeat(5, 1)
    assert fit_trees(by_missing, y, 2)(torch.tensor([[float("nan")], [1.0]])).tolist() == [0, 1]


def test_ten_classes_of_five_labels_take_at_most_twenty_rounds_and_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted: list[HistGradientBoostingClassifier] = []
    fit = HistGradientBoostingClassifier.fit

    def noting(self: HistGradientBoostingClassifier, x: np.ndarray, y: np.ndarray) -> HistGradientBoostingClassifier:
        fitted.append(self)
        return fit(self, x, y)

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", noting)
    y = torch.arange(10).repeat(5)
    x = torch.stack((y % 2, y // 2), dim=1) + 0.1 * torch.randn(50, 2)
    assert float((fit_trees(x, y, 10)(x) == y).float().mean()) > 0.9
    assert [trees.n_iter_ for trees in fitted] == [20]


def test_categories_have_no_order() -> None:
    x = torch.arange(8.0).repeat(40)[:, None]
    y = (x[:, 0].long() % 2 == 1).long()
    assert fit_trees(x, y, 2, (8,))(torch.arange(8.0)[:, None]).tolist() == [0, 1] * 4


def test_what_does_not_fit_together_is_one_sentence() -> None:
    with pytest.raises(UserError, match="one label per row"):
        fit_trees(torch.zeros(3, 2), torch.zeros(2, dtype=torch.long), 2)
