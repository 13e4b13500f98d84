"""Shapes cover the pixels that they should, in part at their edges, and never write outside their window."""

import math

import pytest
import torch

from jepakit.worlds.painting import capsule, disc, paint, parts, window


@pytest.mark.parametrize("place", [(30.2, 31.7), (0.0, 63.0), (1.4, 2.6), (62.9, 0.3)])
def test_a_window_holds_all_within_reach_and_lies_in_the_picture(place: tuple[float, float]) -> None:
    pixels = window(torch.tensor([place]), 4.3, 64)
    assert int(pixels.min()) >= 0
    assert int(pixels.max()) <= 63
    for axis in range(2):
        near = [value for value in range(64) if abs(value - place[axis]) <= 4.3]
        assert set(near) <= set(pixels[0, axis].tolist())
    assert bool((pixels.diff(dim=2) == 1).all())


def test_a_small_picture_is_its_own_window() -> None:
    assert window(torch.tensor([[3.0, 3.0]]), 40.0, 8).tolist() == [[list(range(8))] * 2]


def test_covers_have_the_area_of_their_shapes() -> None:
    middle = torch.tensor([[20.3, 30.8]])
    pixels = window(middle, 9.0, 64)
    assert float(disc(pixels, middle, 6.0).sum()) == pytest.approx(math.pi * 36, rel=0.01)
    begin, end = torch.tensor([[17.3, 26.8]]), torch.tensor([[23.3, 34.8]])
    assert float(capsule(pixels, begin, end, 2.0).sum()) == pytest.approx(10 * 4 + math.pi * 4, rel=0.02)
    assert torch.allclose(capsule(pixels, middle, middle, 6.0), disc(pixels, middle, 6.0), atol=1e-5)


def test_rows_are_y_and_columns_x() -> None:
    frames = torch.zeros(1, 3, 16, 20, dtype=torch.uint8)
    middle = torch.tensor([[12.0, 5.0]])
    pixels = window(middle, 2.0, 16)
    paint(frames, pixels, disc(pixels, middle, 0.5), (200, 100, 50))
    assert frames[0, :, 5, 12].tolist() == [200, 100, 50]
    assert int(frames.sum()) == 350


def test_half_a_cover_is_half_of_each() -> None:
    frames = torch.full((1, 2, 4, 4), 100, dtype=torch.uint8)
    paint(frames, torch.tensor([[[1, 2], [1, 2]]]), torch.full((1, 2, 2), 0.5), (200, 0))
    assert frames[0, :, 1, 1].tolist() == [150, 50]
    assert frames[0, :, 0, 0].tolist() == [100, 100]


def test_parts_cover_a_batch_once() -> None:
    for num, size in ((0, 64), (1, 64), (256, 64), (700, 64), (9, 5000)):
        assert [row for part in parts(num, size) for row in range(num)[part]] == list(range(num))
