"""Spectrograms and waveforms of sounds: parity with another filterbank, blind to loudness, safe with silence."""

import math

import numpy as np
import pytest
import torch

from jepakit.types import UserError
from jepakit.views import MelPreprocess, WavePreprocess
from jepakit.views.mel import mel_filters

MEL = MelPreprocess(rate=8000, length=6400, hop_s=0.02)


def tone(frequency: float, length: int = 6400) -> torch.Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(length) / 8000)[None, None]


@pytest.mark.parametrize(("mels", "window", "rate"), [(32, 256, 8000), (80, 400, 16000)])
def test_the_filterbank_is_that_of_transformers(mels: int, window: int, rate: int) -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils")
    theirs = audio_utils.mel_filter_bank(window // 2 + 1, mels, 0.0, rate / 2, rate, norm=None, mel_scale="htk")
    assert np.abs(mel_filters(mels, window, rate).numpy().T - theirs).max() < 1e-6


def test_the_spectrogram_is_that_of_transformers() -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils")
    signal = torch.randn(1, 1, 6400)
    padded = np.pad(signal[0, 0].numpy(), (48, 256 - 160 - 48))
    theirs = audio_utils.spectrogram(
        padded,
        np.hanning(257)[:-1],
        frame_length=256,
        hop_length=160,
        power=2.0,
        center=False,
        mel_filters=audio_utils.mel_filter_bank(129, 32, 0.0, 4000.0, 8000, norm=None, mel_scale="htk"),
    )
    decibels = 10 * np.log10(theirs / theirs.max())
    ours = MEL(signal)[0, 0].flip(0) * MEL.std + MEL.mean
    torch.testing.assert_close(ours, torch.from_numpy(decibels).float(), atol=1e-2, rtol=0)


def test_a_tone_lies_in_its_band_the_highest_above() -> None:
    rows = [int(MEL(tone(frequency))[0, 0].mean(dim=1).argmax()) for frequency in (200.0, 1000.0, 3500.0)]
    assert rows == sorted(rows, reverse=True)
    centre = 700.0 * (10.0 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 34)[1:-1] / 2595.0) - 1.0)
    assert rows == [31 - int(np.abs(centre - frequency).argmin()) for frequency in (200.0, 1000.0, 3500.0)]


def test_a_click_lies_in_its_frame() -> None:
    signal = torch.zeros(1, 1, 6400)
    signal[0, 0, 20 * 160 + 80] = 1.0  # the middle of frame 20
    assert int(MEL(signal)[0, 0].mean(dim=0).argmax()) == 20
    assert MEL(signal).shape == (1, 1, *MEL.shape) == (1, 1, 32, 40)


def test_loudness_is_not_seen_and_silence_is_the_floor() -> None:
    signal = torch.randn(2, 1, 6400)
    for loud in (1e-6, 30.0, 1e25):
        torch.testing.assert_close(MEL(signal * loud), MEL(signal), atol=1e-3, rtol=0)
    nothing = torch.stack((torch.zeros(1, 6400), torch.full((1, 6400), torch.nan)))
    assert MEL(nothing).unique().tolist() == [pytest.approx((-80.0 - MEL.mean) / MEL.std)]
    torch.testing.assert_close(
        WavePreprocess(rate=8000, length=6400)(signal * 1e-6), WavePreprocess(rate=8000, length=6400)(signal)
    )
    assert WavePreprocess(rate=8000, length=6400)(nothing).unique().tolist() == [0.0]


def test_what_was_not_measured_is_silence() -> None:
    signal = torch.randn(2, 1, 6400)
    silent, missing = signal.clone(), signal.clone()
    silent[..., :2000], missing[..., :2000] = 0.0, torch.nan
    assert torch.equal(MEL(silent), MEL(missing))
    laid = WavePreprocess(rate=8000, length=6400)(missing)
    assert bool((laid[..., :2000] == 0).all())
    torch.testing.assert_close(laid[..., 2000:].std(dim=-1, correction=0), torch.ones(2, 1, 1), atol=1e-4, rtol=0)


def test_longer_hops_of_a_faster_sound_give_as_many_frames() -> None:
    assert MelPreprocess(rate=16000, length=12800, hop_s=0.02).shape == MEL.shape


def test_pictures_are_for_people_and_a_spectrogram_has_no_way_back() -> None:
    signal = torch.randn(2, 1, 6400)
    shown = MEL.to_pixels(MEL(signal))
    assert (shown.shape, int(shown.max())) == ((2, 1, 32, 40), 255)
    with pytest.raises(UserError, match="cannot be turned back into its sound"):
        MEL.to_source(MEL(signal))
    wave = WavePreprocess(rate=8000, length=6400)
    assert torch.equal(wave.to_source(wave(signal)), wave(signal)[:, 0])
    drawn = wave.to_pixels(wave(signal))
    assert drawn.shape == (2, 1, 49, 200) and set(drawn.unique().tolist()) == {0, 255}
    quiet = wave.to_pixels(torch.zeros(1, 1, 1, 6400))
    assert 1 <= int((quiet[0, 0, :, 0] == 0).sum()) <= 2, "silence is a line"


def test_settings_and_sounds_that_do_not_fit_are_refused() -> None:
    for wrong in ({"num_mels": 0}, {"hop_s": 0.0}, {"hop_s": 0.1}, {"floor_db": 0.0}, {"rate": 0}, {"length": 100}):
        with pytest.raises(UserError, match="MelPreprocess"):
            MelPreprocess(**({"rate": 8000, "length": 6400} | wrong))
    with pytest.raises(UserError, match="at least 1 sample"):
        WavePreprocess(rate=8000, length=0)
    for preprocess in (MEL, WavePreprocess(rate=8000, length=6400)):
        with pytest.raises(UserError, match="takes sounds of 1 channel x 6400 samples, got 2 x 6400"):
            preprocess(torch.zeros(1, 2, 6400))
