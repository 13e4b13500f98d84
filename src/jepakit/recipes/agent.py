"""Live in a world by rounds: collect, learn, plan, and again with what was learned.

    perception     the method's encoder                 frames to embeddings
    world model    its predictor                        what actions lead to
    cost           fixed, the latent distance; learned, the steps that are left, from time gaps of one's own episodes
    memory         short, the last frames of an episode (`planning.memory`); long, the episodes of all rounds
    actor          the planner: towards goals when it is tried, away from where it was when it collects

    for each round:
        collect    some episodes by plan, the others as in the first round, which has no plans yet
        learn      go on from the last round's weights, on all episodes so far; then the cost
        plan       reach goals in layouts that it never collects in, beside a random policy

A round is a folder `round-N`, itself a run of the learner: `jepakit plan RUN/round-5` acts by it. Everything in it is
written whole or not at all, and draws depend on (seed, episode, step) alone: the same command goes on where it stopped
and ends with the same bits.
"""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from jepakit.data.recorded_clips import RecordedClips
from jepakit.data.recording import FramesInMemory, Recording
from jepakit.evaluation.paired_shares import paired_shares
from jepakit.hub import load
from jepakit.planning.plan import Cost
from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.episodes import Reaching, evaluate_unseen
from jepakit.recipes.exploring import Leaving
from jepakit.recipes.feeds import health_monitor, learning_world
from jepakit.recipes.pipeline import environment
from jepakit.recipes.reaching import keep_cost, read_cost
from jepakit.storage import Run, config_to_dict, read_json, write_json
from jepakit.storage.trajectories import read_trajectories, write_trajectories
from jepakit.training import Trainer
from jepakit.training.precision import choose_device
from jepakit.training.progress import Progress, Silent
from jepakit.types import require
from jepakit.worlds import Behaviour
from jepakit.worlds.collecting import collect

_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class AgentRecipe:
    """Describe a life that can be repeated.

    Args:
        recipe: The recipe's name.
        learner: What it learns by, where, and how it plans; `data.behaviour` is how it acts before it can plan, and
            `training` is that of one round.
        num_rounds: Rounds.
        num_episodes: Episodes that it collects in a round.
        num_steps: Actions of each.
        planned: Share of a later round's episodes in which it acts by plan; 0 is an agent that never does.
        noise: Standard deviation of what is added to planned actions, where 1 is half the width of the action space.
        leaving: Steps after which the place that it plans to leave is the present one.
        num_tasks: Goals that it is to reach after each round.

    Raises:
        UserError: A number has no meaning, or an episode is too short for the learned cost or for a clip.
    """

    recipe: str
    learner: WorldRecipe
    num_rounds: int = 5
    num_episodes: int = 32
    num_steps: int = 128
    planned: float = 0.75
    noise: float = 0.3
    leaving: int = 64
    num_tasks: int = 100

    def __post_init__(self) -> None:
        numbers = (self.num_rounds, self.num_episodes, self.num_tasks)
        require(min(numbers) >= 1, f"An agent has at least 1 round, episode and task, got {numbers}.")
        require(0.0 <= self.planned <= 1.0, f"planned is a share, from 0 to 1, got {self.planned}.")
        skip, frames = self.learner.method.frame_skip, self.learner.planning.learned.num_frames
        needed = skip * (max(frames, self.learner.data.num_frames) - 1)
        require(
            self.num_steps >= needed and self.num_steps % skip == 0,
            f"Episodes of {self.num_steps} actions are too short for {frames} frames of the learned cost and clips of "
            f"{self.learner.data.num_frames}, {skip} actions apart, or no multiple of {skip}; give at least {needed}.",
        )

    def collected_by(self, number: int) -> int:
        """Return how many episodes of a round are played by plan."""
        return 0 if number == 1 else round(self.planned * self.num_episodes)


def live(recipe: AgentRecipe, out: Path | str, progress: Callable[[], Progress] = Silent) -> list[dict[str, Any]]:
    """Carry out all rounds that are still to come in a run directory, and return the record of every round.

    Args:
        recipe: What to do.
        out: The run directory.
        progress: Makes what shows how a round goes.

    Raises:
        UserError: The directory holds another run or is in use, or a loss was not finite.
        KeyboardInterrupt: It was interrupted; what was saved stays, and the same call goes on.
    """
    run, records = Run(out), []
    with run.locked():
        run.claim(config_to_dict(recipe))
        write_json(run.file("env.json"), environment(choose_device(recipe.learner.training.device)))
        for number in range(1, recipe.num_rounds + 1):
            record = round_of(run, number).file("round.json")
            if not record.exists():
                write_json(record, _live_round(recipe, run, number, progress()))
            records.append(read_json(record))
    return records


def round_of(run: Run, number: int) -> Run:
    """Return the run directory of a round, which is inside that of the life."""
    return Run(run.file(f"round-{number}"))


def _live_round(recipe: AgentRecipe, run: Run, number: int, show: Progress) -> dict[str, Any]:
    """Collect, learn, plan; returns the record of the round."""
    show.say(f"round {number} of {recipe.num_rounds}")
    here, seconds = round_of(run, number), {}
    here.path.mkdir(parents=True, exist_ok=True)
    here.claim(config_to_dict(recipe.learner))
    for name, part in (("collect", _collect), ("learn", _learn)):
        begin = time.perf_counter()
        part(recipe, run, number, show)
        seconds[name] = round(time.perf_counter() - begin, 1)
    method, cost = mind_of(recipe, run, number)
    found, by_chance = evaluate_unseen(method, recipe.learner, cost, {"round": number}, recipe.num_tasks)
    write_json(here.file("evaluation.json"), found.record)
    seconds["plan"] = found.record["seconds"]
    told = _record(recipe, number, found, by_chance) | {"seconds": seconds}
    show.say(f"round {number}: {told['ends']['value']:.0%} of goals reached after {told['frames']:,} frames")
    return told


def _collect(recipe: AgentRecipe, run: Run, number: int, show: Progress) -> None:
    """Play the episodes of a round and keep them."""
    place, world = round_of(run, number).file("experience"), learning_world(recipe.learner)
    if place.exists():
        return
    first, num_planned = (number - 1) * recipe.num_episodes, recipe.collected_by(number)
    planned, others = torch.arange(first, first + recipe.num_episodes).tensor_split([num_planned])
    ways: list[tuple[Behaviour, Tensor]] = [(recipe.learner.data.behaviour, others)]
    if num_planned:
        mind = mind_of(recipe, run, number - 1)
        ways.append((Leaving(*mind, recipe.learner.planning, recipe.noise, recipe.leaving), planned))
    played = [collect(world, act, ids, recipe.num_steps, at_once=_AT_ONCE) for act, ids in ways if len(ids)]
    about = {"round": number, "episodes by plan": num_planned}
    write_trajectories(place, itertools.chain.from_iterable(played), description=about)


def _learn(recipe: AgentRecipe, run: Run, number: int, show: Progress) -> None:
    """Train on all episodes so far, from where the last round ended; then learn the cost from their time gaps."""
    learner, here = recipe.learner, round_of(run, number)
    device = choose_device(learner.training.device)
    if number == 1:
        method = learner.method.build(seed=learner.seed, num_steps=learner.training.num_steps).to(device)
    else:
        method = load(round_of(run, number - 1).path, device=device).method
    recording = experience(recipe, run, number)
    clips = RecordedClips(
        recording, learner.training.batch_size, learner.data.num_frames, method.frame_skip, learner.seed
    )
    monitor = health_monitor(learner, method, device)
    Trainer(method, learner.training, here, clips.from_step, monitor=monitor, progress=show).fit().require_whole()
    if learner.planning.learned.num_steps:
        keep_cost(_embedded(method.eval(), recording), learner, here)


def experience(recipe: AgentRecipe, run: Run, number: int) -> Recording:
    """Return the episodes of all rounds up to one."""
    stored = [read_trajectories(round_of(run, n).file("experience")) for n in range(1, number + 1)]
    frames, action, lengths = (
        torch.cat([getattr(part, name) for part in stored]) for name in ("frames", "action", "lengths")
    )
    return Recording(f"the experience of {recipe.recipe}", FramesInMemory(frames), lengths, action)


@torch.no_grad()
def _embedded(method: Any, recording: Recording) -> Float[Tensor, "k t d"]:
    """Return the embeddings of whole episodes, of the frames that the method looks at."""
    length, skip = int(recording.lengths[0]), method.frame_skip
    parts = []
    for some in recording.offsets.split(_AT_ONCE):
        frames = recording.frames(some[:, None] + torch.arange(0, length, skip))
        parts.append(method.embed(frames.to(next(method.parameters()).device)).float().flatten(2))
    return torch.cat(parts)


def mind_of(recipe: AgentRecipe, run: Run, number: int) -> tuple[Any, Cost]:
    """Return what an agent knew after a round: the method, and the cost by which it plans."""
    here, device = round_of(run, number), choose_device(recipe.learner.training.device)
    return load(here.path, device=device).method, read_cost(recipe.learner.planning, here, device)


def _record(recipe: AgentRecipe, number: int, found: Reaching, by_chance: Bool[Tensor, " b"]) -> dict[str, Any]:
    """Return what is kept of a round: how many goals it reached, beside a random policy, after how much experience."""
    ours, floor = found.record["arms"][:2]
    gain = paired_shares(found.reached, by_chance)
    return {
        "round": number,
        "frames": number * recipe.num_episodes * (recipe.num_steps + 1),
        "updates": number * recipe.learner.training.num_steps,
        "episodes_by_plan": recipe.collected_by(number),
        "ends": ours["ends"],
        "comes": ours["comes"],
        "random_policy": floor["ends"],
        "gain": {"value": gain.value, "low": gain.low, "high": gain.high, "n": gain.n},
        "reached": found.reached.int().tolist(),
    }
