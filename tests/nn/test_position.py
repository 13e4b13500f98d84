import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepakit.nn.position import (
    released_rotary_table,
    resize_table,
    rotary_table,
    rotate,
    select_rotation,
    sincos_table,
)
from jepakit.types import UserError


def test_sincos_writes_the_column_first_then_the_row() -> None:
    table = sincos_table((3, 5), 8)
    for row in range(3):
        for column in range(5):
            expected = [
                f(axis / 10000 ** (i / 2)) for axis in (column, row) for f in (math.sin, math.cos) for i in range(2)
            ]
            torch.testing.assert_close(table[row * 5 + column], torch.tensor(expected))


def test_sincos_of_clips_writes_moment_row_and_column_in_thirds_and_cuts_the_last() -> None:
    table = sincos_table((2, 3, 5), 32)  # thirds of 12, of which the last keeps 8
    for index, place in enumerate((t, row, column) for t in range(2) for row in range(3) for column in range(5)):
        expected = [f(axis / 10000 ** (i / 6)) for axis in place for f in (math.sin, math.cos) for i in range(6)]
        torch.testing.assert_close(table[index], torch.tensor(expected[:32]))


@pytest.mark.parametrize("head_dim", [24, 32, 64, 80])
def test_released_rotations_equal_hugging_faces(head_dim: int) -> None:
    modeling = pytest.importorskip(
        "transformers.models.vjepa2.modeling_vjepa2", reason="install transformers to compare"
    )
    grid = (2, 3, 5)
    x = torch.randn(2, 4, 30, head_dim)
    third = 2 * (head_dim // 3 // 2)
    places = torch.cartesian_prod(*(torch.arange(side) for side in grid)).float()
    parts = [
        modeling.rotate_queries_or_keys(part, places[:, axis].expand(2, 4, -1))
        for axis, part in enumerate(x[..., : 3 * third].split(third, dim=-1))
    ]
    expected = torch.cat((*parts, x[..., 3 * third :]), dim=-1)
    turned = rotate(x, select_rotation(released_rotary_table(grid, head_dim)))
    torch.testing.assert_close(turned, expected, rtol=0, atol=2e-6)
    assert (rotate(x, select_rotation(rotary_table(grid, head_dim))) - expected).abs().max() > 0.1


def test_moments_of_a_longer_clip_go_on_while_rows_are_scaled() -> None:
    native, longer = rotary_table((2, 4, 4), 12), rotary_table((4, 8, 8), 12, native=(2, 4, 4))
    same = longer.view(2, 4, 8, 8, 6)[:, :2, ::2, ::2]
    torch.testing.assert_close(same, native.view(2, 2, 4, 4, 6))


def test_sincos_rows_are_all_different() -> None:
    table = sincos_table((14, 14), 64)
    assert table.dtype == torch.float32
    assert float(torch.cdist(table, table).fill_diagonal_(1.0).min()) > 0.1


def test_rotation_of_neighbours_depends_on_their_shift_alone() -> None:
    grid, head_dim = (9, 9), 16
    table = rotary_table(grid, head_dim)
    query, key = torch.randn(head_dim), torch.randn(head_dim)

    def score(i: int, j: int) -> float:
        q = rotate(query[None, None, None], select_rotation(table[:, i : i + 1]))
        k = rotate(key[None, None, None], select_rotation(table[:, j : j + 1]))
        return float((q * k).sum())

    at = [score(r * 9 + c, (r + 2) * 9 + c + 3) for r, c in ((0, 0), (3, 1), (6, 5))]
    assert at == pytest.approx([at[0]] * 3, abs=1e-5)
    assert abs(at[0] - score(0, 3 * 9 + 2)) > 1e-3  # rows and columns are told apart


@settings(max_examples=30, deadline=None)
@given(head_dim=st.sampled_from([4, 6, 8, 24, 26, 32, 64, 80]), row=st.integers(0, 12), column=st.integers(0, 12))
def test_rotation_keeps_lengths_and_the_origin_still(head_dim: int, row: int, column: int) -> None:
    table = rotary_table((13, 13), head_dim)
    x = torch.randn(1, 2, 1, head_dim)
    place = torch.tensor([[row * 13 + column]])
    turned = rotate(x, select_rotation(table, place))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(rotate(x, select_rotation(table, torch.tensor([[0]]))), x)


def test_both_channels_of_a_pair_turn_by_the_same_angle() -> None:
    head_dim = 16
    table = rotary_table((5, 5), head_dim)
    x = torch.randn(1, 1, 1, head_dim)
    turned = rotate(x, select_rotation(table, torch.tensor([[13]])))  # row 2, column 3
    angles = [axis * 10000 ** -(i / 4) for axis in (2, 3) for i in range(4)]
    pairs = torch.complex(x[..., :8], x[..., 8:]) * torch.exp(1j * torch.tensor(angles))
    torch.testing.assert_close(turned, torch.cat((pairs.real, pairs.imag), dim=-1))


def test_half_precision_queries_keep_their_type_and_lose_little() -> None:
    table = rotary_table((16, 16), 32)
    x = torch.randn(1, 2, 256, 32)
    turned = rotate(x.bfloat16(), select_rotation(table))
    assert turned.dtype == torch.bfloat16
    torch.testing.assert_close(
        turned.float(), rotate(x.bfloat16().float(), select_rotation(table)), atol=0.02, rtol=0.01
    )


def test_scaled_rotations_span_the_native_grid() -> None:
    native, wide = rotary_table((4, 4), 8), rotary_table((8, 8), 8, native=(4, 4))
    even = [2 * row * 8 + 2 * column for row in range(4) for column in range(4)]
    torch.testing.assert_close(wide[:, even], native)


def test_resizing_clips_keeps_constants_and_order() -> None:
    table = torch.arange(2 * 3 * 4, dtype=torch.float32).view(24, 1).repeat(1, 2)
    torch.testing.assert_close(resize_table(table, (2, 3, 4), (2, 3, 4)), table)
    assert resize_table(table, (2, 3, 4), (4, 6, 8)).shape == (192, 2)
    torch.testing.assert_close(resize_table(torch.ones(24, 2), (2, 3, 4), (1, 5, 5)), torch.ones(25, 2))


def test_resizing_to_the_same_grid_changes_nothing() -> None:
    table = sincos_table((3, 5), 16)
    torch.testing.assert_close(resize_table(table, (3, 5), (3, 5)), table)
    assert resize_table(table, (3, 5), (6, 7)).shape == (42, 16)


def test_widths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="divisible by 4, got 6"):
        sincos_table((2, 2), 6)
    with pytest.raises(UserError, match="got 5"):
        rotary_table((2, 2), 5)
