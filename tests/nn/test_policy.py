"""The policy's shapes and its loss by hand."""

import pytest
import torch

from jepakit.nn import GoalPolicyConfig, policy_loss
from jepakit.types import UserError


def test_it_tells_so_many_actions_from_place_goal_and_steps() -> None:
    policy = GoalPolicyConfig(embedding_dim=3, action_dim=2, num_actions=4, hidden_dim=8).build()
    z, goal, steps = torch.randn(5, 3), torch.randn(5, 3), torch.tensor([1.0, 2, 3, 4, 5])
    told = policy(z, goal, steps)
    assert told.shape == (5, 4, 2)
    for other in (policy(goal, goal, steps), policy(z, z, steps), policy(z, goal, 2 * steps)):
        assert not torch.allclose(told, other)
    assert policy(z.double(), goal.double(), steps).dtype == torch.float32


def test_actions_after_the_goal_are_not_asked_for() -> None:
    told, taken = torch.zeros(2, 2, 2), torch.tensor([[[1.0, 1.0], [9.0, 9.0]], [[2.0, 0.0], [0.0, 0.0]]])
    is_before = torch.tensor([[True, False], [True, True]])
    assert float(policy_loss(told, taken, is_before)) == pytest.approx((1 + 2 + 0) / 3)


def test_sizes_below_one_are_refused() -> None:
    with pytest.raises(UserError, match="sizes of at least 1"):
        GoalPolicyConfig(embedding_dim=3, action_dim=0)
