"""Evaluate what a run learned of a world: reach the goals of a manifest, beside floors on the same episodes."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import gymnasium
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.evaluation.manifest import DRAWN, evaluated, find_manifest, make_manifest
from jepakit.evaluation.reaching import RandomPolicy, ReachingArm, play_arm, reaching_record
from jepakit.planning.plan import Cost, WorldModel
from jepakit.recipes.config import Planning, WorldRecipe
from jepakit.recipes.feeds import learning_world
from jepakit.recipes.reaching import control_of
from jepakit.types import UserError
from jepakit.worlds import PointMaze2D, SWMTwoRoom, TwoRooms
from jepakit.worlds.distracted import beneath

_AT_ONCE = 50
"""Episodes that are planned for together: more fill memory, fewer leave the machine idle."""

_COMMITTED, _DRAWN = "those of a committed manifest", "drawn for a world of which no manifest is committed"


@dataclass(frozen=True)
class Reaching:
    """Hold what an evaluation found.

    Args:
        record: The content of evaluation.json.
        world: Where the episodes took place, with the manifest's seed.
        ids: The episodes.
        reached: Which of them the model ended at its goal.
    """

    record: dict[str, Any]
    world: Any
    ids: Int[Tensor, " b"]
    reached: Bool[Tensor, " b"]


@dataclass(frozen=True)
class Floor:
    """Hold another run that is to stand beside a run's result as a floor, such as one whose encoder never learned.

    Args:
        method: Its trained method, in eval mode.
        recipe: What was run.
        cost: By which it plans.
    """

    method: Any
    recipe: WorldRecipe
    cost: Cost


def evaluate_world(
    method: Any,
    recipe: WorldRecipe,
    cost: Cost,
    which: Mapping[str, Any],
    *,
    split: str,
    num_episodes: int | None,
    floor: Floor | None = None,
    coarse: WorldModel | None = None,
) -> Reaching:
    """Play the episodes of a manifest with the model and its floors.

    Args:
        method: The trained method, in eval mode.
        recipe: What was run.
        cost: By which it plans.
        which: The method's `checkpoint` and `step`.
        split: `dev` or `test`.
        num_episodes: Only so many of the manifest's; None takes all.
        floor: Another run to play the same episodes; None shows only what needs no run.
        coarse: The model of its coarse level, where the recipe asks for one.

    Raises:
        UserError: The manifest has fewer episodes, or the floor plans otherwise or elsewhere.
    """
    begin, planning = time.perf_counter(), recipe.planning
    name, manifest = find_manifest(learning_world(recipe), split)
    world, start, goal, ids = manifest.tasks(learning_world(recipe), num_episodes)
    arms = [
        _model_arm("jepa", method, planning, cost, world, ids, coarse),
        *([] if floor is None else [_learned_floor(floor, recipe, world, ids)]),
        *_floors(method, planning, world, start, goal, ids),
    ]
    whose = _DRAWN if name == DRAWN else _COMMITTED
    protocol = {"split": split, "manifest": name} | _protocol(planning, world, ids, whose)
    seconds = round(time.perf_counter() - begin, 1)
    record = reaching_record(protocol, arms) | dict(which) | {"seconds": seconds}
    return Reaching(record, world, ids, arms[0].reached[:, -1])


def evaluate_unseen(
    method: Any, recipe: WorldRecipe, cost: Cost, which: Mapping[str, Any], num_episodes: int
) -> tuple[Reaching, Bool[Tensor, " b"]]:
    """Play tasks of the world in which a run learns, of layouts that are held out where it has such, beside floors.

    Args:
        method: The trained method, in eval mode.
        recipe: What was run; its seed is the world's.
        cost: By which it plans.
        which: What the record says of the method.
        num_episodes: How many tasks.

    Returns:
        What was found, and which episodes a random policy ended at their goals.
    """
    begin, planning = time.perf_counter(), recipe.planning
    world = evaluated(learning_world(recipe), recipe.seed)
    ids = torch.tensor(make_manifest(world, num_episodes).ids)
    ours = _model_arm("jepa", method, planning, cost, world, ids)
    start, goal = world.task(ids)
    floors = _floors(method, planning, world, start, goal, ids)
    protocol = {"split": "unseen", "manifest": "none"} | _protocol(planning, world, ids, "drawn with the run's seed")
    seconds = round(time.perf_counter() - begin, 1)
    record = reaching_record(protocol, [ours, *floors]) | dict(which) | {"seconds": seconds}
    return Reaching(record, world, ids, ours.reached[:, -1]), floors[0].reached[:, -1]


def _protocol(planning: Planning, world: Any, ids: Int[Tensor, " b"], whose: str) -> dict[str, Any]:
    """Return how episodes are played, whose starts and goals are `whose`."""
    return {
        "num_episodes": len(ids),
        "num_steps": planning.num_steps,
        "goal": "a picture of the goal",
        "success": _success(world),
        "statement": _statement(planning, whose),
    }


def _learned_floor(floor: Floor, recipe: WorldRecipe, world: Any, ids: Int[Tensor, " b"]) -> ReachingArm:
    """Play with another run's model, which must differ in nothing but what it learned.

    Raises:
        UserError: It learned in another world, or plans otherwise.
    """
    for what, ours, theirs in (
        ("learned in the world", learning_world(recipe), learning_world(replace(floor.recipe, seed=recipe.seed))),
        ("plans by", recipe.planning, floor.recipe.planning),
    ):
        if ours != theirs:
            raise UserError(f"A floor differs in what it learned alone, but {floor.recipe.recipe} {what} {theirs}.")
    arm = _model_arm(floor.recipe.recipe, floor.method, recipe.planning, floor.cost, world, ids)
    steps = floor.recipe.training.num_steps
    note = f"another run ({steps} steps of training, seed {floor.recipe.seed}) with the same search"
    return replace(arm, is_floor=True, note=note)


def _model_arm(
    name: str,
    method: Any,
    planning: Planning,
    cost: Cost,
    world: Any,
    ids: Int[Tensor, " b"],
    coarse: WorldModel | None = None,
) -> ReachingArm:
    """Play with a model, some episodes at a time."""
    searches = -(-planning.num_steps // (planning.hold * planning.every))
    parts = []
    for some in ids.split(_AT_ONCE):
        start, goal = world.task(some)
        act = control_of(planning, method, cost, world.render(goal), some, coarse)
        parts.append(play_arm(name, world, start, goal, act, planning.num_steps, searches))
    return parts[0] if len(parts) == 1 else parts[0].joined(parts[1:])


def _floors(
    method: Any, planning: Planning, world: Any, start: Any, goal: Any, ids: Int[Tensor, " b"]
) -> list[ReachingArm]:
    """Play with what has learned nothing: random actions, and where places are points, the straight line."""
    space = method.action_space
    if not isinstance(space, gymnasium.spaces.Box):
        raise UserError(f"Worlds with actions {space} have no floors yet; evaluate one whose actions are a Box.")
    low, high = (torch.from_numpy(edge).float() for edge in (space.low, space.high))
    played = (world, start, goal)
    floors = [
        play_arm(
            "random policy",
            *played,
            RandomPolicy(low, high, ids, planning.hold),
            planning.num_steps,
            1,
            is_floor=True,
            note=f"each action drawn within the model's bounds and held for {planning.hold} steps",
        )
    ]
    if isinstance(beneath(world), TwoRooms | SWMTwoRoom | PointMaze2D):  # places are points there
        line = _StraightLine(goal, high, start, world)
        floors.append(
            play_arm(
                "straight line",
                *played,
                line,
                planning.num_steps,
                1,
                is_floor=True,
                uses_labels=True,
                note="told both places, it walks straight towards the goal, wall or not",
            )
        )
    return floors


class _StraightLine:
    """Walk straight to the goal; told the places by stepping the world along."""

    def __init__(self, goal: Any, high: Float[Tensor, " a"], start: Any, world: Any):
        self.goal, self.high, self.state, self.world = goal, high, start, world

    def __call__(self, seen: Any) -> Float[Tensor, "b a"]:
        """Return the step towards the goal; of a ball with a velocity, the force that brings it to rest there."""
        world = beneath(self.world)
        state, goal = (now.inner if world is not self.world else now for now in (self.state, self.goal))
        way = goal.position - state.position
        if isinstance(world, PointMaze2D):  # without a force it still rolls velocity (1 - damping) / damping far
            way = (way - state.velocity * (1.0 - world.damping) / world.damping) * world.damping / world.force
        action = torch.minimum(torch.maximum(way, -self.high), self.high)
        self.state = self.world.step(self.state, action)
        return action


def _success(world: Any) -> str:
    """Return what counts as success in words."""
    words = {
        "TwoRooms": "less than 4.5 pixels from the goal after the last step",
        "SWMTwoRoom": "less than 16 of 224 pixels from the goal after the last step",
        "PointMaze2D": "less than half a cell from the goal after the last step, at whatever speed",
        "PushDisc": "the T less than 2.5 pixels and 20 degrees from the goal's pose after the last step",
    }
    return words.get(type(beneath(world)).__name__, "at the goal, by the world's own measure, after the last step")


def _cost(planning: Planning) -> str:
    """Return by what plans are judged in words."""
    distance = f"the {'root of the ' if planning.distance_root else ''}mean squared latent distance"
    if planning.learned.num_steps == 0:
        return f"{distance} to the goal, averaged over the plan"
    told = {
        "gaps": "the expected octave of the steps to go, learned from time gaps of held-out trajectories",
        "paths": "the steps to go, learned from shortest ways through held-out trajectories",
    }[planning.learned.by]
    return f"{told}, plus {planning.distance_weight:g} times {distance}, both averaged over the plan"


def _statement(planning: Planning, whose: str) -> list[str]:
    """Return the rule of the evaluation in sentences; `whose` are its starts and goals."""
    cost = _cost(planning)
    above, subgoals = planning.coarse, []
    if above is not None:
        subgoals = [
            f"Actions are planned towards subgoals: {above.num_iterations} rounds of {above.num_samples} candidates of "
            f"{above.horizon} macro-actions, each {above.num_blocks} frames long, of which number {above.ahead} leads "
            "to the subgoal."
        ]
    return [
        f"Starts and goals are {whose}; no training has seen these draws.",
        f"The model sees {_sight(planning)} and a picture of the goal, and nothing else.",
        f"Cost: {cost}; no label is used.",
        f"Search: {planning.num_iterations} rounds of {planning.num_samples} candidates of {planning.horizon} actions "
        f"held for {planning.hold} steps each, anew every {planning.every * planning.hold} steps.",
        *subgoals,
    ]


def _sight(planning: Planning) -> str:
    """Return what a model is shown of the present."""
    if planning.memory == 1:
        return "the present picture"
    return f"the present picture, up to {planning.memory - 1} before it, what was done in between"
