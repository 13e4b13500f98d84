import numpy as np
import pytest
import torch

from jepakit.evaluation import linear
from jepakit.evaluation.features import Scaler
from jepakit.evaluation.linear import fit_logistic, fit_ridge, minimise_logistic
from jepakit.random import Stream
from jepakit.types import UserError


def blobs(num: int, d: int = 6, classes: int = 3, noise: float = 1.0, seed: int = 0):
    labels = torch.arange(num) % classes
    centre = 2.0 * Stream(9, "centre").normal(0, torch.arange(classes), d)
    return centre[labels] + noise * Stream(seed, "test").normal(0, torch.arange(num), d), labels


def test_ridge_equals_scikit_learn_at_one_penalty():
    from sklearn.linear_model import Ridge

    x, y = blobs(80)
    scaler = Scaler.standardising(x)
    probe = fit_ridge(x, y, 3, grid=(0.3,), scalings=(Scaler.standardising,))
    alpha = 0.3 * len(x)  # standardised features: the scatter has mean eigenvalue n
    expected = Ridge(alpha=alpha).fit(scaler(x).double().numpy(), np.eye(3)[y.numpy()])
    np.testing.assert_allclose(probe.weight.numpy().T, expected.coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(probe.bias.numpy(), expected.intercept_, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("copies", [1, 2])
def test_the_smaller_side_gives_the_same_solution(copies, monkeypatch):
    x, y = blobs(24, d=70, noise=4.0)
    ours = fit_ridge(x, y, 3, num_copies=copies)
    sizes = []
    eigh = torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: sizes.append(len(matrix)) or eigh(matrix))
    fit_ridge(x, y, 3, num_copies=copies)
    assert set(sizes) == {24}

    def whole(centred):
        values, axes = eigh(centred.T @ centred)
        return values.clamp_min(0.0), axes

    monkeypatch.setattr(linear, "principal_axes", whole)
    theirs = fit_ridge(x, y, 3, num_copies=copies)
    assert ours.penalty == theirs.penalty
    assert ours.left_out == pytest.approx(theirs.left_out, rel=1e-6)
    torch.testing.assert_close(ours.weight, theirs.weight)
    torch.testing.assert_close(ours.bias, theirs.bias)


@pytest.mark.parametrize("grid", [(0.3,), (1e-6,)])
def test_ridge_of_more_features_than_rows_equals_scikit_learn(grid):
    from sklearn.linear_model import Ridge

    x, y = blobs(30, d=90, noise=4.0)
    scaler = Scaler.standardising(x)
    probe = fit_ridge(x, y, 3, grid=grid, scalings=(Scaler.standardising,))
    expected = Ridge(alpha=grid[0] * len(x), solver="svd").fit(scaler(x).double().numpy(), np.eye(3)[y.numpy()])
    np.testing.assert_allclose(probe.weight.numpy().T, expected.coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(probe.bias.numpy(), expected.intercept_, rtol=1e-4, atol=1e-6)


def test_the_penalty_is_the_one_that_scikit_learns_leave_one_out_chooses():
    from sklearn.linear_model import RidgeCV

    x, y = blobs(40, d=30, noise=6.0)
    grid = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
    probe = fit_ridge(x, y, 3, grid=grid, scalings=(Scaler.standardising,))
    z = Scaler.standardising(x)(x).double().numpy()
    expected = RidgeCV(alphas=[g * len(x) for g in grid]).fit(z, np.eye(3)[y.numpy()])
    assert probe.penalty == pytest.approx(expected.alpha_ / len(x))
    assert probe.left_out == pytest.approx(-expected.best_score_, rel=1e-4)
    assert grid[0] < probe.penalty


def test_ridge_does_not_depend_on_the_size_of_its_blocks(monkeypatch):
    x, y = blobs(60)
    whole = fit_ridge(x, y, 3, num_copies=2)
    monkeypatch.setattr(linear, "NUMBERS_AT_A_TIME", 7 * 6)
    blocked = fit_ridge(x, y, 3, num_copies=2)
    torch.testing.assert_close(whole.weight, blocked.weight)
    assert whole.left_out == pytest.approx(blocked.left_out)


def test_copies_of_an_item_do_not_vouch_for_each_other():
    x, y = blobs(30, d=40, noise=5.0)
    copied, labels = x.repeat_interleave(4, dim=0), y.repeat_interleave(4)
    honest = fit_ridge(copied, labels, 3, num_copies=4)
    fooled = fit_ridge(copied, labels, 3, num_copies=1)
    assert fooled.left_out < 0.5 * honest.left_out
    assert honest.penalty == pytest.approx(fit_ridge(x, y, 3).penalty)


def test_the_scaling_with_the_smaller_left_out_error_wins():
    x, y = blobs(90, noise=0.5)
    harmful = torch.cat((x, 1e-3 * Stream(5, "test").normal(0, torch.arange(90), 200)), dim=1)
    probe = fit_ridge(harmful, y, 3)
    assert float(probe.scaler.scale.std()) == pytest.approx(0.0, abs=1e-6)  # one common factor


def test_logistic_reaches_scikit_learns_minimum():
    from sklearn.linear_model import LogisticRegression

    x, y = blobs(120, noise=2.0)
    scaled = Scaler.standardising(x)(x)
    ours = minimise_logistic(scaled, y, 3, c=0.05)
    theirs = LogisticRegression(C=1000 * 0.05 / 120, tol=1e-8, max_iter=2000).fit(scaled.numpy(), y.numpy())
    np.testing.assert_allclose(ours[:-1].numpy().T, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose((ours[-1] - ours[-1].mean()).numpy(), theirs.intercept_, atol=2e-3)


def test_logistic_chooses_more_penalty_where_features_are_noise():
    x, y = blobs(150, d=60, noise=8.0)
    strong = fit_logistic(x, y, 3, grid=(1e-3, 100.0))
    assert strong.penalty == 1e-3
    assert strong.left_out < 1.0


def test_probes_are_right_on_separable_data_and_equal_each_time():
    x, y = blobs(90, noise=0.1)
    test, labels = blobs(30, noise=0.1, seed=1)
    for fit in (fit_ridge, fit_logistic):
        probe = fit(x, y, 3)
        assert bool((probe.predict(test) == labels).all())
        torch.testing.assert_close(fit(x, y, 3).weight, probe.weight, rtol=0, atol=0)


def test_a_probe_never_changes_with_the_test_set():
    x, y = blobs(60)
    probe = fit_ridge(x, y, 3)
    one, _ = blobs(10, seed=3)
    assert bool((probe.predict(one)[:4] == probe.predict(one[:4])).all())


@pytest.mark.parametrize("fit", [fit_ridge, fit_logistic])
def test_labels_that_do_not_fit_are_refused(fit):
    x, y = blobs(12)
    with pytest.raises(UserError, match="12 rows and 11 labels"):
        fit(x, y[:-1], 3)
    with pytest.raises(UserError, match="got 0 to 2"):
        fit(x, y, 2)
