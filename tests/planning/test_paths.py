"""Distances learned from wandering are those of the shortest ways, also of ways that nobody walked."""

import pytest
import torch

from jepakit.nn import TemporalDistance, TemporalDistanceConfig
from jepakit.planning import learn_distance
from jepakit.planning.paths import drawn_places, graph_of, shortest_ways
from jepakit.random import Stream
from jepakit.types import UserError

PLACES = 8
STEPS = Stream(0, "test/ring").uniform(0, torch.arange(64), 40)
RING = torch.cat((torch.zeros(64, 1), torch.where(STEPS < 0.5, 1.0, -1.0).cumsum(dim=1)), dim=1) % PLACES
TURN = RING * 2 * torch.pi / PLACES
FRAMES = torch.stack((TURN.cos(), TURN.sin()), dim=-1)
"""Walkers on a ring of eight places, who go on or back by chance: from one side to the other 16 steps on average."""
DISTANCE = TemporalDistanceConfig(embedding_dim=2, hidden_dim=32, depth=2)
FEW = {"num_places": 8, "num_together": 4, "num_goals": 8, "batch_size": 128}


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
    distance = learn_distance(FRAMES, DISTANCE, num_steps=400, learning_rate=5e-3, **FEW)
    torch.testing.assert_close(around(distance), torch.arange(5.0), atol=0.6, rtol=0.0)


def test_what_is_learned_depends_on_the_seed_alone_and_is_left_frozen() -> None:
    first, again, other = (learn_distance(FRAMES, DISTANCE, num_steps=3, seed=seed, **FEW) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    assert not torch.equal(first.from_goal.weight, other.from_goal.weight)
    assert not first.training and not any(weight.requires_grad for weight in first.parameters())


def test_a_graph_joins_neighbours_in_time_and_frames_that_nearly_agree() -> None:
    where = torch.tensor([[[0.0], [1.0], [2.0]], [[5.0], [2.2], [9.0]]])
    graph = graph_of(where, touch=0.25).todense()
    joined = {(one, other) for one, other in zip(*graph.nonzero(), strict=True) if one < other}
    assert joined == {(0, 1), (1, 2), (3, 4), (4, 5), (2, 4)}
    assert graph[2, 4] == graph[4, 2] == pytest.approx(0.2)
    assert graph[0, 1] == graph[1, 0] == graph[4, 5] == 1.0


def test_the_shortest_way_leads_from_one_trajectory_to_another_where_they_met() -> None:
    """One walks 0 ... 4 and another 4 ... 8: from 0 to 8 nobody went."""
    line = torch.arange(9.0)[:, None]
    where = torch.stack((line[:5], line[4:]))
    goals, ways = shortest_ways(where, torch.tensor([[0, 1]]), 10, 0.3, 100.0, seed=0)
    place = torch.cat((line[:5], line[4:]))[:, 0]
    wanted = (place[goals[0]][:, None] - place).abs()
    torch.testing.assert_close(ways[0].float(), wanted, atol=0.01, rtol=0.0)
    apart = shortest_ways(where + torch.tensor([0.0, 50.0])[:, None, None], torch.tensor([[0, 1]]), 10, 0.3, 7.0, 0)[1]
    assert float(apart.max()) == 7.0  # where they never met there is no way


def test_ways_are_in_steps_whatever_the_scale_of_embeddings() -> None:
    line = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0, 3.1, 2.1, 1.1])[None, :, None]
    one, other = (shortest_ways(scale * line, torch.tensor([[0]]), 5, 0.3, 100.0, seed=0)[1] for scale in (1.0, 50.0))
    torch.testing.assert_close(one, other)
    assert float(one.max()) < 4.5  # from 4 to 0 and back the frames of both ways nearly agree


def test_trajectories_come_together_by_what_is_still_in_them() -> None:
    still = torch.tensor([[0.0], [5.0], [0.1], [5.2], [0.3], [5.1]])
    places = drawn_places(still, 6, 3, seed=0)
    assert sorted(places[:, 0].tolist()) == list(range(6))
    assert {frozenset(place) for place in places.tolist()} == {frozenset({0, 2, 4}), frozenset({1, 3, 5})}
    anywhere = drawn_places(torch.zeros(6, 0), 4, 9, seed=0)
    assert anywhere.shape == (4, 6) and all(sorted(place) == list(range(6)) for place in anywhere.tolist())


def test_ways_of_two_places_are_not_mixed() -> None:
    """In one place 0 and 3 lie on a line of four, in another they are neighbours: the still number tells which."""
    line = torch.tensor([[0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0]])
    short = torch.tensor([[0.0, 3.0, 0.0, 3.0, 0.0, 3.0, 0.0]])
    where = torch.cat((line.repeat(4, 1), short.repeat(4, 1)))[..., None]
    still = torch.cat((torch.full((4, 7, 1), -1.0), torch.full((4, 7, 1), 1.0)))
    config = TemporalDistanceConfig(embedding_dim=2, hidden_dim=32, depth=2)
    train = {"num_steps": 300, "learning_rate": 5e-3, "num_together": 4, "num_goals": 8, "batch_size": 128}
    distance = learn_distance(torch.cat((still, where), dim=-1), config, still_dim=1, touch=0.2, **train)
    long, near = (float(distance(torch.tensor([side, 0.0]), torch.tensor([side, 3.0]))) for side in (-1.0, 1.0))
    assert long == pytest.approx(3.0, abs=0.5) and near == pytest.approx(1.0, abs=0.5)


def test_trajectories_that_teach_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="two frames or more, got 1"):
        learn_distance(FRAMES[:, :1], DISTANCE)
    with pytest.raises(UserError, match="have width 1, not 2"):
        learn_distance(FRAMES[..., :1], DISTANCE)
    with pytest.raises(UserError, match="at least 0 and below 2, got 2"):
        learn_distance(FRAMES, DISTANCE, still_dim=2)
    with pytest.raises(UserError, match="above 0, got 0"):
        learn_distance(FRAMES, DISTANCE, touch=0.0)
    with pytest.raises(UserError, match="sizes of at least 1"):
        TemporalDistanceConfig(embedding_dim=2, depth=0)
