"""Random convolutional features are fixed, blind to brightness, and better than chance."""

import pytest
import torch

from jepakit.evaluation.random_features import random_conv_features
from jepakit.types import UserError


def test_features_are_a_function_of_seed_and_image() -> None:
    x = torch.randn(3, 3, 8, 8)
    encode = random_conv_features(64, channels=3)
    assert encode(x).shape == (3, 64)
    assert torch.equal(encode(x), random_conv_features(64, channels=3)(x))
    assert not torch.equal(encode(x), random_conv_features(64, channels=3, seed=1)(x))


def test_inner_responses_ignore_brightness() -> None:
    x = torch.randn(1, 1, 16, 16)
    encode = random_conv_features(8, channels=1, patch_size=1 + 2, pool=1)
    interior = encode(x + 5.0) - encode(x)
    border_only = encode(torch.full_like(x, 5.0))
    assert interior.abs().max() <= border_only.abs().max() + 1e-4


def test_both_signs_are_kept() -> None:
    x = torch.randn(2, 1, 8, 8)
    z = random_conv_features(16, channels=1, pool=1)(x)
    z_negative = random_conv_features(16, channels=1, pool=1)(-x)
    torch.testing.assert_close(z[:, :8], z_negative[:, 8:])


def test_a_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UserError, match="multiple of 8, got 20"):
        random_conv_features(20, channels=3)
