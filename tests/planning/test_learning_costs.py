"""Heads and policies are learned from time alone, the same each time."""

from dataclasses import replace

import pytest
import torch
from toy_worlds import Walk

from jepakit.nn import GoalPolicyConfig, ReachabilityConfig
from jepakit.planning import Amortised, Control, learn_policy, learn_reachability
from jepakit.planning.learning import minimised, octave_gaps
from jepakit.random import Stream
from jepakit.types import UserError

MOVES = Stream(0, "test/moves").normal(0, torch.arange(64), 2 * 12).view(64, 12, 2).clamp(-1, 1)
FRAMES = torch.cat((torch.zeros(64, 1, 2), MOVES.cumsum(dim=1)), dim=1)
HEAD = ReachabilityConfig(embedding_dim=2, max_gap=8, hidden_dim=16)
POLICY = GoalPolicyConfig(embedding_dim=2, action_dim=2, hidden_dim=32)


def test_every_octave_of_gaps_comes_as_often() -> None:
    gap = octave_gaps(torch.rand(60_000, 2), max_gap=12)
    assert int(gap.min()) == 0 and int(gap.max()) == 12
    counts = torch.bincount(gap).float() / len(gap)
    expected = torch.tensor([1, 1, 1, 1 / 2, 1 / 2, *[1 / 4] * 4, *[1 / 4] * 4]) / 6
    torch.testing.assert_close(counts, expected, atol=0.01, rtol=0.0)


def test_what_is_learned_depends_on_the_seed_alone_and_is_left_frozen() -> None:
    first, again, other = (learn_reachability(FRAMES, HEAD, num_steps=3, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.from_goal.weight, other.from_goal.weight)
    assert not first.training and not any(weight.requires_grad for weight in first.parameters())


def test_a_callers_autocast_sees_the_weights_as_they_are() -> None:
    """Autocast remembers narrow copies of weights until it ends, which a loop inside it must not go on with."""
    net = torch.nn.Linear(1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        minimised(net, lambda _: (net(torch.ones(4, 1)).float() - 3.0).square().mean(), 200, 0.1)
    torch.testing.assert_close(net(torch.ones(1, 1)), torch.full((1, 1), 3.0), atol=0.1, rtol=0.0)


def test_gaps_of_a_counter_are_told_apart_and_what_is_far_is_far() -> None:
    """Where an embedding counts the steps of its trajectory, steps to go are the difference."""
    time = torch.arange(13.0).expand(64, -1)
    which = torch.arange(64.0)[:, None].expand(-1, 13)
    head = learn_reachability(
        torch.stack((time / 6, which / 16), dim=-1), HEAD, num_steps=350, batch_size=192, learning_rate=1e-2
    )

    def steps(first: tuple[float, float], *second: tuple[float, float]) -> list[float]:
        scale = torch.tensor([6.0, 16.0])
        return head(torch.tensor([first]) / scale, torch.tensor(second) / scale).tolist()

    near = torch.tensor(steps((1, 5), (1, 5), (3, 5), (8, 5)))
    torch.testing.assert_close(near, torch.tensor([0.0, 2.0, 6.5]), atol=1.5, rtol=0.0)  # 8 is one of 5 ... 8
    beyond, elsewhere = steps((0, 5), (12, 5), (2, 60))
    assert beyond > 12 and elsewhere > 12


def test_a_policy_learned_from_random_steps_walks_to_its_goal() -> None:
    policy = learn_policy(FRAMES, MOVES, POLICY, max_gap=6, num_steps=300, batch_size=256, learning_rate=3e-3)
    goal, place = torch.tensor([[2.0, 1.0], [-1.5, 1.0], [0.0, -2.0]]), torch.zeros(3, 2)
    act = Control(Amortised(horizon=1, within=3, policy=policy), Walk(), goal, torch.arange(3))
    for _ in range(10):
        place = place + act(place)
    assert float((place - goal).norm(dim=-1).max()) < 0.5


def test_several_actions_are_learned_up_to_the_goal_and_not_beyond() -> None:
    """Trajectories go right until frame 6 and left after it: beyond its goal a policy has nothing to learn from."""
    moves = torch.ones(8, 12, 1)
    moves[:, 6:] = -1.0
    frames = torch.cat((torch.zeros(8, 1, 1), moves.cumsum(dim=1)), dim=1)
    config = replace(POLICY, embedding_dim=1, action_dim=1, num_actions=2)
    policy = learn_policy(frames[:, :7], moves[:, :6], config, max_gap=6, num_steps=100, batch_size=64)
    told = policy(torch.tensor([[1.0]]), torch.tensor([[4.0]]), torch.tensor([3.0]))
    assert told.shape == (1, 2, 1)
    torch.testing.assert_close(told, torch.ones(1, 2, 1), atol=0.2, rtol=0.0)


def test_trajectories_that_teach_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="Gaps of up to 20 need longer trajectories than 13"):
        learn_reachability(FRAMES, replace(HEAD, max_gap=20))
    with pytest.raises(UserError, match="have width 2, not 3"):
        learn_reachability(FRAMES, replace(HEAD, embedding_dim=3))
    with pytest.raises(UserError, match="at least two trajectories"):
        learn_reachability(FRAMES[:1], HEAD)
    with pytest.raises(UserError, match=r"actions of shape \(64, 12, 2\), got \(64, 11, 2\)"):
        learn_policy(FRAMES, MOVES[:, 1:], POLICY, max_gap=4)
