"""Views of sounds do what their parameters say, sample by sample, and nothing that is switched off."""

import math
from dataclasses import replace

import pytest
import torch

from jepakit.methods.agree import match
from jepakit.types import UserError
from jepakit.views import MelPreprocess, Preprocess, SeriesPreprocess, SignalViews, SoundViews, WavePreprocess
from jepakit.views.sound_views import played, tilted

WAVE = WavePreprocess(rate=8000, length=4000)
ALL = SoundViews(preprocess=WAVE, shift_fraction=0.2, speed=1.3, tilt_db=6.0, noise_prob=0.5)
IDS = torch.arange(6)


def tones(frequency: float = 500.0, num: int = 6) -> torch.Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(4000) / 8000).expand(num, 1, -1).clone()


def test_by_default_nothing_is_done() -> None:
    view = SoundViews(preprocess=WAVE)(tones(), IDS, 3)
    assert torch.equal(view.image, WAVE(tones()))
    assert not bool(view.params.any())


def test_a_view_is_a_function_of_seed_step_number_and_id() -> None:
    signal = torch.randn(6, 1, 4000)
    whole, part = ALL(signal, IDS, 3), ALL(signal[2:4], IDS[2:4], 3)
    torch.testing.assert_close(part.image, whole.image[2:4])
    torch.testing.assert_close(part.params, whole.params[2:4])
    for other in (ALL(signal, IDS, 4), ALL(signal, IDS, 3, view=1), ALL(signal, IDS + 9, 3)):
        assert not torch.allclose(other.params, whole.params)
    assert len(ALL.params) == whole.params.shape[1] == 6


def test_a_faster_sound_is_higher_and_a_shifted_one_later() -> None:
    speed = torch.tensor([0.5, 1.0, 1.5, 2.0])
    heard = played(tones(num=4), torch.zeros(4), speed)
    bins = torch.fft.rfft(heard[:, 0]).abs().argmax(dim=1) * 2.0  # of 2 Hz
    torch.testing.assert_close(bins, 500.0 * speed, atol=2.1, rtol=0)
    click = torch.zeros(1, 1, 4000)
    click[0, 0, 2500] = 1.0
    shown = played(click, torch.tensor([0.1]), torch.ones(1))
    assert int(shown.argmax()) == 2100, "the view's middle shows what was a tenth later"
    torch.testing.assert_close(played(tones(), torch.zeros(6), torch.ones(6)), tones(), atol=5e-3, rtol=0)
    assert bool((played(tones(num=1), torch.tensor([0.5]), torch.ones(1))[..., 2010:] == 0).all()), "silence comes in"


def test_an_equaliser_scales_tones_by_its_curve() -> None:
    for cosine in range(3):
        tilt = torch.zeros(1, 3)
        tilt[0, cosine] = 1.0
        for frequency in (400.0, 1000.0, 3000.0):
            height = 1.0 + math.log10(frequency / 4000.0) / 2.0
            gain = 10.0 ** (math.cos(math.pi * (cosine + 1) * height) / 2.0)  # 10 dB at a crest
            loud = tilted(tones(frequency, 1), tilt).abs().amax()
            torch.testing.assert_close(loud, torch.tensor(gain).float(), rtol=2e-2, atol=0)


def test_noise_has_the_power_that_is_told() -> None:
    views = SoundViews(preprocess=WAVE, noise_prob=0.6, snr_db=(0.0, 20.0))
    ids, signal = torch.arange(40), tones(num=40)
    signal[:, :, 3000:] = torch.nan
    params = views.draw(ids, 0, 0)
    heard = views.apply(signal, params, ids, 0, 0)
    share = params[:, -1]
    assert 10 < int((share == 0).sum()) < 25
    assert float(share[share > 0].min()) >= 1 / 101 and float(share.max()) <= 0.5
    noise = (heard - signal.nan_to_num(0.0)).square().mean(dim=(1, 2))
    torch.testing.assert_close(noise, 0.5 * share / (1.0 - share), rtol=0.15, atol=1e-6)
    assert float(torch.corrcoef(heard[share > 0.2][:2, 0, 3000:])[0, 1].abs()) < 0.2, "each hears another stretch"


def test_the_way_between_equal_views_is_zero_and_centres_are_in_the_first_one_s_time() -> None:
    params = ALL.draw(IDS, 0, 0)
    assert not bool(ALL.relative(params, params).any())
    first, second = torch.zeros(2, 6)
    first[1], second[0] = math.log(2.0), 0.1
    told = ALL.relative(first[None], second[None])
    assert told[0, :2].tolist() == pytest.approx([0.05, -math.log(2.0)])


def test_a_spectrogram_of_a_view_is_of_its_sound() -> None:
    mel = MelPreprocess(rate=8000, length=4000, hop_s=0.02)
    views = SoundViews(preprocess=mel, shift_fraction=0.2, speed=1.2)
    signal = torch.randn(6, 1, 4000)
    view = views(signal, IDS, 1, 1)
    heard = played(signal, view.params[:, 0], view.params[:, 1].exp())
    torch.testing.assert_close(view.image, mel(heard))


@pytest.mark.parametrize(
    "wrong",
    [{"shift_fraction": 2.0}, {"speed": 0.9}, {"tilt_db": -1.0}, {"noise_prob": 1.5}, {"snr_db": (3.0, 1.0)}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=f"SoundViews: {next(iter(wrong))}"):
        SoundViews(preprocess=WAVE, **wrong)  # type: ignore[arg-type]


def test_views_of_sounds_are_of_sounds() -> None:
    mel = MelPreprocess(rate=8000, length=4000)
    assert match(ALL, mel) == replace(ALL, preprocess=mel)
    assert match(SignalViews(preprocess=WAVE), mel).preprocess == mel
    for preprocess in (SeriesPreprocess(signal_channels=1, length=4000), Preprocess(image_size=8)):
        with pytest.raises(UserError, match="SoundViews makes no views of what"):
            match(ALL, preprocess)
