"""Candidates' noise has unit variance, the spectrum asked for, and belongs to its episode."""

import pytest
import torch

from jepakit.planning.noise import candidate_noise

IDS = torch.arange(4)


@pytest.mark.parametrize("horizon", [1, 2, 7, 20])
@pytest.mark.parametrize("colour", [0.0, 1.0, 3.0])
def test_variance_is_one_at_every_step(horizon: int, colour: float) -> None:
    noise = candidate_noise(0, 0, IDS, 2000, horizon, 2, colour)
    assert noise.shape == (4, 2000, horizon, 2)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
    torch.testing.assert_close(noise.var(dim=(0, 1, 3)), torch.ones(horizon), atol=0.06, rtol=0.0)


def test_power_falls_with_frequency_as_asked() -> None:
    noise = candidate_noise(0, 0, IDS, 4000, 32, 1, colour=2.0)[..., 0]
    power = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1))
    frequency = torch.arange(1, 16).float()
    expected = power[1] * frequency**-2.0
    torch.testing.assert_close(power[1:16], expected, rtol=0.1, atol=0.0)


def test_it_belongs_to_the_episode() -> None:
    whole = candidate_noise(0, 3, IDS, 5, 8, 2, colour=1.0)
    assert torch.equal(whole[2:3], candidate_noise(0, 3, IDS[2:3], 5, 8, 2, colour=1.0))
