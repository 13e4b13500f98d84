import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepakit.masking.blocks import block_size, block_sizes, block_tokens, covered_tokens, first_tokens, scattered_blocks


def test_block_tokens_closed_form():
    idx = block_tokens(torch.tensor([[1]]), torch.tensor([[2]]), (2, 2), (4, 5))
    assert idx.tolist() == [[[7, 8, 12, 13]]]


def test_covered_tokens_is_the_union():
    covered = covered_tokens(torch.tensor([[[0, 1], [1, 3]]]), 5)
    assert covered.tolist() == [[True, True, False, True, False]]


def test_first_tokens_takes_smallest_keys_in_raster_order():
    key = torch.tensor([[5, 1, 0, 4, 2]])
    excluded = torch.tensor([[False, False, True, False, False]])
    assert first_tokens(key, excluded, 3).tolist() == [[1, 3, 4]]


@pytest.mark.parametrize(("grid", "area", "aspect", "size"), [
    ((14, 14), 36.0, 1.0, (6, 6)),
    ((14, 14), 36.0, 2.25, (9, 4)),  # aspect is height over width
    ((2, 10), 10.0, 1.0, (2, 5)),  # what the height cannot give, the width does
    ((3, 3), 9.0, 1.0, (3, 3)),
])  # fmt: skip
def test_block_size_closed_forms(grid, area, aspect, size):
    assert block_size(grid, area, aspect) == size


@settings(max_examples=60, deadline=None)
@given(
    grid=st.tuples(st.integers(2, 16), st.integers(2, 16)),
    low=st.floats(0.02, 0.9),
    width=st.floats(0.0, 0.3),
    aspect=st.tuples(st.floats(0.3, 1.0), st.floats(1.0, 3.0)),
    u=st.floats(0, 1),
    v=st.floats(0, 1),
)
def test_block_sizes_lists_whatever_can_be_drawn(grid, low, width, aspect, u, v):
    scale = (low, min(low + width, 1.0))
    drawn = block_size(
        grid, (scale[0] + u * (scale[1] - scale[0])) * grid[0] * grid[1], aspect[0] + v * (aspect[1] - aspect[0])
    )
    assert drawn in block_sizes(grid, scale, aspect)


def test_block_sizes_lists_nothing_else():
    grid, scale, aspect = (14, 14), (0.15, 0.2), (0.75, 1.5)
    draws = [i / 60 for i in range(61)]
    drawn = {block_size(grid, (0.15 + 0.05 * u) * 196, 0.75 + 0.75 * v) for u in draws for v in draws}
    assert block_sizes(grid, scale, aspect) == drawn


@pytest.mark.parametrize("height", [1, 3, 5, 6])
def test_no_row_is_covered_more_than_about_twice_as_often_as_another(height):
    idx = scattered_blocks(torch.arange(20_000), 0, 0, 1, (height, 2), (12, 7))
    rows = torch.bincount((idx // 7).flatten(), minlength=12).float()
    assert rows.min() > 0
    assert rows.max() / rows.min() < 2 * 1.06
