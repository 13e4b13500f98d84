import pytest
import torch

from jepakit.types import UserError
from jepakit.views import CORRUPTIONS, SEVERITIES, corrupt, kept_patches

IDS = torch.arange(32)


def picture(c=3, size=32):
    return torch.rand(32, c, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_an_image_is_corrupted_alike_in_every_batch(kind):
    x = picture()
    whole = corrupt(kind, x, 3, IDS)
    assert torch.equal(whole[4:6], corrupt(kind, x[4:6], 3, IDS[4:6]))
    assert whole.shape == x.shape
    assert not torch.equal(whole, x)


@pytest.mark.parametrize("kind", [k for k in CORRUPTIONS if k != "blur"])
def test_ids_and_seeds_draw_apart(kind):
    x = torch.zeros(32, 1, 32, 32)
    out = corrupt(kind, x, 2, IDS)
    assert not torch.equal(out[0], out[1])
    assert not torch.equal(out, corrupt(kind, x, 2, IDS, seed=1))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_damage_grows_with_severity(kind):
    x = picture()
    damage = [(corrupt(kind, x, severity, IDS) - x).abs().mean().item() for severity in range(1, 6)]
    assert damage == sorted(damage)
    assert damage[0] > 0


@pytest.mark.parametrize("severity", [1, 5])
def test_noise_has_the_tabled_deviation_also_on_normalised_images(severity):
    x, std = torch.zeros(32, 1, 32, 32), 0.05  # mean gray, far from both ends
    out = corrupt("noise", x, severity, IDS, mean=(0.5,), std=(std,))
    inner = (out * std)[(out * std).abs() < 0.49]
    if severity == 1:
        assert inner.std() == pytest.approx(SEVERITIES["noise"][0], rel=0.02)
    assert (out * std).abs().max() <= 0.5 + 1e-6


def test_blur_keeps_constants_and_takes_a_fraction_of_the_side():
    flat = torch.full((32, 1, 16, 16), 0.7)
    torch.testing.assert_close(corrupt("blur", flat, 5, IDS), flat)
    point = torch.zeros(1, 1, 101, 101)
    point[0, 0, 50, 50] = 1
    row = corrupt("blur", point, 3, IDS[:1])[0, 0].sum(dim=0)
    variance = (row * (torch.arange(101) - 50.0) ** 2).sum()
    assert variance.sqrt() == pytest.approx(0.03 * 101, rel=0.01)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_occlusion_is_one_gray_block_of_its_area(severity):
    x = torch.zeros(32, 2, 40, 40)
    out = corrupt("occlusion", x, severity, IDS, mean=(0.1,), std=(0.2,))
    hidden = out[:, 0] != 0
    assert torch.equal(out[:, 0], out[:, 1])
    torch.testing.assert_close(out[:, 0][hidden], torch.full((int(hidden.sum()),), 2.0))  # (0.5 - 0.1) / 0.2
    assert hidden.float().mean() == pytest.approx(SEVERITIES["occlusion"][severity - 1], abs=0.02)
    height, width = hidden.any(dim=2).sum(dim=1), hidden.any(dim=1).sum(dim=1)
    assert torch.equal(height * width, hidden.sum(dim=(1, 2)))


def test_occlusion_reaches_every_border():
    ids = torch.arange(2000)
    hidden = corrupt("occlusion", torch.zeros(2000, 1, 8, 8), 1, ids)[:, 0] > 0
    assert hidden.any(dim=0).all()


@pytest.mark.parametrize(("severity", "num_kept"), [(1, 14), (2, 11), (3, 8), (4, 5), (5, 2)])
def test_patch_drop_grays_all_but_the_kept_patches(severity, num_kept):
    kept = kept_patches(severity, IDS, (4, 4))
    assert kept.shape == (32, num_kept)
    assert (kept.diff(dim=1) > 0).all()
    out = corrupt("patch_drop", torch.zeros(32, 1, 8, 8), severity, IDS, grid=(4, 4))
    clean = (out[:, 0] == 0).view(32, 4, 2, 4, 2).permute(0, 1, 3, 2, 4).flatten(3)
    assert torch.equal(clean.all(dim=3), clean.any(dim=3))  # whole patches
    assert torch.equal(clean.all(dim=3).flatten(1), torch.zeros(32, 16, dtype=torch.bool).scatter(1, kept, True))


def test_higher_severities_keep_a_subset():
    fewer, more = kept_patches(4, IDS, (8, 8)), kept_patches(2, IDS, (8, 8))
    for few, many in zip(fewer.tolist(), more.tolist(), strict=True):
        assert set(few) <= set(many)


def test_at_least_one_patch_is_kept():
    assert kept_patches(5, IDS, (1, 2)).shape == (32, 1)


def test_every_kind_works_without_waiting_for_the_device():
    for kind in CORRUPTIONS:
        assert corrupt(kind, picture().to("meta"), 3, IDS.to("meta")).shape == (32, 3, 32, 32)


@pytest.mark.parametrize(("arguments", "word"), [
    (("fog", 1), "no corruption 'fog' of images; there are noise"),
    (("noise", 0), "1 to 5"),
    (("noise", 6), "1 to 5"),
    (("patch_drop", 1), "8x8"),
])  # fmt: skip
def test_mistakes_get_a_sentence(arguments, word):
    kind, severity = arguments
    with pytest.raises(UserError, match=word):
        corrupt(kind, torch.zeros(1, 1, 30, 30), severity, torch.zeros(1, dtype=torch.long))
