import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jepakit.masking import BlockMask, MultiBlock, RandomMask
from jepakit.masking.blocks import covered_tokens
from jepakit.types import UserError

GRID = (14, 14)
MASKS = [
    MultiBlock(grid=GRID),
    MultiBlock(grid=(8, 8), num_targets=3, min_keep=5, seed=3),
    MultiBlock(grid=(6, 11), num_targets=2),
    MultiBlock(grid=GRID, mode="paper"),
    BlockMask(grid=(7, 9)),
    RandomMask(grid=(8, 8)),
    RandomMask(grid=(5, 7), target_fraction=0.6, num_targets=3),
]
DEFAULT_MASKS = [mask for mask in MASKS if getattr(mask, "mode", "default") == "default"]


def profile(idx, grid):
    """Fraction of samples in which each patch is in one of its lists."""
    return covered_tokens(idx, grid[0] * grid[1]).float().mean(dim=0).view(grid)


@pytest.mark.parametrize("mask", MASKS, ids=repr)
@settings(max_examples=15, deadline=None)
@given(step=st.integers(0, 2**31), first=st.integers(0, 2**40), b=st.integers(1, 9))
def test_context_and_targets_are_sorted_disjoint_and_in_range(mask, step, first, b):
    hidden = mask(torch.arange(first, first + b), step)
    num_tokens = mask.grid[0] * mask.grid[1]
    assert hidden.context_idx.shape[0] == hidden.target_idx.shape[0] == b
    for idx in (hidden.context_idx, hidden.target_idx):
        assert idx.dtype == torch.long
        assert (idx >= 0).all()
        assert (idx < num_tokens).all()
        assert (idx.diff(dim=-1) > 0).all()  # sorted, and no patch twice in a list
    assert not covered_tokens(hidden.target_idx, num_tokens).gather(1, hidden.context_idx).any()


@pytest.mark.parametrize("mask", DEFAULT_MASKS, ids=repr)
def test_a_sample_is_masked_alike_in_every_batch(mask):
    ids = torch.tensor([7, 2**40 + 1, 3, 3])
    whole, alone = mask(ids, 5), mask(ids[1:2], 5)
    assert torch.equal(whole.context_idx[1:2], alone.context_idx)
    assert torch.equal(whole.target_idx[1:2], alone.target_idx)
    assert torch.equal(whole.context_idx[2], whole.context_idx[3])
    assert not torch.equal(mask(ids, 5).target_idx[:2], mask(ids, 6).target_idx[:2])


@pytest.mark.parametrize("mask", DEFAULT_MASKS, ids=repr)
def test_shapes_need_no_word_from_the_device(mask):
    hidden = mask(torch.arange(3, device="meta"), 0)  # reading a value of a meta tensor raises
    assert hidden.context_idx.device.type == "meta"
    assert hidden.context_idx.shape == mask(torch.arange(3), 0).context_idx.shape


@pytest.mark.parametrize("mask", DEFAULT_MASKS, ids=repr)
def test_every_patch_can_be_a_target_and_be_seen(mask):
    hidden = [mask(torch.arange(400) + 400 * step, step) for step in range(12)]
    assert sum(profile(h.target_idx, mask.grid) for h in hidden).min() > 0
    assert sum(profile(h.context_idx[:, None], mask.grid) for h in hidden).min() > 0


def test_coverage_is_even_and_symmetric():
    mask = MultiBlock(grid=GRID)
    hidden = [mask(torch.arange(256) + 256 * step, step) for step in range(60)]
    target = sum(profile(h.target_idx, GRID) for h in hidden) / 60
    context = sum(profile(h.context_idx[:, None], GRID) for h in hidden) / 60
    assert target.min() / target.max() > 0.4
    assert context.min() / context.max() > 0.35
    for seen in (target, context):
        for rows in (seen.mean(dim=1), seen.mean(dim=0)):
            torch.testing.assert_close(rows, rows.flip(0), rtol=0.05, atol=0)


def test_scale_and_aspect_are_independent():
    mask = MultiBlock(grid=(64, 64))
    sides = []
    for step in range(300):
        idx = mask(torch.zeros(1, dtype=torch.long), step).target_idx[0, 0]
        height = int(idx[-1] // 64 - idx[0] // 64 + 1)
        sides.append((height, idx.numel() / height))
    height, width = torch.tensor(sides).unbind(dim=1)
    area, aspect = height * width / 64**2, height / width
    assert abs(torch.corrcoef(torch.stack((area, aspect)))[0, 1]) < 0.15
    assert area.min() > 0.145
    assert area.max() < 0.205
    assert aspect.min() < 0.8
    assert aspect.max() > 1.4


def test_context_is_a_uniform_subset_of_what_no_block_covers():
    mask = MultiBlock(grid=(6, 6), num_targets=1, min_keep=5, context_scale=(0.5, 0.5))
    hidden = mask(torch.arange(20_000), 0)
    free = ~covered_tokens(hidden.target_idx, 36)
    seen = covered_tokens(hidden.context_idx[:, None], 36)
    rate = seen.sum(dim=0) / free.sum(dim=0)
    assert (rate - hidden.context_idx.shape[1] / int(free[0].sum())).abs().max() < 0.02


def test_context_size_is_exactly_the_fraction_of_what_is_surely_free():
    mask = MultiBlock(grid=GRID, context_scale=(1.0, 1.0))
    for step in range(20):
        hidden = mask(torch.arange(2), step)
        assert hidden.context_idx.shape[1] == 196 - 4 * hidden.target_idx.shape[2]


def test_block_mask_hides_one_rectangle_and_shows_the_rest():
    mask = BlockMask(grid=(7, 9))
    for step in range(20):
        hidden = mask(torch.arange(5), step)
        assert hidden.target_idx.shape[1] == 1
        both = torch.cat((hidden.context_idx, hidden.target_idx[:, 0]), dim=1).sort(dim=1).values
        assert torch.equal(both, torch.arange(63).expand(5, 63))
        rows, columns = hidden.target_idx[0, 0] // 9, hidden.target_idx[0, 0] % 9
        assert (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1) == hidden.target_idx.shape[2]


@pytest.mark.parametrize(("settings_", "word"), [
    ({"grid": (4, 4)}, "lower num_targets"),
    ({"grid": (14, 14), "target_scale": (0.2, 0.3)}, "min_keep"),
    ({"grid": (14, 14), "target_scale": (0.3, 0.2)}, "low <= high"),
    ({"grid": (0, 14)}, "at least one row"),
    ({"grid": (14, 14), "aspect": (0.0, 1.0)}, "aspect"),
    ({"grid": (14, 14), "num_targets": 0}, "num_targets"),
    ({"grid": (14, 14), "min_keep": 0}, "min_keep"),
    ({"grid": (6, 6), "mode": "paper"}, "smaller patches"),
])  # fmt: skip
def test_impossible_settings_say_what_to_change(settings_, word):
    with pytest.raises(UserError, match=word):
        MultiBlock(**settings_)


def test_block_mask_refuses_to_hide_everything():
    with pytest.raises(UserError, match="whole"):
        BlockMask(grid=(3, 3), scale=(0.5, 1.0))
