import numpy as np
import pytest
import torch

from jepakit.evaluation.features import Scaler
from jepakit.evaluation.kshot import draw_labels, kshot_correct
from jepakit.evaluation.linear import fit_ridge
from jepakit.random import Stream
from jepakit.types import UserError

CLASSES = 4


def blobs(num: int, d: int = 8, noise: float = 2.0, seed: int = 0):
    labels = torch.arange(num) % CLASSES
    centre = 2.0 * Stream(9, "centre").normal(0, torch.arange(CLASSES), d)
    return centre[labels] + noise * Stream(seed, "test").normal(0, torch.arange(num), d), labels


def always(train: torch.Tensor):
    """Return makers of scalers that know all train features, whatever they are given."""
    scalers = [make(train) for make in (Scaler.centring, Scaler.standardising)]
    return tuple((lambda _, scaler=scaler: scaler) for scaler in scalers)


X, Y = blobs(80)
TEST, TEST_Y = blobs(60, seed=1)


def test_a_draw_has_k_items_of_each_class_and_none_twice():
    draws = draw_labels(Y, CLASSES, 5, num_draws=12)
    assert draws.shape == (12, 20)
    for draw in draws:
        assert torch.bincount(Y[draw]).tolist() == [5] * CLASSES
        assert len(draw.unique()) == 20
    assert len({tuple(draw.sort().values.tolist()) for draw in draws}) == 12


def test_draws_are_the_same_for_every_arm_nested_in_k_and_free_of_their_number():
    few, many = draw_labels(Y, CLASSES, 1, 6), draw_labels(Y, CLASSES, 3, 6)
    assert all(set(a.tolist()) <= set(b.tolist()) for a, b in zip(few, many, strict=True))
    assert bool((draw_labels(Y, CLASSES, 3, 4) == many[:4]).all())
    assert not bool((draw_labels(Y, CLASSES, 3, 6, seed=1) == many).all())


def test_every_item_of_a_class_is_drawn_about_equally_often():
    counts = torch.bincount(draw_labels(Y, CLASSES, 2, 2000).flatten(), minlength=80)
    assert float((counts.float() - 200.0).abs().max()) < 60.0  # 200 expected, standard deviation 13


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("d", [8, 70])
def test_ridge_draw_by_draw_equals_the_probe_fitted_to_the_drawn_items(k, d):
    x, _ = blobs(80, d)
    test, test_y = blobs(60, d, seed=1)
    draws = draw_labels(Y, CLASSES, k, 5)
    correct = kshot_correct(x[:, None], Y, test, test_y, CLASSES, draws)
    fixed = always(x)
    for draw, row in zip(draws, correct, strict=True):
        probe = fit_ridge(x[draw], Y[draw], CLASSES, scalings=fixed)
        assert int((row != (probe.predict(test) == test_y)).sum()) <= 1  # ties in float32


def test_copies_leave_together():
    copies = X[:, None] + 0.01 * Stream(2, "test").normal(0, torch.arange(80), 24).view(80, 3, 8)
    draws = draw_labels(Y, CLASSES, 5, 4)
    fixed = always(copies.flatten(0, 1))
    correct = kshot_correct(copies, Y, TEST, TEST_Y, CLASSES, draws)
    for draw, row in zip(draws, correct, strict=True):
        labels = Y[draw].repeat_interleave(3)
        probe = fit_ridge(copies[draw].flatten(0, 1), labels, CLASSES, num_copies=3, scalings=fixed)
        assert int((row != (probe.predict(TEST) == TEST_Y)).sum()) <= 1


def test_centroid_matches_scikit_learn():
    from sklearn.neighbors import NearestCentroid

    draws = draw_labels(Y, CLASSES, 5, 5)
    correct = kshot_correct(X[:, None], Y, TEST, TEST_Y, CLASSES, draws, "centroid")
    for draw, row in zip(draws, correct, strict=True):
        theirs = NearestCentroid().fit(X[draw].numpy(), Y[draw].numpy()).predict(TEST.numpy())
        np.testing.assert_array_equal(row.numpy(), theirs == TEST_Y.numpy())


def test_logistic_matches_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    draws = draw_labels(Y, CLASSES, 5, 5)
    correct = kshot_correct(X[:, None], Y, TEST, TEST_Y, CLASSES, draws, "logistic")
    scaler = Scaler.centring(X)
    for draw, row in zip(draws, correct, strict=True):
        theirs = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit(scaler(X[draw]).numpy(), Y[draw].numpy())
        agree = row.numpy() == (theirs.predict(scaler(TEST).numpy()) == TEST_Y.numpy())
        assert agree.mean() > 0.98


@pytest.mark.parametrize("rule", ["ridge", "centroid", "logistic"])
def test_labels_of_items_that_are_not_drawn_are_never_read(rule):
    draws = draw_labels(Y, CLASSES, 2, 3)
    drawn = torch.zeros(80, dtype=torch.bool).index_fill(0, draws.flatten(), True)
    shuffled = torch.where(drawn, Y, (Y + 1) % CLASSES)
    first = kshot_correct(X[:, None], Y, TEST, TEST_Y, CLASSES, draws, rule)
    assert bool((kshot_correct(X[:, None], shuffled, TEST, TEST_Y, CLASSES, draws, rule) == first).all())
    assert 0.4 < float(first.double().mean()) <= 1.0


def test_too_few_items_and_unknown_rules_are_refused():
    with pytest.raises(UserError, match="class 0 has 20 train items"):
        draw_labels(Y, CLASSES, 21)
    with pytest.raises(UserError, match="no k-shot rule"):
        kshot_correct(X[:, None], Y, TEST, TEST_Y, CLASSES, draw_labels(Y, CLASSES, 1, 2), "tree")
