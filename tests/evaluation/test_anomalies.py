"""Patches are compared with their like in clean signals; the rate is met on exchangeable ones; an anomaly is found."""

import pytest
import torch
from torch import Tensor

from jepakit.evaluation.anomalies import Seen, calibrate_patches, stretches
from jepakit.types import UserError

KINDS, ROWS, WIDTH = 2, 3, 4


def seen(num_columns: int, seed: int = 0, scale: Tensor | None = None) -> Seen:
    """Draw energies of windows that lie end to end: what each says of a patch is that patch's alone."""
    num = num_columns // WIDTH
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(num, KINDS, ROWS, WIDTH, generator=generator).exp()
    size = torch.randn(num, ROWS, WIDTH, generator=generator).exp()
    return Seen(drawn if scale is None else drawn * scale, size, torch.arange(num) * WIDTH, num_columns)


def test_each_place_kind_and_row_is_standardised_by_its_like() -> None:
    scale = torch.logspace(-2, 2, KINDS * ROWS * WIDTH).view(KINDS, ROWS, WIDTH)
    clean = seen(8000, scale=scale)
    calibration = calibrate_patches([clean])
    patches = calibration.patches(clean)
    torch.testing.assert_close(patches.mean(dim=2), torch.zeros(2 * KINDS, ROWS), atol=1e-4, rtol=0.0)
    torch.testing.assert_close(patches.std(dim=2), torch.ones(2 * KINDS, ROWS), atol=1e-3, rtol=0.0)
    by_place = patches.unflatten(2, (-1, WIDTH))
    torch.testing.assert_close(by_place.mean(dim=2), torch.zeros(2 * KINDS, ROWS, WIDTH), atol=1e-3, rtol=0.0)


def test_a_moment_is_as_surprising_as_its_most_surprising_row() -> None:
    calibration = calibrate_patches([seen(400)])
    strange = seen(40, seed=1)
    strange.energy[5, :, 2, 1] *= 1e4
    scored = calibration.scored(strange)
    torch.testing.assert_close(scored.row, calibration.patches(strange).mean(dim=0))
    torch.testing.assert_close(scored.score, scored.row.amax(dim=0))
    assert (int(scored.score.argmax()), int(scored.row[:, 21].argmax())) == (21, 2)
    assert (21, 22) in stretches(calibration.marked(scored.score, 0.01))


def test_an_ordinary_energy_of_an_unusually_small_target_is_surprising_down_to_what_counts_as_one() -> None:
    calibration = calibrate_patches([seen(400)])
    strange = seen(40, seed=1)
    before = calibration.patches(strange)
    strange.size[5, 2, 1] = 1e-3
    strange.size[7, 2, 1] = 0.0
    after = calibration.patches(strange)
    assert torch.equal(after[:KINDS], before[:KINDS])
    assert bool((after[KINDS:, 2, [21, 29]] > before[KINDS:, 2, [21, 29]] + 2).all())
    assert int(calibration.scored(strange).row[:, 21].argmax()) == 2
    assert float((after - before)[KINDS:, 2, 29].max()) < 10


def test_other_clean_moments_raise_as_many_alarms_as_asked() -> None:
    rates = []
    for seed in range(40):
        calibration = calibrate_patches([seen(200, seed=2 * seed)])
        rates.append(
            float(calibration.marked(calibration.scored(seen(200, seed=2 * seed + 1)).score, 0.05).float().mean())
        )
    assert 0.035 < sum(rates) / len(rates) < 0.065


@pytest.mark.parametrize("own", [1.0, 0.3])
def test_the_ends_of_a_signal_which_fewer_windows_hold_are_not_marked_more_often(own: float) -> None:
    first = torch.arange(97)

    def overlapping(seed: int) -> Seen:
        generator = torch.Generator().manual_seed(seed)
        shared = torch.randn(100, ROWS, generator=generator)[first[:, None] + torch.arange(WIDTH)].transpose(1, 2)
        alone = torch.randn(97, ROWS, WIDTH, generator=generator)
        energy = (own**0.5 * alone + (1 - own) ** 0.5 * shared).exp()
        return Seen(energy[:, None], torch.ones_like(energy), first, 100)

    calibration = calibrate_patches([overlapping(seed) for seed in range(40)])
    assert calibration.agreement.flatten().tolist() == pytest.approx([1 - own] * ROWS * 2, abs=0.03)
    scores = torch.stack([calibration.scored(overlapping(seed)).score for seed in range(100, 400)])
    marked = calibration.tails(scores.flatten()).view_as(scores) <= 0.05
    for part in (marked[:, [0, -1]], marked[:, 10:-10]):
        assert 0.035 < float(part.float().mean()) < 0.065


def test_what_was_not_measured_is_never_marked() -> None:
    clean = seen(400)
    calibration = calibrate_patches([clean])
    partly = seen(40, seed=1)
    partly.energy[2] = torch.nan
    partly.energy[3, :, 0] = torch.nan
    scored = calibration.scored(partly)
    assert scored.score[8:12].isnan().tolist() == [True] * 4
    assert bool(scored.score[12:16].isfinite().all())
    assert not bool(calibration.marked(scored.score, 0.9)[8:12].any())


def test_too_little_to_calibrate_on_is_said() -> None:
    with pytest.raises(UserError, match="at least two windows"):
        calibrate_patches([seen(WIDTH)])
    calibration = calibrate_patches([seen(80)])
    with pytest.raises(UserError, match="80 ordinary moments tell rates of false alarms down to 0.012, not 0.01"):
        calibration.marked(torch.zeros(3), 0.01)


def test_neighbours_that_are_marked_are_one_stretch() -> None:
    assert stretches(torch.tensor([True, False, True, True, False, True])) == [(0, 1), (2, 4), (5, 6)]
    assert stretches(torch.zeros(3, dtype=torch.bool)) == []
