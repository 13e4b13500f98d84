"""The first thing a newcomer runs: one JEPA learns to see digits, another to reach goals, both beside their floors."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jepakit.commands.running import finish, finish_world
from jepakit.recipes.config import CostLearning
from jepakit.recipes.digits import digits_transform
from jepakit.recipes.pipeline import train
from jepakit.recipes.two_rooms import two_rooms_fixed
from jepakit.storage import Run, read_json, write_json
from jepakit.training import TrainingConfig
from jepakit.training.progress import Progress, Silent

_ARMS = {"linear_5shot": "jepa", "random_init_5shot": "random init", "raw_pixels_5shot": "raw pixels"}


_NUM_EPISODES = 100


@dataclass(frozen=True)
class DemoResult:
    """Hold what the demo found and where it put it.

    Args:
        summary: What summary.json holds.
        evaluation: The image act's whole record, of which the summary shows a part.
        reaching: The world act's whole record.
        summary_path: Where the summary is.
        report_paths: Where the reports of the two acts are.
    """

    summary: dict[str, Any]
    evaluation: dict[str, Any]
    reaching: dict[str, Any]
    summary_path: Path
    report_paths: tuple[Path, Path]


def demo(out: Path | str = "runs/demo", *, quick: bool = False, progress: Progress | None = None) -> DemoResult:
    """Learn to see digits, then to reach goals in TwoRooms; write summary.json and a report of each act.

    Args:
        out: The run directory of the first act; the second lies in its folder `world`.
        quick: Train for a tenth of the steps: a check that everything works, not a result.
        progress: Where to show what happens.

    Raises:
        KeyboardInterrupt: Training was interrupted, by the signal that it carries; it was saved, and the same call goes
            on.
        UserError: The directory holds another run or is in use.
    """
    run, progress = Run(out), progress or Silent()
    progress.say("Act 1 of 2: learn to see digits.")
    evaluation, report, image_s = image_act(run, quick, progress)
    image = five_shot_summary(evaluation) | {"seconds": image_s}
    write_json(run.file("summary.json"), {"image": image})
    progress.say("Act 2 of 2: learn how a world answers to actions, and reach goals in it by planning.")
    reaching, world_report, world_s = world_act(Run(run.path / "world"), quick, progress)
    summary = {"image": image, "world": reaching_summary(reaching) | {"seconds": world_s}}
    write_json(run.file("summary.json"), summary)
    return DemoResult(summary, evaluation, reaching, run.file("summary.json"), (report, world_report))


def image_act(run: Run, quick: bool, progress: Progress) -> tuple[dict[str, Any], Path, float]:
    """Train and score on digits; returns the record, where the report is, and the seconds of both."""
    recipe = digits_transform()
    if quick:
        recipe = replace(recipe, recipe="demo-quick", training=_shortened(recipe.training))
    start = time.perf_counter()
    trained = train(recipe, run.path, progress)
    trained_s = max(time.perf_counter() - start, trained.result.seconds)  # of an earlier call, if that did the work
    report = finish(trained, recipe, run, final=True, probes=("ridge", "knn", "kshot"), progress=progress)
    if trained.result.interrupted_by is not None:
        raise KeyboardInterrupt(trained.result.interrupted_by)
    evaluation = read_json(run.file("evaluation.json"))
    return evaluation, report, round(trained_s + evaluation["seconds"], 1)


def world_act(run: Run, quick: bool, progress: Progress) -> tuple[dict[str, Any], Path, float]:
    """Train in TwoRooms and reach goals; returns the record, where the report is, and the seconds of both."""
    recipe, episodes = two_rooms_fixed(), _NUM_EPISODES
    if quick:
        learned = CostLearning(num_trajectories=200, num_steps=200)
        recipe = replace(
            recipe,
            recipe="demo-world-quick",
            training=_shortened(recipe.training),
            planning=replace(recipe.planning, learned=learned),
        )
        episodes //= 10
    start = time.perf_counter()
    trained = train(recipe, run.path, progress)
    before_s = max(0.0, trained.result.seconds - (time.perf_counter() - start))  # in an earlier call
    report = finish_world(trained, recipe, run, final=True, episodes=episodes, progress=progress)
    if trained.result.interrupted_by is not None:
        raise KeyboardInterrupt(trained.result.interrupted_by)
    return read_json(run.file("evaluation.json")), report, round(before_s + time.perf_counter() - start, 1)


def _shortened(training: TrainingConfig) -> TrainingConfig:
    """Return a tenth of a training."""
    return replace(
        training,
        num_steps=training.num_steps // 10,
        warmup_steps=training.warmup_steps // 10,
        decay_steps=training.decay_steps // 10,
        health_every=training.num_steps // 20,
    )


def reaching_summary(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return how often the model and a random policy were at their goals, with intervals over episodes."""
    ends = {arm["arm"]: arm["ends"] for arm in record["arms"]}
    parts = ("value", "low", "high", "n")
    return {
        key: {part: ends[name][part] for part in parts}
        for key, name in (("success", "jepa"), ("random_policy", "random policy"))
    }


def five_shot_summary(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the five-shot accuracies of the method and its plainest floors, with intervals over label draws."""
    scores = {score["arm"]: score for score in evaluation["scores"] if score["name"] == "kshot_5"}
    return {key: {part: scores[arm][part] for part in ("value", "low", "high", "n")} for key, arm in _ARMS.items()}
