from functools import partial

import pytest
import torch

from jepakit.evaluation.arms import Arm, Inputs, augmented_pixels_arm, encoder_arm, pixels_arm
from jepakit.evaluation.robustness import corrupt_pixels
from jepakit.random import Stream
from jepakit.types import UserError


def to_float(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 127.5 - 1.0


def dim(kind, x, severity, ids, seed):
    return x * (1.0 - severity / 5.0)


def images(corrupt=None) -> Inputs:
    corrupt = None if corrupt is None else partial(corrupt_pixels, corrupt)
    pixel = Stream(0, "test").integers(0, torch.arange(20), 16, 256).to(torch.uint8).view(20, 1, 4, 4)
    ids = torch.arange(20)
    return Inputs(train=pixel[:12], test=pixel[12:], train_ids=ids[:12], test_ids=ids[12:], corrupt=corrupt)


def mean_token(x: torch.Tensor) -> torch.Tensor:
    return x.mean(dim=2).flatten(1)


def test_an_encoders_features_stand_in_the_order_of_the_images():
    source = images(dim)
    arm = encoder_arm(source, mean_token, to_float, "last", "mean", encode_tokens=lambda x: x[:, 0], batch_size=5)
    torch.testing.assert_close(arm.train[:, 0], mean_token(to_float(source.train)))
    torch.testing.assert_close(arm.test, mean_token(to_float(source.test)))
    assert [part.shape for part in arm.tokens] == [(12, 4, 4), (8, 4, 4)]
    torch.testing.assert_close(arm.corrupted("dim", 5), torch.full((8, 4), -1.0))
    assert not arm.is_floor


def test_patches_are_truly_dropped_where_the_encoder_can():
    seen = []

    def drop(x, ids, severity):
        seen.append((len(x), ids.tolist(), severity))
        return mean_token(x)

    arm = encoder_arm(images(dim), mean_token, to_float, "last", "mean", drop_tokens=drop, batch_size=5)
    assert arm.corrupted("patch_drop", 2).shape == (8, 4)
    assert seen == [(5, [12, 13, 14, 15, 16], 2), (3, [17, 18, 19], 2)]
    torch.testing.assert_close(arm.corrupted("dim", 5), torch.full((8, 4), -1.0))


def test_raw_pixels_are_a_floor():
    arm = pixels_arm(images(dim))
    assert arm.is_floor
    assert arm.train.shape == (12, 1, 16)
    torch.testing.assert_close(arm.corrupted("dim", 5), torch.zeros(8, 16))
    assert pixels_arm(images()).corrupted is None


def test_augmented_pixels_bring_copies_beside_the_original():
    source = images(dim)

    def roll(x, ids, copy):
        assert ids.tolist() == list(range(12))
        return to_float(x).roll(copy + 1, dims=3)

    arm = augmented_pixels_arm(source, roll, to_float, num_copies=2)
    plain = to_float(source.train)
    assert arm.train.shape == (12, 3, 16)
    for copy in range(3):
        torch.testing.assert_close(arm.train[:, copy], plain.roll(copy, dims=3).flatten(1))
    torch.testing.assert_close(arm.test, to_float(source.test).flatten(1))
    torch.testing.assert_close(arm.corrupted("dim", 5), torch.full((8, 16), -1.0))


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(UserError, match="one size"):
        augmented_pixels_arm(images(), lambda x, ids, copy: to_float(x)[..., :2], to_float)
    with pytest.raises(UserError, match="one width"):
        Arm(train=torch.ones(3, 1, 4), test=torch.ones(3, 5), layer="", pooling="")
    with pytest.raises(UserError, match="corrupt="):
        images().corrupted("dim", 1)
