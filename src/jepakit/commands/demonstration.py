"""The first thing a newcomer runs: a JEPA learns to see digits, and is scored beside its floors."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jepakit.commands.running import finish
from jepakit.recipes.digits import digits_transform
from jepakit.recipes.pipeline import train
from jepakit.storage import Run, read_json, write_json
from jepakit.training import TrainingConfig
from jepakit.training.progress import Progress

_ARMS = {"linear_5shot": "jepa", "random_init_5shot": "random init", "raw_pixels_5shot": "raw pixels"}


@dataclass(frozen=True)
class DemoResult:
    """Hold where the demo put its files, its summary, and the whole record of which the summary shows a part."""

    summary: dict[str, Any]
    evaluation: dict[str, Any]
    summary_path: Path
    report_path: Path


def demo(out: Path | str = "runs/demo", *, quick: bool = False, progress: Progress | None = None) -> DemoResult:
    """Train the digits demo and write summary.json and report.html.

    Args:
        out: The run directory.
        quick: Train for a tenth of the steps: a check that everything works, not a result.
        progress: Where to show what happens.

    Raises:
        KeyboardInterrupt: Training was interrupted, by the signal that it carries; it was saved, and the same call goes
            on.
        UserError: The directory holds another run or is in use.
    """
    recipe = digits_transform()
    if quick:
        recipe = replace(recipe, recipe="demo-quick", training=_shortened(recipe.training))
    start, run = time.perf_counter(), Run(out)
    trained = train(recipe, run.path, progress)
    trained_s = max(time.perf_counter() - start, trained.result.seconds)  # of an earlier call, if that did the work
    report = finish(trained, recipe, run, final=True, probes=("ridge", "knn", "kshot"), progress=progress)
    if trained.result.interrupted_by is not None:
        raise KeyboardInterrupt(trained.result.interrupted_by)
    evaluation = read_json(run.file("evaluation.json"))
    image = five_shot_summary(evaluation) | {"seconds": round(trained_s + evaluation["seconds"], 1)}
    write_json(run.file("summary.json"), {"image": image})
    return DemoResult({"image": image}, evaluation, run.file("summary.json"), report)


def _shortened(training: TrainingConfig) -> TrainingConfig:
    """Return a tenth of a training."""
    return replace(
        training,
        num_steps=training.num_steps // 10,
        warmup_steps=training.warmup_steps // 10,
        decay_steps=training.decay_steps // 10,
        health_every=training.num_steps // 20,
    )


def five_shot_summary(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the five-shot accuracies of the method and its plainest floors, with intervals over label draws."""
    scores = {score["arm"]: score for score in evaluation["scores"] if score["name"] == "kshot_5"}
    return {key: {part: scores[arm][part] for part in ("value", "low", "high", "n")} for key, arm in _ARMS.items()}
