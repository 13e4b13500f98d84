"""Windows are laid out as channels by moments: normalised by what was measured, and saying what was."""

import pytest
import torch

from jepakit.types import UserError
from jepakit.views import SeriesPreprocess
from jepakit.views.series import standardised

NAN = torch.nan


def test_each_channel_of_a_window_gets_mean_0_and_deviation_1_over_what_was_measured() -> None:
    signal = torch.randn(3, 2, 50) * torch.tensor([[[5.0], [0.01]]]) + 100.0
    signal[0, 0, 10:30] = NAN
    laid = SeriesPreprocess(signal_channels=2, length=50)(signal)
    assert laid.shape == (3, 2, 2, 50)
    value, measured = laid[:, 0], laid[:, 1]
    assert torch.equal(measured, signal.isfinite().float())
    assert bool((value[0, 0, 10:30] == 0).all())
    kept = value[0, 0][measured[0, 0] > 0]
    torch.testing.assert_close(kept.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(kept.std(correction=0), torch.tensor(1.0), atol=1e-4, rtol=0)


def test_scale_and_offset_of_a_channel_are_not_seen() -> None:
    signal, preprocess = torch.randn(4, 2, 20), SeriesPreprocess(signal_channels=2, length=20)
    torch.testing.assert_close(preprocess(signal), preprocess(signal * 30.0 - 7.0), atol=1e-4, rtol=1e-4)


def test_what_does_not_change_becomes_0_and_so_does_rounding() -> None:
    constant = torch.full((1, 1, 30), 0.1)
    assert bool((SeriesPreprocess(signal_channels=1, length=30)(constant)[:, 0] == 0).all())
    rounded = constant * (1 + 1e-7 * torch.randn(1, 1, 30))
    assert bool((standardised(rounded, torch.ones_like(rounded, dtype=torch.bool)) == 0).all())
    nothing = torch.full((1, 1, 30), NAN)
    assert bool((SeriesPreprocess(signal_channels=1, length=30)(nothing) == 0).all())


def test_given_statistics_are_those_of_each_channel() -> None:
    preprocess = SeriesPreprocess(signal_channels=2, length=2, normalise="given", mean=(1.0, 10.0), std=(2.0, 5.0))
    laid = preprocess(torch.tensor([[[3.0, NAN], [10.0, 20.0]]]))
    assert laid[0, 0].tolist() == [[1.0, 0.0], [0.0, 2.0]]
    torch.testing.assert_close(preprocess.to_source(laid), torch.tensor([[[1.0, NAN], [0.0, 2.0]]]), equal_nan=True)


def test_sizes_and_statistics_that_cannot_be_are_refused() -> None:
    with pytest.raises(UserError, match="windows of 2 channels x 5 moments, got 3 x 5"):
        SeriesPreprocess(signal_channels=2, length=5)(torch.zeros(1, 3, 5))
    with pytest.raises(UserError, match="at least 1 channel"):
        SeriesPreprocess(signal_channels=0, length=5)
    with pytest.raises(UserError, match="at least 1 moment"):
        SeriesPreprocess(signal_channels=1, length=0)
    with pytest.raises(UserError, match="std has 3 values for 2 channels"):
        SeriesPreprocess(signal_channels=2, length=5, std=(1.0, 1.0, 1.0))
    with pytest.raises(UserError, match="every std must be above 0"):
        SeriesPreprocess(signal_channels=2, length=5, std=(0.0,))
