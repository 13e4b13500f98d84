import json
from dataclasses import asdict

import pytest
import torch
from torch.nn import functional as F

from jepakit.types import UserError
from jepakit.views import IMAGENET_MEAN, IMAGENET_STD, Preprocess


def pixels(*shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def test_same_size_is_scaled_and_normalised_only():
    image = pixels(2, 3, 8, 8)
    out = Preprocess(image_size=8, mean=IMAGENET_MEAN, std=IMAGENET_STD)(image)
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(out, (image.float() / 255 - mean) / std)


def test_extremes_of_a_pixel():
    image = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 1, 4, 4)
    out = Preprocess(image_size=4, channels=1)(image)
    torch.testing.assert_close(out[:, 0, 0, 0], torch.tensor([-1.0, 1.0]))


@pytest.mark.parametrize("size", [(20, 32), (32, 20), (33, 20)])
def test_largest_centred_square_is_resized_with_antialiasing(size):
    image = pixels(2, 3, *size)
    top, left = (size[0] - 20) // 2, (size[1] - 20) // 2
    square = image[:, :, top : top + 20, left : left + 20].float() / 255
    expected = F.interpolate(square, size=(8, 8), mode="bilinear", antialias=True)
    torch.testing.assert_close(Preprocess(image_size=8, mean=(0.0,), std=(1.0,))(image), expected)


def test_gray_is_repeated_and_rgb_is_weighted():
    gray, rgb = pixels(2, 1, 4, 4), pixels(2, 3, 4, 4)
    out = Preprocess(image_size=4, mean=(0.0,), std=(1.0,))(gray)
    torch.testing.assert_close(out, (gray.float() / 255).expand(2, 3, 4, 4))
    out = Preprocess(image_size=4, channels=1, mean=(0.0,), std=(1.0,))(rgb)
    luma = 0.299 * rgb[:, :1].float() + 0.587 * rgb[:, 1:2].float() + 0.114 * rgb[:, 2:].float()
    torch.testing.assert_close(out, luma / 255)


@pytest.mark.parametrize(("source", "channels"), [(4, 3), (2, 1), (3, 5)])
def test_other_channels_are_refused_with_advice(source, channels):
    with pytest.raises(UserError, match=f"takes {channels} channel.*have {source}.*set `channels`"):
        Preprocess(image_size=4, channels=channels)(pixels(2, source, 4, 4))


@pytest.mark.parametrize(("settings", "word"), [
    ({"image_size": 0}, "image_size"),
    ({"image_size": 4, "channels": 0}, "channels"),
    ({"image_size": 4, "mean": (0.1, 0.2)}, "mean has 2 values for 3"),
    ({"image_size": 4, "std": (0.1, 0.2)}, "std has 2"),
    ({"image_size": 4, "std": (0.0,)}, "above 0"),
])  # fmt: skip
def test_contradicting_settings_are_refused(settings, word):
    with pytest.raises(UserError, match=word):
        Preprocess(**settings)


def test_settings_survive_json():
    config = Preprocess(image_size=4, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    stored = json.loads(json.dumps(asdict(config)))
    assert Preprocess(**{k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}) == config
