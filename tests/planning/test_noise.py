"""Candidates' noise has unit variance, the spectrum asked for, and belongs to its episode."""

import pytest
import torch

from jepakit.planning.noise import candidate_noise

IDS = torch.arange(4)


@pytest.mark.parametrize("horizon", [1, 2, 7, 20])
@pytest.mark.parametrize("colour", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("num_frequencies", [None, 1, 2, 3])
def test_variance_is_one_at_every_step(horizon: int, colour: float, num_frequencies: int | None) -> None:
    noise = candidate_noise(0, 0, IDS, 2000, horizon, 2, colour, num_frequencies)
    assert noise.shape == (4, 2000, horizon, 2)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
    torch.testing.assert_close(noise.var(dim=(0, 1, 3)), torch.ones(horizon), atol=0.06, rtol=0.0)


def test_power_falls_with_frequency_as_asked() -> None:
    noise = candidate_noise(0, 0, IDS, 4000, 32, 1, colour=2.0)[..., 0]
    power = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1))
    frequency = torch.arange(1, 16).float()
    expected = power[1] * frequency**-2.0
    torch.testing.assert_close(power[1:16], expected, rtol=0.1, atol=0.0)


def test_white_noise_has_the_same_power_everywhere_also_where_it_is_drawn_by_frequency() -> None:
    for num_frequencies in (None, 16):
        noise = candidate_noise(0, 0, IDS, 4000, 32, 1, 0.0, num_frequencies)[..., 0]
        power = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1))[:16]
        torch.testing.assert_close(power, power[1].expand(16), rtol=0.1, atol=0.0)


def test_frequencies_that_are_not_drawn_have_no_power() -> None:
    noise = candidate_noise(0, 0, IDS, 50, 32, 1, 1.0, num_frequencies=5)[..., 0]
    power = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1))
    assert float(power[:5].min()) > 1.0
    assert float(power[5:].max()) < 1e-9


@pytest.mark.parametrize("num_samples", [6, 7])
def test_mirrored_noise_comes_in_opposites(num_samples: int) -> None:
    noise = candidate_noise(0, 0, IDS, num_samples, 5, 2, 1.0, mirrored=True)
    assert noise.shape == (4, num_samples, 5, 2)
    half = (num_samples + 1) // 2
    assert torch.equal(noise[:, half:], -noise[:, : num_samples - half])
    assert float((noise[:, 0] - noise[:, 1]).abs().min()) > 0


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("colour", [0.0, 1.0])
def test_it_belongs_to_the_episode(mirrored: bool, colour: float) -> None:
    whole = candidate_noise(0, 3, IDS, 5, 8, 2, colour, mirrored=mirrored)
    assert torch.equal(whole[2:3], candidate_noise(0, 3, IDS[2:3], 5, 8, 2, colour, mirrored=mirrored))
    for other in (candidate_noise(1, 3, IDS, 5, 8, 2, colour), candidate_noise(0, 4, IDS, 5, 8, 2, colour)):
        assert not torch.equal(whole, other)
