import pytest
import torch

from jepakit.masking import TubeMask
from jepakit.masking.blocks import scattered_blocks
from jepakit.masking.tubes import mean_union
from jepakit.types import UserError

SHORT, LONG = {"num_blocks": 8, "scale": (0.15, 0.15)}, {"num_blocks": 2, "scale": (0.7, 0.7)}


@pytest.mark.parametrize("settings", [SHORT, LONG])
def test_tubes_last_all_frames_and_context_and_targets_make_the_whole(settings) -> None:
    hidden = TubeMask(grid=(4, 14, 14), **settings)(torch.arange(6), 3)
    for context, target in zip(hidden.context_idx, hidden.target_idx[:, 0], strict=True):
        assert sorted(context.tolist() + target.tolist()) == list(range(4 * 196))
        assert context.tolist() == sorted(context.tolist()) and target.tolist() == sorted(target.tolist())
        frames = target.view(4, -1)
        assert (frames - frames[0] == 196 * torch.arange(4)[:, None]).all()


def test_a_clips_mask_does_not_depend_on_its_batch() -> None:
    mask = TubeMask(grid=(2, 14, 14), seed=5)
    whole, alone = mask(torch.arange(40), 7), mask(torch.tensor([33]), 7)
    assert (whole.target_idx[33] == alone.target_idx[0]).all()
    assert (mask(torch.tensor([33]), 8).context_idx.shape != alone.context_idx.shape) or (
        mask(torch.tensor([33]), 8).context_idx != alone.context_idx
    ).any()


def test_hidden_places_are_unions_of_blocks_but_for_a_few() -> None:
    mask = TubeMask(grid=(1, 16, 16), num_blocks=1, scale=(0.25, 0.25), aspect=(1.0, 1.0))
    hidden = mask(torch.arange(50), 0)
    assert hidden.target_idx.shape[2] == 64  # one block is a union of one size
    picture = torch.zeros(50, 256, dtype=torch.bool).scatter(1, hidden.target_idx[:, 0], True).view(50, 16, 16)
    assert (picture.any(dim=2).sum(dim=1) == 8).all() and (picture.any(dim=1).sum(dim=1) == 8).all()
    many = TubeMask(grid=(1, 14, 14))
    ids = torch.arange(200)
    places = many(ids, 0).target_idx[:, 0]
    covered = many._nearest_union(ids, 0, (5, 6), places.shape[1])
    assert (covered.sum(dim=1) - places.shape[1]).abs().float().mean() < 4  # of 196


def test_the_mean_of_unions_is_that_of_many_draws() -> None:
    frame, size, num = (14, 12), (5, 4), 6
    blocks = scattered_blocks(torch.arange(4000), 0, 0, num, size, frame)
    covered = torch.zeros(4000, 14 * 12).scatter(1, blocks.flatten(1), 1.0)
    assert mean_union(frame, size, num) == pytest.approx(float(covered.sum(dim=1).mean()), rel=0.01)


@pytest.mark.parametrize(
    ("settings", "alone", "batched"), [(SHORT, (802, 1246), (508, 957)), (LONG, (397, 1651), (132, 1439))]
)
def test_paper_masks_have_the_published_sizes(settings, alone, batched) -> None:
    """Compare with what the released collator draws (16 frames of 256 pixels): means over steps, within 4 %."""
    mask = TubeMask(grid=(8, 16, 16), mode="paper", **settings)
    for b, expected in ((1, alone), (24, batched)):
        drawn = [mask(torch.arange(b) + 1000 * step, step) for step in range(400 if b == 1 else 150)]
        context = sum(hidden.context_idx.shape[1] for hidden in drawn) / len(drawn)
        target = sum(hidden.target_idx.shape[2] for hidden in drawn) / len(drawn)
        assert context == pytest.approx(expected[0], rel=0.06 if b > 1 else 0.04)
        assert target == pytest.approx(expected[1], rel=0.04)


def test_paper_masks_lose_the_end_of_the_clip_and_the_default_does_not() -> None:
    def seen(mode) -> torch.Tensor:
        mask = TubeMask(grid=(8, 16, 16), mode=mode, **SHORT)
        steps = [mask(torch.arange(24), step).context_idx // 256 for step in range(20)]
        return sum(torch.bincount(step.flatten(), minlength=8) for step in steps) / 1.0

    paper, default = seen("paper"), seen("default")
    assert paper[7] < 0.2 * paper[0]
    assert (default == default[0]).all()


def test_the_cut_is_to_the_smallest_of_all_processes(monkeypatch) -> None:
    mask = TubeMask(grid=(8, 16, 16), mode="paper", **SHORT)
    alone = mask(torch.arange(4), 0)
    monkeypatch.setattr("jepakit.masking.tubes.gather", lambda counts: [counts, (300, 700)])
    cut = mask(torch.arange(4), 0)
    assert cut.context_idx.shape[1] == 300 and cut.target_idx.shape[2] == 700
    assert (cut.context_idx == alone.context_idx[:, :300]).all()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"grid": (14, 14)}, r"grid is \(moments, rows, columns\)"),
        ({"grid": (0, 14, 14)}, "at least one moment"),
        ({"grid": (2, 14, 14), "num_blocks": 0}, "num_blocks must be at least 1"),
        ({"grid": (2, 14, 14), "scale": (0.5, 1.0)}, "cover a whole frame"),
    ],
)
def test_impossible_settings_are_refused(settings, sentence) -> None:
    with pytest.raises(UserError, match=sentence):
        TubeMask(**settings)


def test_the_smallest_frame_leaves_something_to_see_and_to_ask() -> None:
    hidden = TubeMask(grid=(3, 1, 2))(torch.arange(5), 0)
    assert hidden.context_idx.shape == (5, 3) and hidden.target_idx.shape == (5, 1, 3)
