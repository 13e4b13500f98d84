import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepakit.types import UserError
from jepakit.views import PARAMS, Augment, Preprocess, View

WHOLE = {"crop_scale": (1.0, 1.0), "crop_aspect": (1.0, 1.0), "mean": (0.0,), "std": (1.0,)}
ALL = Augment(
    image_size=16,
    flip_prob=0.5,
    rotation_degrees=20.0,
    shift_fraction=0.1,
    jitter_prob=0.8,
    gray_prob=0.2,
    blur_prob=0.5,
    solarize_prob=0.3,
    noise_std=0.05,
)
SEPARABLE = replace(ALL, rotation_degrees=0.0)
DIGITS = replace(SEPARABLE, image_size=8, channels=1)
COLUMN = {name: i for i, name in enumerate(PARAMS)}


def pixels(b=6, c=3, h=16, w=16):
    return torch.randint(0, 256, (b, c, h, w), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def draw(augment, b=4000, size=(16, 16), step=0, view=0):
    return dict(zip(PARAMS, augment.draw(torch.arange(b), step, view, size).unbind(1), strict=True))


@pytest.mark.parametrize("more", [{}, {"blur_prob": 1e-9}, {"jitter_prob": 1e-9}, {"solarize_prob": 1e-9}])
def test_switched_off_returns_the_input(more):
    image = pixels()
    view = Augment(image_size=16, **WHOLE, **more)(image, torch.arange(6), 0)
    torch.testing.assert_close(view.image, image.float() / 255, rtol=0, atol=1e-6)
    assert (view.params == 0).all()
    assert Augment(image_size=16).params == PARAMS


def test_normalisation_is_that_of_preprocess():
    image, norm = pixels(), {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}
    expected = Preprocess(image_size=16, **norm)(image)
    for more in ({}, {"jitter_prob": 1e-9}):  # without and with the colour product
        out = Augment(image_size=16, **(WHOLE | norm), **more)(image, torch.arange(6), 0).image
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("more", [{}, {"blur_prob": 1e-9}, {"rotation_degrees": 1e-6}])
def test_pure_flip(more):
    image = pixels()
    view = Augment(image_size=16, flip_prob=0.5, **WHOLE, **more)(image, torch.arange(6), 0)
    flip = view.params[:, COLUMN["flip"], None, None, None] > 0
    assert flip.any()
    assert not flip.all()
    expected = torch.where(flip, image.flip(-1), image).float() / 255
    torch.testing.assert_close(view.image, expected, rtol=0, atol=1e-4)


def test_integer_shift_moves_the_content():
    image = pixels()
    augment = Augment(image_size=16, shift_fraction=0.5, **WHOLE)
    params = torch.zeros(6, len(PARAMS))
    params[:, COLUMN["cy"]], params[:, COLUMN["cx"]] = 3 / 16, -2 / 16
    out = augment.apply(image, params)
    torch.testing.assert_close(out[:, :, :13, 2:], image[:, :, 3:, :14].float() / 255, rtol=0, atol=1e-5)


def test_quarter_turn():
    image = pixels()
    params = torch.zeros(6, len(PARAMS))
    params[:, COLUMN["rotation"]] = 0.5
    out = Augment(image_size=16, rotation_degrees=90.0, **WHOLE).apply(image, params)
    torch.testing.assert_close(out, torch.rot90(image, 1, (2, 3)).float() / 255, rtol=0, atol=1e-4)


def test_a_non_square_source_is_stretched_over_the_view():
    image = pixels(h=8, w=32)
    out = Augment(image_size=8, crop_scale=(1.0, 1.0), crop_aspect=(4.0, 4.0), mean=(0.0,), std=(1.0,))(
        image, torch.arange(6), 0
    )
    expected = torch.nn.functional.interpolate(image.float() / 255, size=(8, 8), mode="bilinear", antialias=True)
    torch.testing.assert_close(out.image, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("augment", [ALL, SEPARABLE, DIGITS], ids=["affine", "separable", "digits"])
def test_a_view_does_not_depend_on_its_batch(augment):
    image, ids = pixels(c=augment.channels), torch.tensor([5, 2**40, 7, 0, 1, 9])
    whole, part = augment(image, ids, 3, 1), augment(image[1:3], ids[1:3], 3, 1)
    assert torch.equal(whole.params[1:3], part.params)
    torch.testing.assert_close(whole.image[1:3], part.image, rtol=0, atol=1e-5)


def test_views_steps_names_and_seeds_draw_apart():
    ids = torch.arange(5)
    first = ALL.draw(ids, 0, 0, (16, 16))
    others = [ALL.draw(ids, 1, 0, (16, 16)), ALL.draw(ids, 0, 1, (16, 16))]
    others += [replace(ALL, **change).draw(ids, 0, 0, (16, 16)) for change in ({"seed": 1}, {"name": "other"})]
    for other in others:
        assert not torch.isclose(first[:, :4], other[:, :4]).any()
    assert torch.equal(first, ALL.draw(ids, 0, 0, (16, 16)))


def test_switching_one_operation_on_leaves_the_other_draws_alone():
    ids = torch.arange(5)
    plain, more = (a.draw(ids, 0, 0, (16, 16)) for a in (Augment(image_size=16), Augment(image_size=16, flip_prob=0.5)))
    kept = [i for name, i in COLUMN.items() if name != "flip"]
    assert torch.equal(plain[:, kept], more[:, kept])


@pytest.mark.parametrize("size", [(16, 16), (20, 40), (64, 16)])
@settings(max_examples=20, deadline=None)
@given(low=st.floats(0.05, 1.0), aspect=st.floats(0.3, 3.0), ratio=st.floats(1.0, 2.0))
def test_boxes_lie_inside_the_source(size, low, aspect, ratio):
    p = draw(Augment(image_size=8, crop_scale=(low, 1.0), crop_aspect=(aspect, aspect * ratio)), 200, size)
    unit = math.sqrt(size[0] * size[1])
    for center, log_length, side in (("cy", "log_height", size[0]), ("cx", "log_width", size[1])):
        reach = p[center].abs() + torch.exp(p[log_length]) / 2
        assert reach.max() <= side / unit / 2 * (1 + 1e-5)
    drawn = torch.exp(p["log_width"] - p["log_height"])
    assert drawn.min() >= aspect * (1 - 1e-4)
    assert drawn.max() <= aspect * ratio * (1 + 1e-4)


def test_crop_scale_is_uniform_and_aspect_covers_its_range():
    p = draw(Augment(image_size=16, crop_scale=(0.3, 0.7), crop_aspect=(0.75, 4 / 3)))
    area = torch.exp(p["log_height"] + p["log_width"])
    edges = torch.histc(area, bins=4, min=0.3, max=0.7) / 4000
    torch.testing.assert_close(edges, torch.full((4,), 0.25), rtol=0, atol=0.03)
    log_aspect = p["log_width"] - p["log_height"]
    edges = torch.histc(log_aspect, bins=4, min=math.log(0.75), max=math.log(4 / 3)) / 4000
    torch.testing.assert_close(edges, torch.full((4,), 0.25), rtol=0, atol=0.03)
    assert abs(torch.corrcoef(torch.stack((area, log_aspect)))[0, 1]) < 0.06
    for name in ("cy", "cx"):
        assert abs(p[name].mean()) < 0.01


def test_crop_scale_is_uniform_where_few_shapes_fit():
    p = draw(Augment(image_size=16, crop_scale=(0.6, 1.0), crop_aspect=(0.5, 2.0)))
    edges = torch.histc(torch.exp(p["log_height"] + p["log_width"]), bins=4, min=0.6, max=1.0) / 4000
    torch.testing.assert_close(edges, torch.full((4,), 0.25), rtol=0, atol=0.03)


def test_probabilities_and_ranges_of_the_rest():
    p = draw(replace(ALL, jitter=(0.4, 0.3, 0.2, 0.1), crop_scale=(1.0, 1.0), crop_aspect=(1.0, 1.0)))
    for name, prob in (("flip", 0.5), ("gray", 0.2), ("blur", 0.5), ("solarize", 0.3), ("log_brightness", 0.8)):
        assert (p[name] != 0).float().mean() == pytest.approx(prob, abs=0.03)
    for name, strength in (("log_brightness", 0.4), ("log_contrast", 0.3), ("log_saturation", 0.2)):
        factor = torch.exp(p[name])
        assert factor.min() == pytest.approx(1 - strength, abs=0.01)
        assert factor.max() == pytest.approx(1 + strength, abs=0.01)
        assert factor.mean() == pytest.approx(1.0, abs=0.01)
    assert p["hue"].abs().max() == pytest.approx(0.1, abs=0.003)
    assert p["rotation"].min() == pytest.approx(-20 / 180, abs=0.001)
    assert p["rotation"].max() == pytest.approx(20 / 180, abs=0.001)
    assert p["cy"].abs().max() == pytest.approx(0.1, abs=0.003)
    blurred = p["blur"][p["blur"] > 0]
    assert blurred.min() == pytest.approx(0.1, abs=0.02)
    assert blurred.max() == pytest.approx(2.0, abs=0.02)


def test_gray_images_skip_what_needs_colour():
    p = draw(replace(DIGITS, jitter_prob=1.0, gray_prob=1.0), size=(8, 8))
    for name in ("log_saturation", "hue", "gray"):
        assert (p[name] == 0).all()
    assert (p["log_brightness"] != 0).all()
    out = DIGITS(pixels(c=1, h=8, w=8), torch.arange(6), 0).image
    assert out.shape == (6, 1, 8, 8)
    assert torch.isfinite(out).all()


def test_blur_lowers_detail_of_blurred_samples_only():
    image = pixels(b=40)
    augment = Augment(image_size=16, blur_prob=0.5, blur_sigma=(1.0, 2.0), **WHOLE)
    view = augment(image, torch.arange(40), 0)
    blurred = view.params[:, COLUMN["blur"]] > 0
    torch.testing.assert_close(view.image[~blurred], image[~blurred].float() / 255, rtol=0, atol=1e-6)
    assert (view.image[blurred].std(dim=(1, 2, 3)) < 0.5 * (image[blurred].float() / 255).std(dim=(1, 2, 3))).all()


def test_noise_has_its_deviation_and_stays_valid():
    image = torch.full((64, 1, 16, 16), 128, dtype=torch.uint8)
    augment = Augment(image_size=16, channels=1, noise_std=0.1, **(WHOLE | {"std": (0.25,)}))
    out = augment(image, torch.arange(64), 0).image
    assert (out * 0.25).std() == pytest.approx(0.1, rel=0.03)
    loud = replace(augment, noise_std=3.0)(image, torch.arange(64), 0).image
    assert loud.min() == 0
    assert loud.max() == 4


@pytest.mark.parametrize("augment", [ALL, SEPARABLE, DIGITS], ids=["affine", "separable", "digits"])
def test_nothing_waits_for_the_device(augment):
    view = augment(pixels(c=augment.channels).to("meta"), torch.arange(6, device="meta"), 0)
    assert isinstance(view, View)
    assert view.image.device.type == "meta"
    assert view.image.shape == (6, augment.channels, augment.image_size, augment.image_size)


def test_autocast_does_not_touch_pixels_and_no_gradient_is_kept():
    image, ids = pixels(), torch.arange(6)
    plain = SEPARABLE(image, ids, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = SEPARABLE(image, ids, 0)
    assert cast.image.dtype == torch.float32
    assert torch.equal(plain.image, cast.image)
    assert not cast.image.requires_grad


@pytest.mark.parametrize(("change", "word"), [
    ({"image_size": 0}, "image_size"),
    ({"flip_prob": 1.5}, "flip_prob is a probability"),
    ({"crop_scale": (0.0, 1.0)}, "crop_scale"),
    ({"crop_scale": (0.5, 1.5)}, "crop_scale"),
    ({"crop_aspect": (2.0, 1.0)}, "crop_aspect"),
    ({"blur_sigma": (0.0, 1.0)}, "blur_sigma"),
    ({"shift_fraction": 0.7}, "shift_fraction"),
    ({"rotation_degrees": 270.0}, "rotation"),
    ({"jitter": (1.0, 0.4, 0.2, 0.1)}, "jitter"),
    ({"jitter": (0.4, 0.4, 0.2, 0.6)}, "half a turn"),
    ({"noise_std": -1.0}, "noise_std"),
    ({"mean": (0.1, 0.2)}, "mean has 2"),
])  # fmt: skip
def test_settings_out_of_range_are_refused(change, word):
    with pytest.raises(UserError, match=word):
        replace(ALL, **change)


def test_settings_are_plain_json():
    stored = json.loads(json.dumps(asdict(ALL)))
    assert Augment(**{k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}) == ALL
