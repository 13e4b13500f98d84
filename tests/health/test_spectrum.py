import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepakit.health import spectrum as sp
from jepakit.random import Stream


def with_spectrum(values: torch.Tensor, num_samples: int, seed: int = 0) -> torch.Tensor:
    """Return embeddings whose centred covariance has exactly these eigenvalues, in a random basis, plus an offset."""
    d = len(values)
    draws = Stream(seed, "test").normal(0, torch.arange(num_samples), 2 * d).double()
    left = torch.linalg.qr(draws[:, :d] - draws[:, :d].mean(dim=0)).Q
    left = torch.linalg.qr(left - left.mean(dim=0)).Q
    right = torch.linalg.qr(draws[:d, d:]).Q
    return (left * (values * num_samples).sqrt()) @ right + 7.0


def test_white_embeddings_use_every_direction_exactly():
    z = with_spectrum(torch.ones(24, dtype=torch.float64), 100)
    values = sp.eigenvalues(z)
    torch.testing.assert_close(values, torch.ones(24, dtype=torch.float64), atol=1e-10, rtol=0)
    for measure in (sp.rankme, sp.entropy_rank, sp.participation_ratio, sp.nesum):
        assert float(measure(values)) == pytest.approx(24.0, abs=1e-8)
    assert float(sp.alpha_req(values, 100)) == pytest.approx(0.0, abs=1e-9)
    assert float(sp.off_diagonal_correlation(sp.covariance(z))) == pytest.approx(0.0, abs=1e-10)


def test_rank_one_reads_as_one_direction():
    z = with_spectrum(torch.tensor([3.0] + [0.0] * 15, dtype=torch.float64), 64)
    values = sp.eigenvalues(z)
    for measure in (sp.rankme, sp.entropy_rank, sp.participation_ratio, sp.nesum):
        assert float(measure(values)) == pytest.approx(1.0, abs=1e-5)
    assert float(sp.alpha_req(values, 64)) > 5.0
    assert float(sp.off_diagonal_correlation(sp.covariance(z))) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("rank", [1, 3, 10])
def test_equal_directions_among_many_are_counted(rank):
    values = sp.eigenvalues(with_spectrum(torch.tensor([2.0] * rank + [0.0] * (20 - rank)).double(), 80))
    assert float(sp.rankme(values)) == pytest.approx(rank, rel=1e-5)
    assert float(sp.participation_ratio(values)) == pytest.approx(rank, rel=1e-9)
    assert float(sp.nesum(values)) == pytest.approx(rank, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.5])
def test_a_power_law_gives_its_exponent(alpha):
    values = torch.arange(1, 33).double().pow(-alpha)
    assert float(sp.alpha_req(sp.eigenvalues(with_spectrum(values, 90)), 90)) == pytest.approx(alpha, abs=1e-6)


def test_two_unequal_directions_follow_the_formulas():
    values = torch.tensor([4.0, 1.0, 0.0])
    p = torch.tensor([2 / 3, 1 / 3])
    assert float(sp.rankme(values)) == pytest.approx(math.exp(-float((p * p.log()).sum())))
    p = torch.tensor([4 / 5, 1 / 5])
    assert float(sp.entropy_rank(values)) == pytest.approx(math.exp(-float((p * p.log()).sum())))
    assert float(sp.participation_ratio(values)) == pytest.approx(25 / 17)
    assert float(sp.nesum(values)) == pytest.approx(1.25)


def test_a_constant_has_no_directions():
    values = sp.eigenvalues(torch.full((10, 4), 3.0))
    for measure in (sp.rankme, sp.participation_ratio, sp.nesum, sp.alpha_req):
        assert float(measure(values)) == 0.0


def test_few_samples_in_many_dimensions_give_the_same_eigenvalues():
    z = Stream(0, "test").normal(0, torch.arange(12), 40)
    slow = torch.linalg.eigvalsh(torch.cov(z.double().T, correction=0)).flip(0).clamp_min(0)
    torch.testing.assert_close(sp.eigenvalues(z), slow, atol=1e-12, rtol=0)


def test_groups_are_measured_apart():
    z = torch.stack([with_spectrum(torch.ones(8).double(), 40), with_spectrum(torch.eye(8)[0].double(), 40)])
    torch.testing.assert_close(sp.nesum(sp.eigenvalues(z)), torch.tensor([8.0, 1.0]).double())


def test_correlation_matches_corrcoef_and_skips_dead_dimensions():
    z = Stream(1, "test").normal(0, torch.arange(50), 5) @ Stream(2, "test").normal(0, torch.arange(5), 5)
    corr = torch.corrcoef(z.double().T).abs()
    expected = (corr.sum() - 5) / 20
    padded = torch.cat((z, torch.full((50, 2), 9.0)), dim=1)
    assert float(sp.off_diagonal_correlation(sp.covariance(z))) == pytest.approx(float(expected))
    assert float(sp.off_diagonal_correlation(sp.covariance(padded))) == pytest.approx(float(expected))


def test_isotropic_directions_have_normalised_std_one_whatever_their_length():
    z = torch.cat((torch.eye(6), -torch.eye(6))) * torch.arange(1, 13)[:, None]
    assert float(sp.normalised_std(z)) == pytest.approx(1.0)
    assert float(sp.normalised_std(torch.ones(5, 6))) == pytest.approx(0.0)
    assert float(sp.feature_std(torch.tensor([[0.0, 0.0], [2.0, 4.0]]))) == pytest.approx(1.5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100.0), st.integers(2, 20), st.integers(2, 12))
def test_ranks_ignore_scale_offset_and_rotation_and_keep_their_bounds(seed, scale, num_samples, d):
    z = Stream(seed, "test").normal(0, torch.arange(num_samples), d).double()
    rotation = torch.linalg.qr(Stream(seed, "rotation").normal(0, torch.arange(d), d).double()).Q
    values, moved = sp.eigenvalues(z), sp.eigenvalues(scale * z @ rotation + 3.0)
    for measure in (sp.rankme, sp.entropy_rank, sp.participation_ratio, sp.nesum, sp.alpha_req):
        torch.testing.assert_close(measure(values), measure(moved), rtol=1e-4, atol=1e-4)
    for measure in (sp.rankme, sp.participation_ratio, sp.nesum):
        assert 1.0 - 1e-6 <= float(measure(values)) <= min(d, num_samples - 1) + 1e-4
