"""Windows are corrupted alike whatever their batch, and more of the same as severity rises."""

import pytest
import torch

from jepakit.types import UserError
from jepakit.views import SERIES_CORRUPTIONS, SOUND_CORRUPTIONS, corrupt_series, corrupt_sounds
from jepakit.views.corrupt_signals import SERIES_SEVERITIES

IDS = torch.arange(20)


def windows() -> torch.Tensor:
    return torch.randn(20, 10, 100) * torch.logspace(-2, 2, 10)[:, None]


@pytest.mark.parametrize("kind", SERIES_CORRUPTIONS)
def test_a_window_is_corrupted_alike_in_every_batch(kind: str) -> None:
    x = windows()
    whole, part = corrupt_series(kind, x, 3, IDS), corrupt_series(kind, x[4:6], 3, IDS[4:6])
    torch.testing.assert_close(whole[4:6], part, equal_nan=True)
    assert not torch.equal(whole.nan_to_num(), corrupt_series(kind, x, 3, IDS, seed=1).nan_to_num())


def test_noise_has_the_tabled_share_of_each_channel_and_grows_in_place() -> None:
    x = windows()
    added = [corrupt_series("noise", x, severity, IDS) - x for severity in range(1, 6)]
    shares = torch.stack([a.std(dim=(0, 2)) / x.std(dim=(0, 2)) for a in added])
    torch.testing.assert_close(shares.mean(dim=1), torch.tensor(SERIES_SEVERITIES["noise"]), rtol=0.05, atol=0)
    torch.testing.assert_close(added[4], added[0] * 20.0, rtol=1e-2, atol=1e-2)


def test_a_gap_is_one_stretch_in_all_channels_and_widens_with_severity() -> None:
    for severity, fraction in enumerate(SERIES_SEVERITIES["gap"], start=1):
        gone = corrupt_series("gap", windows(), severity, IDS).isnan()
        assert torch.equal(gone, gone[:, :1].expand_as(gone))
        assert bool((gone[:, 0].sum(dim=1) == round(100 * fraction)).all())
        edges = gone[:, 0].long().diff(dim=1).abs().sum(dim=1)
        assert bool((edges <= 2).all())
    starts = gone[:, 0].long().argmax(dim=1)
    assert len(starts.unique()) > 5


def test_whole_channels_drop_out_and_those_gone_stay_gone() -> None:
    before = torch.zeros(20, 10, dtype=torch.bool)
    for severity, fraction in enumerate(SERIES_SEVERITIES["channel_drop"], start=1):
        gone = corrupt_series("channel_drop", windows(), severity, IDS).isnan()
        assert torch.equal(gone.any(dim=2), gone.all(dim=2))
        gone = gone.all(dim=2)
        assert bool((gone.sum(dim=1) == round(10 * fraction)).all())
        assert bool((before <= gone).all())
        before = gone
    assert len({tuple(row.tolist()) for row in before}) > 5
    one = corrupt_series("channel_drop", torch.randn(20, 1, 5), 5, IDS)
    assert not bool(one.isnan().any()), "one channel always stays"


def test_unknown_kinds_and_severities_are_refused() -> None:
    with pytest.raises(UserError, match="no corruption 'blur' of series; there are noise, gap, channel_drop"):
        corrupt_series("blur", windows(), 1, IDS)
    with pytest.raises(UserError, match="from 1 to 5, got 6"):
        corrupt_series("gap", windows(), 6, IDS)


SOUND = torch.sin(torch.arange(4000) * (2 * torch.pi * 500.0 / 8000)).expand(5, 1, -1).clone()
FIVE = torch.arange(5)


@pytest.mark.parametrize("kind", SOUND_CORRUPTIONS)
def test_sounds_are_corrupted_by_kind_severity_and_id(kind: str) -> None:
    whole = corrupt_sounds(kind, SOUND, 3, FIVE)
    torch.testing.assert_close(corrupt_sounds(kind, SOUND[2:4], 3, FIVE[2:4]), whole[2:4])
    assert bool(whole.isfinite().all())
    assert torch.allclose(whole, SOUND, atol=0.1) == (kind == "muffle"), "a low tone is not muffled"


@pytest.mark.parametrize(("severity", "decibels"), [(1, 20.0), (2, 14.0), (3, 8.0), (4, 1.0), (5, -5.0)])
def test_noise_on_sounds_has_the_tabled_ratio(severity: int, decibels: float) -> None:
    noise = corrupt_sounds("noise", SOUND, severity, FIVE) - SOUND
    ratio = 10 * torch.log10(SOUND.square().mean(dim=(1, 2)) / noise.square().mean(dim=(1, 2)))
    torch.testing.assert_close(ratio, torch.full((5,), decibels), atol=0.5, rtol=0)


def test_a_gap_in_a_sound_is_silence_and_noise_covers_what_was_not_measured() -> None:
    assert (corrupt_sounds("gap", torch.ones(5, 1, 4000), 4, FIVE) == 0).sum(dim=(1, 2)).tolist() == [2000] * 5
    padded = SOUND.clone()
    padded[..., 3000:] = torch.nan
    assert bool((corrupt_sounds("noise", padded, 1, FIVE)[..., 3000:] != 0).any())


def test_muffling_takes_what_lies_above() -> None:
    for frequency, left in ((500.0, [1, 1, 1, 1, 1]), (1250.0, [1, 1, 1, 0, 0]), (2500.0, [1, 0, 0, 0, 0])):
        tone = torch.sin(torch.arange(4000) * (2 * torch.pi * frequency / 8000))[None, None]
        kept = [float(corrupt_sounds("muffle", tone, severity, FIVE[:1]).abs().max()) for severity in range(1, 6)]
        assert [round(loud) for loud in kept] == left, frequency


def test_no_other_corruption_of_sounds_is_known() -> None:
    with pytest.raises(UserError, match="no corruption 'patch_drop' of sounds; there are noise, gap, muffle"):
        corrupt_sounds("patch_drop", SOUND, 1, FIVE)
    with pytest.raises(UserError, match="from 1 to 5, got 6"):
        corrupt_sounds("gap", SOUND, 6, FIVE)
