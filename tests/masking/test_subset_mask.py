"""Feature subsets: [REG] is always shown, targets are never shown, shares stay in their ranges, every feature gets both."""

import pytest
import torch

from jepakit.masking import SubsetMask
from jepakit.types import UserError

IDS = torch.arange(400)


def mask(**settings: object) -> SubsetMask:
    return SubsetMask(**{"grid": (11, 1)} | settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("step", range(6))
def test_reg_is_shown_and_never_asked_and_what_is_asked_is_not_shown(step: int) -> None:
    hidden = mask()(IDS, step)
    assert bool((hidden.context_idx[:, 0] == 0).all())
    assert int(hidden.target_idx.min()) >= 1 and int(hidden.target_idx.max()) <= 10
    shown = torch.zeros(len(IDS), 11, dtype=torch.bool).scatter(1, hidden.context_idx, True)
    assert not bool(shown.gather(1, hidden.target_idx.flatten(1)).any())
    for rows in (hidden.context_idx, hidden.target_idx.flatten(0, 1)):
        assert bool((rows.diff(dim=1) > 0).all()), "in order, none twice"


def test_without_reg_every_token_can_be_asked() -> None:
    hidden = mask(num_always=0)(IDS, 0)
    assert set(hidden.target_idx.unique().tolist()) == set(range(11)) == set(hidden.context_idx.unique().tolist())


def test_counts_are_drawn_per_step_within_their_ranges() -> None:
    sizes = {tuple(x.shape[-1] for x in (h.context_idx, h.target_idx)) for h in (mask()(IDS[:2], s) for s in range(60))}
    assert {context - 1 for context, _ in sizes} == {3, 4, 5, 6, 7}
    assert {target for _, target in sizes} == {2, 3, 4}
    assert all(context - 1 + target <= 10 for context, target in sizes)


def test_every_feature_is_shown_and_asked_alike() -> None:
    hidden = mask(context_share=(0.5, 0.5), target_share=(0.2, 0.2))(torch.arange(4000), 3)
    shown = torch.bincount(hidden.context_idx.flatten(), minlength=11)[1:] / 4000
    asked = torch.bincount(hidden.target_idx.flatten(), minlength=11)[1:] / 16000
    torch.testing.assert_close(shown, torch.full((10,), 0.5), atol=0.03, rtol=0)
    torch.testing.assert_close(asked, torch.full((10,), 0.2), atol=0.02, rtol=0)


def test_questions_differ_and_draws_depend_on_id_and_step_alone() -> None:
    hidden = mask()(IDS, 5)
    assert bool((hidden.target_idx[:, 0] != hidden.target_idx[:, 1]).any())
    again = mask()(IDS[100:], 5)
    assert torch.equal(hidden.context_idx[100:], again.context_idx)
    assert torch.equal(hidden.target_idx[100:], again.target_idx)
    assert not torch.equal(hidden.target_idx[0], hidden.target_idx[1])
    assert not torch.equal(
        mask(seed=1, context_share=(0.5, 0.5))(IDS, 5).context_idx, mask(context_share=(0.5, 0.5))(IDS, 5).context_idx
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"context_share": (0.0, 0.5)}, "context_share needs 0 < low <= high < 1"),
        ({"target_share": (0.4, 0.2)}, "target_share needs 0 < low <= high < 1"),
        ({"num_targets": 0}, "num_targets must be at least 1"),
        ({"grid": (2, 1)}, "a row of 1 feature"),
    ],
)
def test_what_cannot_be_is_one_sentence(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        mask(**settings)


def test_two_features_are_enough() -> None:
    hidden = mask(grid=(3, 1))(IDS, 0)
    assert hidden.context_idx.shape == (400, 2) and hidden.target_idx.shape == (400, 4, 1)
