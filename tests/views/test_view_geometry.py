import pytest
import torch
from torch.nn import functional as F

from jepakit.views.geometry import affine_sample, blur_weights, crop_weights, resample


def picture(b=2, c=3, h=12, w=12):
    return torch.rand(b, c, h, w, generator=torch.Generator().manual_seed(0))


def crop(x, box, out, reflect=False, mirror=None):
    """Crop the box (top, left, height, width), in pixels, of every image."""
    top, left, height, width = (torch.full((x.shape[0],), float(v)) for v in box)
    rows = crop_weights(top + height / 2, height, None, x.shape[2], out, reflect)
    return resample(x, rows, crop_weights(left + width / 2, width, mirror, x.shape[3], out, reflect))


@pytest.mark.parametrize("box", [(0, 0, 12, 12), (2, 3, 7, 5), (5, 0, 4, 12), (11, 11, 1, 1), (1, 1, 10, 11)])
@pytest.mark.parametrize("out", [3, 4, 7, 12, 20])
def test_crop_and_resize_equal_torch_on_the_crop(box, out):
    x = picture()
    top, left, height, width = box
    cut = x[:, :, top : top + height, left : left + width]
    expected = F.interpolate(cut, size=(out, out), mode="bilinear", antialias=True)
    torch.testing.assert_close(crop(x, box, out), expected, rtol=0, atol=2e-6)


def test_boxes_differ_by_sample():
    x = picture()
    center, length = torch.tensor([6.0, 3.0]), torch.tensor([12.0, 6.0])
    weights = crop_weights(center, length, None, 12, 6, False)
    torch.testing.assert_close(
        resample(x, weights, weights)[1:], F.interpolate(x[1:, :, :6, :6], size=(6, 6), mode="bilinear")
    )
    torch.testing.assert_close(
        resample(x, weights, weights)[:1], F.interpolate(x[:1], size=(6, 6), mode="bilinear", antialias=True)
    )


def test_half_a_pixel_between_two_is_their_mean():
    shifted = crop_weights(torch.tensor([1.5]), torch.tensor([1.0]), None, 4, 1, False)
    torch.testing.assert_close(shifted[0, 0], torch.tensor([0.0, 1.0, 0.0, 0.0]))
    shifted = crop_weights(torch.tensor([2.0]), torch.tensor([1.0]), None, 4, 1, False)
    torch.testing.assert_close(shifted[0, 0], torch.tensor([0.0, 0.5, 0.5, 0.0]))


def test_mirrored_crop_is_the_crop_mirrored():
    x = picture()
    mirrored = crop(x, (1, 2, 9, 7), 5, mirror=torch.tensor([-1.0, 1.0]))
    plain = crop(x, (1, 2, 9, 7), 5)
    torch.testing.assert_close(mirrored[0], plain[0].flip(-1))
    torch.testing.assert_close(mirrored[1], plain[1])


def test_beyond_the_border_the_source_goes_on_mirrored():
    x = picture()
    padded = torch.cat((x.flip(2), x, x.flip(2)), dim=2)  # each border pixel appears twice, once on each side
    padded = torch.cat((padded.flip(3), padded, padded.flip(3)), dim=3)
    for top, left in ((-3, 2), (5, -6), (0, 0)):
        expected = padded[:, :, 12 + top : 24 + top, 12 + left : 24 + left]
        torch.testing.assert_close(crop(x, (top, left, 12, 12), 12, reflect=True), expected, rtol=0, atol=2e-6)


def test_blur_of_nothing_is_nothing_and_of_a_point_a_gaussian():
    weights = blur_weights(torch.tensor([0.0, 1.5]), 21)
    assert torch.equal(weights[0], torch.eye(21))
    distance = torch.arange(21) - 10.0
    gaussian = torch.exp(-(distance**2) / (2 * 1.5**2))
    torch.testing.assert_close(weights[1, 10], gaussian / gaussian.sum())
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 21))


def affine(x, box, degrees, out, mirror=1.0):
    top, left, height, width = (torch.full((x.shape[0],), float(v)) for v in box)
    angle = torch.full((x.shape[0],), degrees * torch.pi / 180)
    sign = torch.full((x.shape[0],), mirror)
    return affine_sample(x, (top + height / 2, left + width / 2), (height, width), sign, angle, out)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_are_counter_clockwise(turns):
    x = picture()
    out = affine(x, (0, 0, 12, 12), 90.0 * turns, 12)
    torch.testing.assert_close(out, torch.rot90(x, turns, (2, 3)), rtol=0, atol=1e-5)


def test_without_rotation_the_affine_way_agrees_with_the_separable_one():
    x = picture()
    box = (2, 1, 8, 9)
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))  # at its border the separable crop sees less
    separable = crop(x, box, 12, mirror=torch.full((2,), -1.0))
    torch.testing.assert_close(affine(x, box, 0.0, 12, -1.0)[inner], separable[inner], rtol=0, atol=1e-5)


def test_strong_shrinking_with_rotation_is_antialiased():
    stripes = (torch.arange(64) % 4 == 0).float().expand(1, 1, 64, 64)  # one point a pixel would miss them all
    out = affine(stripes, (0, 0, 64, 64), 0.0, 16)
    torch.testing.assert_close(out, torch.full((1, 1, 16, 16), 0.25), rtol=0, atol=1e-5)
