"""Save the arrays from which the report draws a world model: ways gone and imagined, its cost over the room, rollouts.

Places are in pixels of the pictures beside them, x before y, a pixel's middle at its index.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from jepakit.methods.world import WorldMethod
from jepakit.planning.control import Control, Planner
from jepakit.planning.memory import Memory
from jepakit.planning.plan import Cost, WorldModel
from jepakit.planning.sampling import Sampling
from jepakit.recipes.pictures import save_arrays
from jepakit.recipes.world_viewing import (
    FIRST_ID,
    Places,
    Plane,
    coloured,
    drawn,
    fit_places,
    learn_to_draw,
    plane_of,
    repeated,
    seen,
)
from jepakit.storage import Run
from jepakit.worlds import Behaviour, World
from jepakit.worlds.trajectories import interleave, select

NUM_SHOWN = 6
_NUM_FRAMES = 50
_NUM_ELITES = 10
_GRID = 32
_NUM_AHEAD = 8

ArraysByName = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Playing:
    """Say how episodes are played.

    Args:
        planner: What searches.
        every: Actions of a plan that are done before the next search.
        hold: Steps of the world for which each is held.
        num_steps: Steps of an episode.
        memory: Frames that the model is shown at each decision.
    """

    planner: Planner
    every: int = 1
    hold: int = 1
    num_steps: int = 200
    memory: int = 1


@torch.no_grad()
def save_world_pictures(
    run: Run,
    method: WorldMethod,
    world: World,
    behaviour: Behaviour,
    playing: Playing,
    cost: Cost,
    ids: Int[Tensor, " n"],
    decoder_updates: int = 400,
) -> None:
    """Write every picture that fits the world under artifacts/.

    Args:
        run: Where to write.
        method: The trained method, in eval mode.
        world: Where episodes take place.
        behaviour: How to wander there, for looking into the model.
        playing: How episodes are played.
        cost: What the map shows; the planner's own, as a rule.
        ids: The episodes to show: `telling` chooses.
        decoder_updates: How long the decoder of frames is trained, for viewing only.
    """
    plane = plane_of(world)
    if plane is not None:
        places = fit_places(method, world, behaviour, plane)
        save_arrays(run, "episodes", episodes(method, world, plane, places, playing, ids))
    if plane is not None and plane.put is not None:
        save_arrays(run, "distance", distance_maps(method, world, plane, cost, ids))
    save_arrays(run, "rollout", rollouts(method, world, behaviour, decoder_updates=decoder_updates))


def telling(reached: Bool[Tensor, " b"], most: int = NUM_SHOWN) -> Int[Tensor, " n"]:
    """Choose the episodes to show: the first ones, failures and successes in equal numbers while there are both.

    Example:
        >>> telling(torch.tensor([True, True, False, True, False]), most=4)
        tensor([0, 1, 2, 4])
    """
    won, lost = reached.nonzero()[:, 0], (~reached).nonzero()[:, 0]
    num_lost = min(len(lost), max(most // 2, most - len(won)))
    return torch.cat((lost[:num_lost], won[: most - num_lost])).sort().values


def episodes(
    method: WorldMethod, world: World, plane: Plane, places: Places, playing: Playing, ids: Int[Tensor, " n"]
) -> ArraysByName:
    """Play episodes and return what happened, with every plan as the model imagined it and the elites of the first."""
    device = next(method.parameters()).device
    state, goal = world.task(ids)
    wanted = world.render(goal).to(device)
    control = Control(
        playing.planner, cast(WorldModel, method), wanted, ids.to(device), every=playing.every, hold=playing.hold
    )
    memory = Memory(playing.memory, method.frame_skip, method.action_dim)
    states, plans, begun = [state], [], []
    for step in range(playing.num_steps):
        seen_now, before = memory.see(world.render(states[-1]).to(device)), control.plan
        action = control(seen_now)
        memory.did(action)
        if control.plan is not None and control.plan is not before:
            begun.append(step)
            ahead = control.model.rollout(control.model.observe(seen_now).expand(1), control.plan.actions[:, None])
            plans.append(places(ahead[:, 0]))
        states.append(world.step(states[-1], action.to(ids.device)))
    told = np.arange(0, playing.num_steps + 1, max(1, playing.num_steps // _NUM_FRAMES))
    frames = world.render(interleave([states[i] for i in told])).unflatten(0, (len(ids), -1))
    path = plane.pixels(world.factors(interleave(states))[plane.factor]).unflatten(0, (len(ids), -1))
    elites = elites_of(method, control, world.render(state).to(device), places, ids.to(device))
    arrays: dict[str, NDArray[Any]] = {
        "frames": coloured(frames),
        "frame_step": told,
        "path": _array(path),
        "goal": _array(plane.pixels(world.factors(goal)[plane.factor])),
        "imagined": _array(plans[0]),
        "plans": _array(torch.stack(plans, dim=1)),
        "plan_step": np.array(begun),
        "reached": _array(world.reached(states[-1], goal)),
    }
    return arrays if elites is None else arrays | {"elites": _array(elites)}


@dataclass(frozen=True)
class Watched:
    """Price candidates as another cost does, and note where the best of each round lead.

    Args:
        cost: The cost.
        places: Reads places off embeddings.
        noted: Where the best of every round lead, best first.
    """

    cost: Cost
    places: Places
    noted: list[Tensor] = field(default_factory=list)

    def __call__(
        self, z_hat: Float[Tensor, "b s t n d"], goal: Float[Tensor, "b n d"], actions: Float[Tensor, "b s _ a"]
    ) -> Float[Tensor, "b s"]:
        """Return the cost of each candidate."""
        cost = self.cost(z_hat, goal, actions)
        if cost.shape[1] > 1:  # a plan that is asked about alone belongs to no round
            ranked = cost.nan_to_num(nan=torch.inf)
            best = ranked.topk(min(_NUM_ELITES, cost.shape[1]), dim=1, largest=False).indices
            self.noted.append(self.places(z_hat[torch.arange(len(cost), device=best.device)[:, None], best]))
        return cost


def elites_of(
    method: WorldMethod, control: Control, picture: Tensor, places: Places, ids: Int[Tensor, " n"]
) -> Float[Tensor, "n i e k 2"] | None:
    """Search once more, an episode at a time, and return where the elites of each round lead; None for other searches.

    An episode's plan does not depend on the batch that it is planned in, so these are the elites of its first decision.
    """
    if not isinstance(control.planner, Sampling):
        return None
    rounds = []
    for i in range(len(ids)):
        watched = Watched(control.planner.cost, places)
        planner, one = replace(control.planner, cost=watched), slice(i, i + 1)
        planner(control.model, picture[one], control.goal[one], ids=ids[one])
        rounds.append(torch.stack(watched.noted, dim=1))
    return torch.cat(rounds)


def distance_maps(
    method: WorldMethod, world: World, plane: Plane, cost: Cost, ids: Int[Tensor, " n"], grid: int = _GRID
) -> ArraysByName:
    """Put the thing that moves on a grid of places and return what the cost says of being there.

    Raises:
        ValueError: The plane cannot put it anywhere.
    """
    if plane.put is None:
        raise ValueError("There is no map of a world whose picture does not follow from a place.")
    _, goal = world.task(ids)
    wanted = seen(method, world, goal)
    along = plane.low + (torch.arange(grid) + 0.5) / grid * (plane.high - plane.low)
    everywhere = torch.stack(torch.meshgrid(along, along, indexing="xy"), dim=-1).flatten(0, 1)
    maps = []
    for i in range(len(ids)):
        z = seen(method, world, plane.put(repeated(goal, len(everywhere), i), everywhere.to(ids.device)))
        still = torch.zeros(1, len(z), 1, method.action_dim, device=z.device)
        maps.append(cost(z[None, :, None], wanted[i : i + 1], still)[0])
    edges = plane.pixels(torch.tensor([[plane.low] * 2, [plane.high] * 2])).flatten()
    return {
        "background": coloured(world.render(goal)),
        "distance": rearrange(_array(torch.stack(maps)), "n (gh gw) -> n gh gw", gh=grid),
        "goal": _array(plane.pixels(world.factors(goal)[plane.factor])),
        "extent": _array(edges.expand(len(ids), 4)),
    }


def rollouts(
    method: WorldMethod,
    world: World,
    behaviour: Behaviour,
    num: int = NUM_SHOWN,
    num_ahead: int = _NUM_AHEAD,
    decoder_updates: int = 400,
) -> ArraysByName:
    """Return what happened and what the model imagined from the first picture on, drawn by a decoder for viewing only.

    The first imagined frame is no prediction: it shows what the decoder makes of the true embedding.
    """
    decoder = learn_to_draw(method, world, behaviour, decoder_updates)
    clips = behaviour(world, 2 * FIRST_ID + torch.arange(num), method.frame_skip * num_ahead)
    shown = torch.arange(0, clips.num_states, method.frame_skip)
    index = (torch.arange(num)[:, None] * clips.num_states + shown).flatten()
    frames = world.render(select(clips.states, index)).unflatten(0, (num, -1))
    frames = frames.to(next(method.parameters()).device)
    ahead = method.rollout(method.observe(frames[:, 0]).expand(1), clips.action[:, None].to(frames.device))[:, 0]
    z = torch.cat((method.encode_goal(frames[:, 0])[:, None], ahead), dim=1)
    true = method.preprocess.to_pixels(method.prepared(frames).float()).unflatten(0, frames.shape[:2])
    return {"true": coloured(true), "imagined": coloured(drawn(method, decoder, z))}


def _array(values: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = values.cpu().numpy()
    return array.astype(np.float32) if np.issubdtype(array.dtype, np.floating) else array
