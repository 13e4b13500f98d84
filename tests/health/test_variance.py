import pytest
import torch

from jepakit.health.variance import variance_parts
from jepakit.random import Stream


def normal(seed: int, b: int, g: int, d: int) -> torch.Tensor:
    return Stream(seed, "test").normal(0, torch.arange(b), g * d).view(b, g, d)


POSITION = normal(0, 1, 9, 6)
SAMPLE = normal(1, 40, 1, 6)


def test_parts_add_up_to_the_total():
    parts = variance_parts(normal(2, 40, 9, 6) + POSITION + SAMPLE + 5.0)
    assert float(parts.position + parts.sample + parts.interaction) == pytest.approx(float(parts.total))
    assert float(parts.total) < float(parts.mean_square)


def test_a_position_code_has_all_variance_between_positions():
    z = POSITION.expand(40, -1, -1)
    parts = variance_parts(z)
    assert float(parts.position / parts.total) == pytest.approx(1.0)
    torch.testing.assert_close(parts.across_share, torch.zeros(9).double(), atol=1e-12, rtol=0)
    assert float(parts.within_share) == pytest.approx(1.0)


def test_a_repeated_sample_code_has_none_within_samples():
    z = SAMPLE.expand(-1, 9, -1)
    parts = variance_parts(z)
    assert float(parts.sample / parts.total) == pytest.approx(1.0)
    torch.testing.assert_close(parts.across_share, torch.ones(9).double())
    assert float(parts.within_share) == pytest.approx(0.0, abs=1e-12)


def test_position_plus_sample_has_no_interaction():
    parts = variance_parts(POSITION + SAMPLE)
    assert float(parts.interaction) == pytest.approx(0.0, abs=1e-12)
    assert float(parts.position) == pytest.approx(float(POSITION.double().var(dim=1, correction=0).mean()))
    assert float(parts.sample) == pytest.approx(float(SAMPLE.double().var(dim=0, correction=0).mean()))


def test_across_share_is_told_group_by_group():
    z = torch.zeros(4, 2, 1)
    z[:, 0, 0] = torch.tensor([1.0, 3.0, 1.0, 3.0])  # group mean 2, variance 1
    z[:, 1, 0] = -2.0  # group mean -2, variance 0; the grand mean is 0
    torch.testing.assert_close(variance_parts(z).across_share, torch.tensor([1 / 5, 0.0]).double())


def test_a_constant_has_no_shares():
    for value in (7.0, 1.1, 0.0):
        parts = variance_parts(torch.full((4, 3, 2), value))
        assert float(parts.total) == float(parts.within_share) == float(parts.across_share.sum()) == 0.0


def test_parts_match_a_direct_analysis_of_variance_far_from_zero():
    z = normal(3, 20, 5, 4) + POSITION[:, :5, :4] + SAMPLE[:20, :, :4] + 100.0
    direct = z.double() - z.double().mean(dim=(0, 1))
    residual = direct - direct.mean(dim=0) - direct.mean(dim=1, keepdim=True)
    parts = variance_parts(z)
    assert float(parts.total) == pytest.approx(float(direct.square().mean()), rel=1e-9)
    assert float(parts.interaction) == pytest.approx(float(residual.square().mean()), rel=1e-9)
