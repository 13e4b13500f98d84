import colorsys
import math

import pytest
import torch

from jepakit.views.color import COLOR, apply_color, color_map, hue_basis, solarize
from jepakit.views.preprocess import LUMA

ZERO, ONE = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)


def change(x, **given):
    params = {name: torch.full((x.shape[0],), float(given.get(name, 0.0))) for name in COLOR}
    return apply_color(x * 255, params, ZERO.expand(x.shape[1], 1, 1), ONE.expand(x.shape[1], 1, 1))


def picture(c=3):
    return 0.3 + 0.3 * torch.rand(4, c, 5, 5, generator=torch.Generator().manual_seed(0))


def luma(x):
    return torch.einsum("bchw,c->bhw", x, torch.tensor(LUMA))[:, None]


@pytest.mark.parametrize("c", [1, 3, 4])
def test_no_change_is_the_identity(c):
    torch.testing.assert_close(change(picture(c)), picture(c), rtol=0, atol=1e-6)


@pytest.mark.parametrize("c", [1, 3])
def test_brightness_multiplies(c):
    torch.testing.assert_close(change(picture(c), log_brightness=math.log(1.3)), 1.3 * picture(c), rtol=0, atol=1e-6)


def test_contrast_blends_with_the_mean_luma():
    x = picture()
    expected = 0.7 * x + 0.3 * luma(x).mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(change(x, log_contrast=math.log(0.7)), expected, rtol=0, atol=1e-6)


def test_contrast_of_a_gray_image_is_about_its_mean():
    x = picture(1)
    expected = 0.7 * x + 0.3 * x.mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(change(x, log_contrast=math.log(0.7)), expected, rtol=0, atol=1e-6)


def test_saturation_blends_with_luma_and_gray_is_luma():
    x = picture()
    expected = 1.2 * x - 0.2 * luma(x)
    torch.testing.assert_close(change(x, log_saturation=math.log(1.2)), expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(change(x, gray=1.0, hue=0.3), luma(x).expand_as(x), rtol=0, atol=2e-6)


def test_operations_follow_one_another_in_the_documented_order():
    x = picture()
    chain = change(change(change(x, log_brightness=0.1), log_contrast=0.1), log_saturation=-0.2)
    chain = change(chain, hue=0.05)
    merged = change(x, log_brightness=0.1, log_contrast=0.1, log_saturation=-0.2, hue=0.05)
    torch.testing.assert_close(merged, chain, rtol=0, atol=1e-5)


def test_hue_keeps_luma_and_turns_all_the_way_round():
    x = picture()
    torch.testing.assert_close(luma(change(x, hue=0.1)), luma(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(change(x, hue=1.0), x, rtol=0, atol=1e-5)
    basis = hue_basis(torch.device("cpu"))
    opposite = (basis[0] - basis[1]) @ torch.tensor([0.9, 0.1, 0.1])  # half a turn mirrors colour in the gray axis
    torch.testing.assert_close(
        opposite, 2 * torch.tensor(LUMA) @ torch.tensor([0.9, 0.1, 0.1]) - torch.tensor([0.9, 0.1, 0.1])
    )


def test_hue_turns_in_the_direction_of_hsv():
    red = torch.tensor([0.6, 0.35, 0.35])[None, :, None, None]
    turned = change(red, hue=0.08)[0, :, 0, 0].tolist()
    hue = colorsys.rgb_to_hsv(*turned)[0]
    assert 0.02 < hue < 0.2  # red towards yellow, not towards magenta


def test_values_are_cut_to_valid_pixels_of_each_channel():
    mean, std = torch.tensor([0.2, 0.5, 0.7])[:, None, None], torch.tensor([0.2, 0.3, 0.4])[:, None, None]
    params = {name: torch.zeros(1) for name in COLOR} | {"log_brightness": torch.tensor([math.log(5.0)])}
    image = torch.stack((torch.zeros(3, 2), torch.full((3, 2), 255.0)), dim=2)[None]
    out = apply_color(image, params, mean, std)
    torch.testing.assert_close(out[0, :, 0, 0], (-mean / std)[:, 0, 0])
    torch.testing.assert_close(out[0, :, 0, 1], ((1 - mean) / std)[:, 0, 0])


def test_offset_is_one_number_a_sample():
    params = {name: torch.full((4,), 0.1) for name in COLOR}
    matrix, offset = color_map(params, torch.rand(4, 3))
    assert matrix.shape == (4, 3, 3)
    assert offset.shape == (4,)


def test_solarize_inverts_bright_pixels_of_chosen_images():
    x = torch.tensor([0.1, 0.5, 0.9]).expand(2, 1, 1, 3)
    out = solarize(x, torch.tensor([1.0, 0.0]), ZERO, ONE)
    torch.testing.assert_close(out[0, 0, 0], torch.tensor([0.1, 0.5, 0.1]))
    torch.testing.assert_close(out[1], x[1])
