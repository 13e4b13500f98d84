"""Views of signals shift, scale and disturb each sample by its own draws, and by default do nothing."""

import math

import pytest
import torch

from jepakit.types import UserError
from jepakit.views import SeriesPreprocess, SignalViews
from jepakit.views.signal_views import deviation, shifted

PREPROCESS = SeriesPreprocess(signal_channels=2, length=40, normalise="given")
IDS = torch.arange(6)


def signals(num: int = 6) -> torch.Tensor:
    return torch.randn(num, 2, 40)


def test_by_default_a_view_is_the_signal_laid_out() -> None:
    x = signals()
    assert torch.equal(SignalViews(preprocess=PREPROCESS)(x, IDS, 3).image, PREPROCESS(x))


def test_a_view_depends_on_its_sample_step_and_number_alone() -> None:
    views, x = SignalViews(preprocess=PREPROCESS, shift_fraction=0.3, gain=2.0, noise=0.2), signals()
    whole = views(x, IDS, 5, 1)
    part = views(x[2:4], IDS[2:4], 5, 1)
    assert torch.equal(whole.image[2:4], part.image)
    assert torch.equal(whole.params[2:4], part.params)
    for other in (views(x, IDS, 6, 1), views(x, IDS, 5, 0)):
        assert not torch.equal(whole.image, other.image)


def test_what_is_shifted_in_was_not_measured() -> None:
    x = torch.arange(5.0).expand(3, 1, 5)
    moved = shifted(x, torch.tensor([2, 0, -1]))
    nan = torch.nan
    expected = torch.tensor([[[nan, nan, 0, 1, 2]], [[0, 1, 2, 3, 4]], [[1, 2, 3, 4, nan]]])
    torch.testing.assert_close(moved, expected, equal_nan=True)


def test_half_of_the_views_have_one_gap_and_half_lack_whole_channels_and_the_whole_view_stands_beside() -> None:
    preprocess = SeriesPreprocess(signal_channels=5, length=100, normalise="given")
    x, ids = torch.randn(400, 5, 100), torch.arange(400)
    gap = SignalViews(preprocess=preprocess, gap=0.7)(x, ids, 0)
    assert gap.whole is not None and torch.equal(gap.whole, preprocess(x))
    lost = gap.image[:, 1] == 0
    assert torch.equal(lost, lost[:, :1].expand_as(lost))
    width = lost[:, 0].sum(dim=1)
    assert 0.4 < float((width > 0).float().mean()) < 0.6
    assert 60 <= int(width.max()) <= 70 and len(width.unique()) > 20
    assert bool((lost[:, 0].long().diff(dim=1).abs().sum(dim=1) <= 2).all())
    assert torch.equal(gap.image[:, 0], torch.where(lost, 0.0, x))
    lost = SignalViews(preprocess=preprocess, channel_drop=1.0)(x, ids, 0).image[:, 1] == 0
    assert torch.equal(lost.any(dim=2), lost.all(dim=2))
    number = lost.all(dim=2).sum(dim=1)
    assert 0.3 < float((number > 0).float().mean()) < 0.55 and int(number.max()) == 4
    assert SignalViews(preprocess=preprocess)(x, ids, 0).whole is None


def test_what_is_lost_depends_on_sample_and_step_alone() -> None:
    views, x = SignalViews(preprocess=PREPROCESS, gap=0.7, channel_drop=0.8), signals()
    whole = views(x, IDS, 5)
    assert torch.equal(whole.image[2:4], views(x[2:4], IDS[2:4], 5).image)
    assert not torch.equal(whole.image, views(x, IDS, 6).image)


def test_parameters_say_what_was_done() -> None:
    views, x = SignalViews(preprocess=PREPROCESS, gain=4.0), signals()
    params = views.draw(IDS, 0, 0)
    assert views.params == ("shift", "log_gain")
    assert bool((params[:, 0] == 0).all()) and float(params[:, 1].abs().max()) <= math.log(4.0)
    torch.testing.assert_close(views.apply(x, params, IDS, 0, 0), x * params[:, 1, None, None].exp())
    other = views.draw(IDS, 0, 1)
    torch.testing.assert_close(views.relative(params, other), other - params)


def test_noise_is_a_share_of_each_channel_s_own_deviation() -> None:
    x = torch.randn(400, 2, 40) * torch.tensor([[[1.0], [50.0]]])
    x[:, :, 30:] = torch.nan
    views = SignalViews(preprocess=PREPROCESS, noise=0.5)
    added = views.apply(x, views.draw(torch.arange(400), 0, 0), torch.arange(400), 0, 0) - x
    assert bool(added[..., 30:].isnan().all())
    share = added[..., :30].std(dim=(0, 2)) / torch.tensor([1.0, 50.0])
    torch.testing.assert_close(share, torch.tensor([0.5, 0.5]), rtol=0.05, atol=0)
    assert deviation(torch.full((1, 1, 4), torch.nan)).tolist() == [[[0.0]]]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("shift_fraction", 1.5),
        ("shift_fraction", -0.1),
        ("gain", 0.5),
        ("noise", -1.0),
        ("gap", 1.5),
        ("channel_drop", -0.5),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, value: float) -> None:
    with pytest.raises(UserError, match=f"SignalViews: {setting}"):
        SignalViews(preprocess=PREPROCESS, **{setting: value})
