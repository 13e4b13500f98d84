"""Costs by hand, what they say of labels, and how they add up."""

import pytest
import torch
from torch import Tensor

from jepakit.nn import ReachabilityConfig
from jepakit.planning import ActionPenalty, LatentDistance, ProbeSpace, Reachability, WeightedSum, uses_labels
from jepakit.types import UserError

Z_HAT = torch.tensor([0.0, 1.0, 3.0]).view(1, 1, 3, 1, 1)
GOAL, ACTIONS = torch.full((1, 1, 1), 1.0), torch.tensor([[0.0, 1.0], [2.0, 1.0], [2.0, 0.0]]).view(1, 1, 3, 2)


def apart(z: Tensor, goal: Tensor) -> Tensor:
    return (z - goal).abs().sum(dim=-1)


def test_latent_distance() -> None:
    assert float(LatentDistance(over="last")(Z_HAT, GOAL, ACTIONS)) == 4.0
    assert float(LatentDistance(over="mean")(Z_HAT, GOAL, ACTIONS)) == pytest.approx(5 / 3)
    discounted = LatentDistance(over="mean", discount=0.5)(Z_HAT, GOAL, ACTIONS)
    assert float(discounted) == pytest.approx((1 + 0.5 * 0 + 0.25 * 4) / 1.75)
    assert float(LatentDistance(root=True)(Z_HAT, GOAL, ACTIONS)) == pytest.approx((1 + 0 + 2) / 3, abs=1e-5)


def test_a_root_has_a_gradient_at_the_goal_itself() -> None:
    z_hat = GOAL.clone().view(1, 1, 1, 1, 1).requires_grad_()
    (slope,) = torch.autograd.grad(LatentDistance(root=True)(z_hat, GOAL, ACTIONS).sum(), z_hat)
    assert bool(slope.isfinite().all())


def test_distances_of_half_precision_are_taken_in_single_and_of_double_in_double() -> None:
    assert LatentDistance()(Z_HAT.bfloat16(), GOAL.bfloat16(), ACTIONS).dtype == torch.float32
    assert LatentDistance()(Z_HAT.double(), GOAL.double(), ACTIONS).dtype == torch.float64


def test_reachability_asks_a_head_about_every_step_or_every_few_and_the_last() -> None:
    assert float(Reachability(head=apart)(Z_HAT, GOAL, ACTIONS)) == pytest.approx((1 + 0 + 2) / 3)
    assert float(Reachability(head=apart, over="last")(Z_HAT, GOAL, ACTIONS)) == 2.0
    assert float(Reachability(head=apart, every=2)(Z_HAT, GOAL, ACTIONS)) == 1.5
    assert float(Reachability(head=apart, every=3)(Z_HAT, GOAL, ACTIONS)) == 2.0
    head = ReachabilityConfig(embedding_dim=6, max_gap=8).build().eval()
    z_hat, goal = torch.randn(2, 5, 4, 3, 2), torch.randn(2, 3, 2)
    cost = Reachability(head=head, over="last")(z_hat, goal, torch.zeros(2, 5, 4, 1))
    torch.testing.assert_close(cost[1, 2], head(z_hat[1, 2, -1].flatten(), goal[1].flatten()))


def test_a_head_computes_in_bf16_where_asked_and_is_added_up_in_single() -> None:
    head, met = torch.nn.Linear(1, 1), []

    def narrow(z: Tensor, goal: Tensor) -> Tensor:
        met.append(head(z - goal)[..., 0])
        return met[-1]

    told = Reachability(head=narrow, precision="bf16")(Z_HAT, GOAL, ACTIONS)
    assert met[0].dtype == torch.bfloat16 and told.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):  # a caller's is not taken over
        Reachability(head=narrow)(Z_HAT, GOAL, ACTIONS)
    assert met[1].dtype == torch.float32
    with pytest.raises(UserError, match="in fp32 or bf16, not in 'int8'"):
        Reachability(head=narrow, precision="int8")


def test_penalties_of_actions() -> None:
    assert float(ActionPenalty()(Z_HAT, GOAL, ACTIONS)) == pytest.approx(10 / 6)
    assert float(ActionPenalty(of="change")(Z_HAT, GOAL, ACTIONS)) == pytest.approx((4 + 1) / 6)


def test_probe_space_sees_what_the_probe_sees_and_says_that_it_used_labels() -> None:
    weight = torch.tensor([[0.0, 2.0, 0.0, 0.0]])  # of two tokens of width two
    z_hat, goal = torch.arange(4.0).view(1, 1, 1, 2, 2), torch.zeros(1, 2, 2)
    cost = ProbeSpace(weight=weight)
    assert float(cost(z_hat, goal, ACTIONS[:, :, :1])) == 4.0
    assert uses_labels(cost)
    assert uses_labels(WeightedSum(((1.0, LatentDistance()), (0.5, cost))))
    assert not uses_labels(LatentDistance()) and not uses_labels(WeightedSum(((1.0, ActionPenalty()),)))
    assert not uses_labels(lambda z_hat, goal, actions: actions.sum(dim=(-2, -1)))


def test_costs_add_up_by_weight_a_users_own_among_them() -> None:
    def ones(z_hat: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        return torch.ones(actions.shape[:2])

    both = WeightedSum(((2.0, LatentDistance(over="last")), (0.6, ActionPenalty()), (5.0, ones)))
    assert float(both(Z_HAT, GOAL, ACTIONS)) == pytest.approx(8 + 1 + 5)


def test_settings_without_a_meaning_are_refused() -> None:
    with pytest.raises(UserError, match="'last' or 'mean'"):
        LatentDistance(over="sum")
    with pytest.raises(UserError, match="discount above 0"):
        LatentDistance(discount=0.0)
    with pytest.raises(UserError, match="every 1 or more steps, not every 0"):
        Reachability(head=apart, every=0)
    with pytest.raises(UserError, match="'size' or 'change'"):
        ActionPenalty(of="jerk")
    with pytest.raises(UserError, match="at least one"):
        WeightedSum(())
