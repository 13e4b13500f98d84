"""The first thing a newcomer runs: a JEPA learns to see digits, and is scored beside its floors."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jepakit.commands.scoring import evaluate_method
from jepakit.evaluation import Evaluation
from jepakit.recipes.digits import digits_transform
from jepakit.recipes.pictures import save_pictures
from jepakit.recipes.pipeline import train
from jepakit.recipes.splits import read_health
from jepakit.report import build_report
from jepakit.storage import Run, write_json
from jepakit.training.progress import Progress

_ARMS = {
    "linear_5shot": "jepa",
    "random_init_5shot": "random init",
    "raw_pixels_5shot": "raw pixels",
    "augmented_raw_pixels_5shot": "augmented raw pixels",
}


@dataclass(frozen=True)
class DemoResult:
    """Hold where the demo put its files, and its summary."""

    summary: dict[str, Any]
    summary_path: Path
    report_path: Path


def demo(out: Path | str = "runs/demo", *, quick: bool = False, progress: Progress | None = None) -> DemoResult:
    """Train the digits demo and write summary.json and report.html.

    Args:
        out: The run directory.
        quick: Train for a tenth of the steps: a check that everything works, not a result.
        progress: Where to show what happens.

    Raises:
        UserError: The directory holds another run or is in use.
    """
    recipe = digits_transform()
    if quick:
        steps = recipe.training.num_steps // 10
        training = replace(recipe.training, num_steps=steps, warmup_steps=steps // 20, health_every=steps // 2)
        recipe = replace(recipe, recipe="demo-quick", training=training)
    trained = train(recipe, out, progress)
    run, method = Run(out), trained.method.eval()
    save_pictures(run, method, read_health(trained.sources, recipe.data, channels=1, num_workers=0))
    evaluation = evaluate_method(method, trained.sources, recipe.data, run, final=True)
    assert evaluation is not None, "the digits have labels"
    summary = {"image": five_shot_summary(evaluation) | {"seconds": round(trained.result.seconds, 1)}}
    write_json(run.file("summary.json"), summary)
    return DemoResult(summary, run.file("summary.json"), build_report(run))


def five_shot_summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return the five-shot scores of all arms and the paired gain over the best floor."""
    scores = {score.arm: score for score in evaluation.scores if score.name == "kshot_5"}
    summary: dict[str, Any] = {key: _interval(scores[arm]) for key, arm in _ARMS.items()}
    gain = next(gain for gain in evaluation.gains if gain.name == "kshot_5" and gain.arm == "jepa")
    return summary | {"gain_over_best_floor": _interval(gain) | {"floor": gain.against}}


def _interval(record: Any) -> dict[str, float]:
    return {"value": record.value, "low": record.low, "high": record.high, "n": record.n}
