"""The reference collator's measured statistics (image-video-jepa.md, section 1.1), and a plain loop beside ours."""

import math
from functools import lru_cache
from random import Random

import pytest
import torch

from jepakit.masking import MultiBlock
from jepakit.masking.blocks import covered_tokens, step_uniforms
from jepakit.masking.paper import paper_contexts, paper_size, paper_targets

NUM_STEPS = 300
SCALES = ((0.15, 0.2), (0.85, 1.0))
REFERENCE_ROWS = (0.75, 0.61, 0.49, 0.37, 0.27, 0.21, 0.18, 0.17, 0.18, 0.16, 0.12, 0.06, 0.02, 0.00)


@lru_cache(maxsize=3)
def draws(side):
    """Tokens of untruncated contexts (steps, 128, n), their target blocks' sizes, and the union's (steps, 128)."""
    grid, seen, sizes, unique = (side, side), [], [], []
    for step in range(NUM_STEPS):
        ids = torch.arange(128) + 128 * step
        u_target, u_context = step_uniforms(0, step, 2)
        target_idx = paper_targets(ids, step, 4, paper_size(grid, SCALES[0], (0.75, 1.5), u_target), grid, 0)
        context_size = paper_size(grid, SCALES[1], (1.0, 1.0), u_context)
        seen.append(paper_contexts(ids, step, target_idx, context_size, grid, 10, 0))
        sizes.append(target_idx.shape[2])
        unique.append(covered_tokens(target_idx, side**2).sum(dim=1))
    return torch.stack(seen), torch.tensor(sizes).float(), torch.stack(unique).float()


def kept(side, b):
    return draws(side)[0].sum(dim=2).unflatten(1, (-1, b)).amin(dim=2).float().mean()


@pytest.mark.parametrize(
    ("side", "sampled", "block", "unique"),
    [(14, 82.1, 33.3, 87.0), (16, 110.3, 44.0, 115.0), (28, 353.9, 137.7, 357.0)],
)
def test_means_of_one_sample(side, sampled, block, unique):
    seen, sizes, covered = draws(side)
    assert seen.sum(dim=2).float().mean() == pytest.approx(sampled, rel=0.03)
    assert sizes.mean() == pytest.approx(block, rel=0.03)
    assert covered.mean() == pytest.approx(unique, rel=0.03)


@pytest.mark.parametrize(("side", "b", "expected", "rel"), [
    (14, 1, 82.9, 0.03),
    (14, 16, 60.8, 0.03),
    (14, 32, 56.0, 0.03),
    (14, 128, 50.1, 0.03),
    (16, 16, 80.5, 0.03),
    (28, 16, 266.3, 0.03),
    (16, 128, 71.2, 0.055),  # a short measurement: its block mean is 1% low, and the plain loop below gives 68.3
])  # fmt: skip
def test_context_kept_after_the_cut_to_the_smallest_of_the_batch(side, b, expected, rel):
    assert kept(side, b) == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize("side", [14, 16])
def test_a_plain_loop_with_another_generator_agrees(side):
    rng, smallest, num_batches, b = Random(0), [], 100, 16
    for step in range(num_batches):
        u_target, u_context = step_uniforms(0, step, 2)  # equal block sizes, so that only positions differ
        height, width = naive_size(side, SCALES[0], (0.75, 1.5), u_target)
        big, _ = naive_size(side, SCALES[1], (1.0, 1.0), u_context)
        counts = []
        for _ in range(b):
            top, left = rng.randrange(side - big), rng.randrange(side - big)
            seen = {(y, x) for y in range(top, top + big) for x in range(left, left + big)}
            for _ in range(4):
                top, left = rng.randrange(side - height), rng.randrange(side - width)
                seen -= {(y, x) for y in range(top, top + height) for x in range(left, left + width)}
            counts.append(len(seen))
        smallest.append(min(counts))
    ours = draws(side)[0][:num_batches].sum(dim=2).unflatten(1, (-1, b)).amin(dim=2).float().mean()
    assert ours == pytest.approx(sum(smallest) / num_batches, rel=0.03)


def naive_size(side, scale, aspect, u):
    area = math.floor(side * side * (scale[0] + u * (scale[1] - scale[0])))
    ratio = aspect[0] + u * (aspect[1] - aspect[0])
    return min(round((area * ratio) ** 0.5), side - 1), min(round((area / ratio) ** 0.5), side - 1)


def test_collated_contexts_are_the_first_patches_of_the_sampled_ones():
    mask = MultiBlock(grid=(14, 14), mode="paper")
    hidden = mask(torch.arange(128), 0)
    seen = draws(14)[0][0]
    assert hidden.context_idx.shape[1] == seen.sum(dim=1).min()
    for sample in range(3):
        first = seen[sample].nonzero()[: hidden.context_idx.shape[1], 0]
        assert torch.equal(hidden.context_idx[sample], first)


@pytest.mark.parametrize(("side", "sizes"), [(14, {30, 35, 36, 40}), (16, {35, 36, 42, 48, 54})])
def test_target_sizes(side, sizes):
    assert set(draws(side)[1].int().tolist()) == sizes


@pytest.mark.parametrize("grid", [(14, 14), (16, 16), (12, 18)])
def test_last_row_and_column_are_never_used(grid):
    mask = MultiBlock(grid=grid, mode="paper", context_scale=(0.4, 0.6))
    for step in range(30):
        hidden = mask(torch.arange(64), step)
        for idx in (hidden.context_idx, hidden.target_idx):
            assert idx.max() < (grid[0] - 1) * grid[1]
            assert (idx % grid[1]).max() < grid[1] - 1


def test_row_profile_is_symmetric_before_the_cut_and_top_heavy_after():
    seen = draws(14)[0]
    before = seen.float().mean(dim=(0, 1)).view(14, 14).mean(dim=1)
    torch.testing.assert_close(before[:13], before[:13].flip(0), rtol=0.04, atol=0)
    limit = seen.sum(dim=2).amin(dim=1)[:, None, None]
    after = (seen & (seen.cumsum(dim=2) <= limit)).float().mean(dim=(0, 1)).view(14, 14).mean(dim=1)
    assert (after - torch.tensor(REFERENCE_ROWS)).abs().max() < 0.025


def test_scale_and_aspect_come_from_one_draw():
    assert paper_size((14, 14), SCALES[0], (0.75, 1.5), 0.0) == (5, 6)
    assert paper_size((14, 14), SCALES[0], (0.75, 1.5), 0.999) == (8, 5)
    assert paper_size((14, 14), SCALES[1], (1.0, 1.0), 0.999) == (13, 13)  # strictly below the side


def test_a_target_may_overlap_only_when_no_context_is_left_otherwise():
    grid, size, min_keep = (8, 8), (7, 7), 10
    target = torch.zeros(64, dtype=torch.bool)
    target.view(8, 8)[:6, :7] = True  # leaves 7 patches of the context's only place, no more than min_keep
    other = torch.arange(6)
    target_idx = torch.stack((other.expand(1, 6), target.nonzero()[:6, 0].expand(1, 6)), dim=1)
    spare = paper_contexts(torch.zeros(1, dtype=torch.long), 0, target_idx, size, grid, min_keep, 0)
    assert not spare[0, :6].any()  # enough is left: both targets stay out
    blocking = target.nonzero()[:, 0].expand(1, 1, -1)
    both = torch.cat((torch.zeros_like(blocking), blocking), dim=1)
    leaked = paper_contexts(torch.zeros(1, dtype=torch.long), 0, both, size, grid, min_keep, 0)
    assert not leaked[0, 0]  # the first target's constraint holds
    assert leaked[0].sum() == 48  # the last one's was given up


def test_min_keep_is_strict():
    target = torch.zeros(8, 8, dtype=torch.bool)
    target[:6, :7] = True
    blocking = target.flatten().nonzero()[:, 0].expand(1, 1, -1)
    ids = torch.zeros(1, dtype=torch.long)
    assert paper_contexts(ids, 0, blocking, (7, 7), (8, 8), 6, 0).sum() == 7
    assert paper_contexts(ids, 0, blocking, (7, 7), (8, 8), 7, 0).sum() == 49
