"""The head's classes, centres and loss by hand."""

import pytest
import torch

from jepakit.nn import ReachabilityConfig, reachability_loss
from jepakit.types import UserError


def test_classes_are_octaves_and_the_last_is_far() -> None:
    head = ReachabilityConfig(embedding_dim=3, max_gap=12).build()
    gap = torch.tensor([0, 1, 2, 3, 4, 5, 8, 9, 12, 13, 999])
    assert head.classes(gap).tolist() == [0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert head.centres.tolist() == [0.0, 1.0, 2.0, 3.5, 6.5, 10.5, 24.0]


@pytest.mark.parametrize("max_gap", [1, 2, 3, 4, 5, 16, 17])
def test_every_gap_has_a_class_whatever_the_largest(max_gap: int) -> None:
    head = ReachabilityConfig(embedding_dim=3, max_gap=max_gap).build()
    classes = head.classes(torch.arange(max_gap + 2))
    assert bool((classes.diff() >= 0).all()) and bool((classes.diff() <= 1).all())
    assert int(classes[-1]) == len(head.centres) - 1 and int(classes[-2]) == len(head.centres) - 2
    assert bool((head.centres.diff() > 0).all())


def test_steps_are_expected_over_the_classes() -> None:
    head = ReachabilityConfig(embedding_dim=3, max_gap=4).build()
    for weight in (head.rest[-1].weight, head.rest[-1].bias):  # type: ignore[union-attr]
        torch.nn.init.zeros_(weight)  # type: ignore[arg-type]
    z, goal = torch.randn(5, 3), torch.randn(5, 3)
    expected = (0 + 1 + 2 + 3.5 + 8) / 5
    torch.testing.assert_close(head(z, goal), torch.full((5,), expected))
    loss = reachability_loss(head, z, goal, torch.tensor([0, 1, 2, 3, 99]))
    torch.testing.assert_close(loss, torch.tensor(5.0).log())


def test_a_goal_is_shared_and_the_way_there_is_not_the_way_back() -> None:
    head = ReachabilityConfig(embedding_dim=3, max_gap=4).build()
    z, goal = torch.randn(2, 5, 3), torch.randn(2, 1, 3)
    torch.testing.assert_close(head(z, goal)[1, 3], head(z[1, 3], goal[1, 0]))
    assert not torch.allclose(head(z, goal), head(goal, z))
    assert head(z.double(), goal.double()).shape == (2, 5)


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(UserError, match="sizes of at least 1"):
        ReachabilityConfig(embedding_dim=3, max_gap=0)
