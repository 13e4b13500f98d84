"""Rows laid out: closed forms of the planes, what is missing, the way back, and views that depend on ids alone."""

import pytest
import torch

from jepakit.types import UserError
from jepakit.views import TABLE_CORRUPTIONS, TablePreprocess, TableViews, corrupt_table

NAN = float("nan")
MIXED = TablePreprocess(num_categories=(0, 3, 0), center=(1.0, 0.0, 10.0), scale=(2.0, 1.0, 5.0))
ROWS = torch.tensor([[[5.0], [2.0], [NAN]], [[1.0], [NAN], [10.0]]])


def test_planes_are_value_measured_and_categories_below_a_line_for_reg() -> None:
    x = MIXED(ROWS)[..., 0]
    assert x.shape == (2, 5, 4)
    assert (MIXED.channels, MIXED.shape) == (5, (4, 1))
    torch.testing.assert_close(x[0, 0], torch.tensor([0.0, float(torch.tensor(2.0).asinh()), 0.0, 0.0]))
    torch.testing.assert_close(x[1, 0], torch.zeros(4))
    assert x[:, 1].tolist() == [[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]]
    assert x[0, 2:].T.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]]
    assert float(x[1, 2:].abs().sum()) == 0


def test_reg_is_the_same_in_every_row_and_can_be_left_out() -> None:
    x = MIXED(torch.randn(7, 3, 1).abs())
    assert bool((x[:, :, 0] == x[:1, :, 0]).all())
    plain = TablePreprocess(num_categories=(0, 3, 0), center=MIXED.center, scale=MIXED.scale, reg=False)
    assert torch.equal(plain(ROWS), MIXED(ROWS)[:, :, 1:])


@pytest.mark.parametrize("reg", [True, False])
def test_the_way_back(reg: bool) -> None:
    preprocess = TablePreprocess(num_categories=(0, 3, 0), center=MIXED.center, scale=MIXED.scale, reg=reg)
    torch.testing.assert_close(preprocess.to_source(preprocess(ROWS)), ROWS, equal_nan=True)
    pictures = preprocess.to_pixels(preprocess(ROWS))
    assert pictures.shape == (2, 1, 3 + reg, 1) and pictures.dtype == torch.uint8


def test_a_wild_value_stays_moderate_and_a_category_that_is_none_is_missing() -> None:
    x = MIXED(torch.tensor([[[1e6], [7.0], [10.0]]]))
    assert 10 < float(x[0, 0, 1]) < 15
    assert float(x[0, 1:, 2].sum()) == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_categories": ()}, "at least 1 feature"),
        ({"num_categories": (0, 0), "center": (1.0, 2.0, 3.0)}, "center has 3 values for 2 features"),
        ({"num_categories": (0,), "scale": (0.0,)}, "every scale must be above 0"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        TablePreprocess(**settings)  # type: ignore[arg-type]


def test_rows_of_another_table_are_one_sentence() -> None:
    with pytest.raises(UserError, match="takes rows of 3 features, got 4 x 1"):
        MIXED(torch.zeros(2, 4, 1))


def test_views_do_nothing_unless_asked_and_depend_on_ids_and_steps() -> None:
    rows, ids = torch.randn(40, 3, 1).abs(), torch.arange(40)
    assert torch.equal(TableViews(preprocess=MIXED)(rows, ids, 0).image, MIXED(rows))
    views = TableViews(preprocess=MIXED, missing=0.9, noise=0.3)
    whole, part = views(rows, ids, 4), views(rows[10:], ids[10:], 4)
    assert torch.equal(whole.image[10:], part.image) and torch.equal(whole.params[10:], part.params)
    assert not torch.equal(whole.image, views(rows, ids, 5).image)
    assert not torch.equal(whole.image, views(rows, ids, 4, view=1).image)
    num_measured = whole.image[:, 1, 1:, 0].sum(dim=1)
    assert set(num_measured.tolist()) == {1.0, 2.0, 3.0}


def test_corruptions_grow_and_leave_categories_and_one_feature() -> None:
    wide = TablePreprocess(num_categories=(0,) * 9 + (4,))
    rows, ids = torch.ones(300, 10, 1), torch.arange(300)
    assert TABLE_CORRUPTIONS == ("noise", "missing")
    gone = [corrupt_table(wide, "missing", rows, severity, ids).isnan() for severity in (1, 3, 5)]
    assert [int(g.sum()) // 300 for g in gone] == [1, 5, 9]
    assert bool((gone[1] | ~gone[0]).all()) and bool((gone[2] | ~gone[1]).all())
    torch.testing.assert_close(gone[1].float().mean(dim=0)[:, 0], torch.full((10,), 0.5), atol=0.1, rtol=0)
    noisy = corrupt_table(wide, "noise", rows, 4, ids)
    assert float((noisy - rows)[:, :9].std()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(noisy[:, 9], rows[:, 9])
    with pytest.raises(UserError, match="no corruption 'blur' of tables; there are noise, missing"):
        corrupt_table(wide, "blur", rows, 1, ids)
    with pytest.raises(UserError, match="from 1 to 5, got 6"):
        corrupt_table(wide, "noise", rows, 6, ids)
