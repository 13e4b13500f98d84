"""Learn the steps to a goal from the shortest ways through what was seen: wanderings, tied together where they met.

The gap between two frames of a trajectory is how long wandering took, not how far the goal was. Several trajectories of
one place make a graph: a frame is one step from the next, and frames whose embeddings nearly agree are the same place.
The shortest ways through it were walked by nobody as a whole, but each piece of them was. A network learns them, so
that they can be asked between any two embeddings, also in places of which there is no graph. No label is read.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.nn.temporal_distance import TemporalDistance, TemporalDistanceConfig
from jepakit.planning.learning import minimised
from jepakit.random import Stream, seeded_init
from jepakit.types import require

_COMPARED_AT_ONCE = 500
_SAME = 1e-3
"""Steps between frames that cannot be told apart; a graph has no edges of length 0."""


def learn_distance(
    z: Float[Tensor, "k t d"],
    config: TemporalDistanceConfig,
    *,
    still_dim: int = 0,
    num_places: int = 1000,
    num_together: int = 10,
    num_goals: int = 32,
    touch: float = 0.35,
    farthest: float = 100.0,
    num_steps: int = 6000,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> TemporalDistance:
    """Train a distance on the shortest ways of many graphs, by the logarithm of their steps.

    Args:
        z: Embeddings of the frames of trajectories.
        config: The distance.
        still_dim: The first so many numbers of an embedding tell which place a trajectory went through and stay as they
            are in it: trajectories whose still numbers are nearest are of one place. With 0 all are.
        num_places: Graphs.
        num_together: Trajectories of each; all where there are fewer.
        num_goals: Frames of each to which ways are learned, drawn at random.
        touch: Share of the median way of the other numbers in one step below which two frames are the same place. What
            is too large leads through walls, what is too small leaves trajectories apart.
        farthest: Steps beyond which no way is learned.
        num_steps: Updates.
        batch_size: Pairs of each.
        learning_rate: Of AdamW; it falls to zero along half a cosine.
        seed: Seed of weights, graphs and pairs.

    Raises:
        UserError: Trajectories are shorter than two frames or of another width than the distance, all numbers are
            still, or `touch` is not above 0.

    Source: our own, after the graphs of SPTM (arXiv 1803.00653) and SoRB (arXiv 1906.05253). Deviations from those: a
        way back is as long as a way there; ways are learned by a network, and nothing of the graphs is kept.
    """
    require(z.shape[1] >= 2, f"Ways are learned from trajectories of two frames or more, got {z.shape[1]}.")
    require(z.shape[2] == config.embedding_dim, f"The embeddings have width {z.shape[2]}, not {config.embedding_dim}.")
    require(0 <= still_dim < z.shape[2], f"still_dim is at least 0 and below {z.shape[2]}, got {still_dim}.")
    require(touch > 0, f"touch is a share of a step above 0, got {touch}.")
    with seeded_init(seed, "distance"):
        distance = config.build().to(z.device)
    together = drawn_places(z[..., :still_dim].mean(dim=1), num_places, num_together, seed)
    goals, ways = shortest_ways(z[..., still_dim:], together, num_goals, touch, farthest, seed)
    ids, stream, (num_places, num_goals, num_frames) = torch.arange(batch_size), Stream(seed, "paths/pairs"), ways.shape

    def frames(place: Int[Tensor, " b"], node: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        return z[together[place, node // z.shape[1]], node % z.shape[1]].float()

    def loss(step: int) -> Float[Tensor, ""]:
        spans = torch.tensor([num_places, num_goals, num_frames])
        place, goal, node = stream.integers(step, ids, 3, spans).unbind(1)
        wanted = ways[place, goal, node].float().to(z.device)
        told = distance(frames(place, node), frames(place, goals[place, goal])).float()
        missed = F.smooth_l1_loss(told.log1p(), wanted.log1p(), reduction="none", beta=0.1)
        return (missed * (wanted < farthest)).mean()

    minimised(distance, loss, num_steps, learning_rate)
    return distance


def drawn_places(still: Float[Tensor, "k s"], num_places: int, num_together: int, seed: int) -> Int[Tensor, "p m"]:
    """Return trajectories of one place, for many places: some that were drawn, each with those that are most like it.

    Args:
        still: What tells the place of each trajectory; without numbers all are of one place, and any come together.
        num_places: How many; as many as there are trajectories where there are fewer.
        num_together: Trajectories of a place, the drawn one first; all where there are fewer.
        seed: Of the draw.
    """
    ids = torch.arange(len(still))
    u = Stream(seed, "paths/places").uniform(0, ids, 1)[:, 0]
    chosen = u.argsort()[:num_places]
    places = []
    for some in chosen.split(_COMPARED_AT_ONCE):
        if still.shape[1]:
            apart = torch.cdist(still[some], still).cpu()
        else:
            apart = Stream(seed, "paths/together").uniform(0, some, len(still))
        apart[torch.arange(len(some)), some] = -1.0
        places.append(apart.topk(min(num_together, len(still)), largest=False).indices)
    return torch.cat(places)


def shortest_ways(
    where: Float[Tensor, "k t d"],
    together: Int[Tensor, "p m"],
    num_goals: int,
    touch: float,
    farthest: float,
    seed: int,
) -> tuple[Int[Tensor, "p g"], Float[Tensor, "p g n"]]:
    """Return goals of each place, and the steps of the shortest way from every frame seen there, `farthest` at most.

    Args:
        where: The part of embeddings that tells where in its place a frame was seen.
        together: Trajectories of each place; their frames, laid end to end, are n = m t nodes.
        num_goals: Nodes that are drawn as goals.
        touch: Share of the median step below which two frames are the same place.
        farthest: Steps beyond which no way is looked for.
        seed: Of the draw.
    """
    from scipy.sparse.csgraph import dijkstra  # slow to import

    step = float((where[:, 1:] - where[:, :-1]).norm(dim=-1).float().median())
    num_nodes = together.shape[1] * where.shape[1]
    goals = Stream(seed, "paths/goals").integers(
        0, torch.arange(len(together)), num_goals, torch.full((num_goals,), num_nodes)
    )
    ways = torch.empty(len(together), num_goals, num_nodes, dtype=torch.float16)
    for place, some in enumerate(together):
        graph = graph_of(where[some].float() / max(step, 1e-12), touch)
        found = dijkstra(graph, indices=goals[place].numpy(), limit=farthest)
        ways[place] = torch.from_numpy(np.minimum(found, farthest))
    return goals, ways


def graph_of(where: Float[Tensor, "m t d"], touch: float) -> Any:
    """Return the steps between frames that follow each other, 1, or nearly agree, in both directions.

    Args:
        where: What tells where frames were seen, in units of a step.
        touch: Below it frames nearly agree, and are as far apart as they seem.
    """
    from scipy.sparse import coo_array  # slow to import

    nodes = where.flatten(0, 1)
    number = torch.arange(len(nodes), device=nodes.device).view(where.shape[:2])
    before, after = number[:, :-1].flatten(), number[:, 1:].flatten()
    apart = torch.cdist(nodes, nodes)
    is_met = apart < touch
    is_step = ~is_met[before, after]
    before, after = before[is_step], after[is_step]
    one, other = is_met.nonzero(as_tuple=True)
    steps = torch.cat((apart[one, other].clamp_min(_SAME), apart.new_ones(2 * len(before)))).cpu().numpy()
    ends = tuple(torch.cat(parts).cpu().numpy() for parts in ((one, before, after), (other, after, before)))
    return coo_array((steps, ends), shape=(len(nodes), len(nodes)))
