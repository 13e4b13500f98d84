"""Distances learned from wandering are those of short ways, also of ways that nobody walked."""

import pytest
import torch

from jepakit.nn import TemporalDistance, TemporalDistanceConfig
from jepakit.planning import learn_distance
from jepakit.planning.differences import drawn, expectile_loss, nearest_kin
from jepakit.random import Stream
from jepakit.types import UserError

PLACES = 8
STEPS = Stream(0, "test/ring").uniform(0, torch.arange(256), 40)
RING = torch.cat((torch.zeros(256, 1), torch.where(STEPS < 0.5, 1.0, -1.0).cumsum(dim=1)), dim=1) % PLACES
TURN = RING * 2 * torch.pi / PLACES
FRAMES = torch.stack((TURN.cos(), TURN.sin()), dim=-1)
"""Walkers on a ring of eight places, who go on or back by chance: from one side to the other 16 steps on average."""
DISTANCE = TemporalDistanceConfig(embedding_dim=2, hidden_dim=32, depth=2)


def around(distance: TemporalDistance) -> torch.Tensor:
    """Return the steps to a goal that is 0, 1, 2, 3 and 4 places away, the mean over goals and both directions."""
    turn = torch.arange(PLACES) * 2 * torch.pi / PLACES
    places = torch.stack((turn.cos(), turn.sin()), dim=-1)
    told = distance(places[:, None], places[None])
    gap = (torch.arange(PLACES)[:, None] - torch.arange(PLACES)).abs()
    gap = torch.minimum(gap, PLACES - gap)
    return torch.stack([told[gap == far].mean() for far in range(5)])


def test_a_ring_is_as_far_around_as_its_shortest_ways() -> None:
    """From gaps alone nobody could tell: who wanders from one side to the other takes 16 steps on average, not 4."""
    distance = learn_distance(FRAMES, DISTANCE, expectile=0.95, num_steps=800, batch_size=256, learning_rate=5e-3)
    here, *away = around(distance)
    torch.testing.assert_close(torch.stack(away), torch.arange(1.0, 5.0), atol=0.5, rtol=0.0)
    assert here < 0.75 * away[0]  # above 0, since walkers come back to places: that way has two steps


def test_an_expectile_of_one_half_goes_by_what_was_done() -> None:
    short, mean = (
        learn_distance(FRAMES, DISTANCE, expectile=share, num_steps=400, batch_size=256, learning_rate=5e-3)
        for share in (0.9, 0.5)
    )
    assert float(around(mean)[4]) > float(around(short)[4]) + 1


def test_what_is_learned_depends_on_the_seed_alone_and_is_left_frozen() -> None:
    first, again, other = (learn_distance(FRAMES, DISTANCE, num_steps=3, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.from_goal.weight, other.from_goal.weight)
    assert not first.training and not any(weight.requires_grad for weight in first.parameters())


def test_pairs_stay_inside_their_trajectory_and_goals_lie_behind_too() -> None:
    asked = drawn(torch.rand(20_000, 6), num_trajectories=3, num_frames=20, kin=None)
    assert torch.equal(asked.place, asked.goal_place) and set(asked.place.tolist()) == {0, 1, 2}
    assert int(asked.when.min()) == 0 and int(asked.goal.min()) == 0
    assert int(asked.later.max()) == int(asked.goal.max()) == 19
    assert set((asked.later - asked.when).tolist()) == {1, 2}
    gap = asked.goal - asked.when
    assert (
        0.4 < float(((gap >= 0) & (gap <= 7)).float().mean()) < 0.6
    )  # three in ten by intent, a fifth to a third of others
    assert 0.25 < float((gap < 0).float().mean()) < 0.4
    assert torch.equal(asked.is_met, (gap >= 0) & (asked.goal <= asked.later))


def test_goals_of_kin_are_as_many_as_far_ones_of_ones_own_and_are_never_known() -> None:
    kin = torch.tensor([[1, 2], [2, 0], [0, 1]])
    asked = drawn(torch.rand(20_000, 6), num_trajectories=3, num_frames=20, kin=kin)
    away = asked.place != asked.goal_place
    assert abs(float(away.float().mean()) - 0.35) < 0.02
    assert not bool(asked.is_met[away].any())
    counts = torch.bincount(3 * asked.place[away] + asked.goal_place[away], minlength=9).view(3, 3)
    assert counts.diagonal().eq(0).all() and float(counts[counts > 0].min() / counts.max()) > 0.85


def test_kin_are_the_nearest_others_and_fewer_where_there_are_fewer() -> None:
    still = torch.tensor([[0.0], [5.0], [0.1], [5.2], [0.3]])
    assert nearest_kin(still, 2).tolist() == [[2, 4], [3, 4], [0, 4], [1, 4], [2, 0]]
    assert nearest_kin(still[:2], 3).tolist() == [[1], [0]]


def test_the_loss_is_the_expectiles_formula_and_known_steps_have_no_direction() -> None:
    told, wanted = torch.tensor([3.0, 3.0, 3.5]), torch.tensor([1.0, 5.0, 3.0])
    free = expectile_loss(told, wanted, torch.tensor([False, False, False]), 0.9)
    torch.testing.assert_close(free, torch.tensor((0.9 * 1.5 + 0.1 * 1.5 + 0.9 * 0.125) / 3))
    known = expectile_loss(told, wanted, torch.tensor([True, True, True]), 0.9)
    torch.testing.assert_close(known, torch.tensor(0.5 * (1.5 + 1.5 + 0.125) / 3))


def test_trajectories_that_teach_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="three frames or more, got 2"):
        learn_distance(FRAMES[:, :2], DISTANCE)
    with pytest.raises(UserError, match="have width 1, not 2"):
        learn_distance(FRAMES[..., :1], DISTANCE)
    with pytest.raises(UserError, match="between 0 and 1, got 1.0"):
        learn_distance(FRAMES, DISTANCE, expectile=1.0)
    with pytest.raises(UserError, match="sizes of at least 1"):
        TemporalDistanceConfig(embedding_dim=2, depth=0)
