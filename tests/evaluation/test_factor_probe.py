"""A probe reads what is there exactly, and R2 is 1, 0 and below 0 where it must be."""

import pytest
import torch

from jepakit.evaluation.factor_probe import explained, fit_factors
from jepakit.types import UserError


def test_explained_variance_in_closed_form() -> None:
    true = torch.tensor([[0.0, 0.0], [2.0, 4.0]])
    assert explained(true, true) == 1.0
    assert explained(true, true.mean(dim=0).expand(2, 2)) == 0.0
    assert explained(true, true.flip(0)) == -3.0
    assert explained(true, torch.tensor([[0.0, 2.0], [2.0, 2.0]])) == pytest.approx(0.2)  # 8 of 10 are missed
    with pytest.raises(UserError, match="does not vary"):
        explained(torch.ones(3, 1), torch.ones(3, 1))


def test_a_linear_factor_is_read_exactly_from_tokens_laid_end_to_end() -> None:
    z = torch.randn(300, 2, 5)
    factors = {"place": z.flatten(1) @ torch.randn(10, 2) + 7.0, "one": z[:, 1, :1]}
    probe = fit_factors(z[:200], {name: label[:200] for name, label in factors.items()})
    read = probe(z[200:])
    for name, label in factors.items():
        assert explained(label[200:], read[name]) > 0.9999
        assert read[name].shape == label[200:].shape


def test_noise_is_read_no_better_than_by_the_mean() -> None:
    z = torch.randn(400, 1, 100)
    label = torch.randn(400, 1)
    probe = fit_factors(z[:200], {"noise": label[:200]})  # least squares alone would score about -1
    assert -0.1 < explained(label[200:], probe(z[200:])["noise"]) < 0.05


def test_random_features_read_what_is_not_linear() -> None:
    z = torch.randn(600, 1, 3)
    label = z[:, 0, :1].abs()
    scores = [
        explained(label[300:], fit_factors(z[:300], {"size": label[:300]}, num)(z[300:])["size"]) for num in (0, 200)
    ]
    assert scores[0] < 0.1
    assert scores[1] > 0.95


def test_what_cannot_be_fitted_is_refused() -> None:
    z = torch.randn(4, 1, 3)
    label = {"walls": torch.ones(4, 2)}
    assert set(fit_factors(z, {**label, "place": z[:, 0]}).weight) == {"place"}
    with pytest.raises(UserError, match="None of the factors walls varies"):
        fit_factors(z, label)
    with pytest.raises(UserError, match="at least 2 embeddings, got 1"):
        fit_factors(z[:1], {"place": z[:1, 0]})
    with pytest.raises(UserError, match="NaN"):
        fit_factors(z / 0.0 * 0.0, {"place": z[:, 0]})
