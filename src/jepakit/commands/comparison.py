"""Compare runs on the same labelled images, or on one record: paired differences with intervals, and settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jepakit.commands.forecasting import is_record_run
from jepakit.evaluation import Evaluation, EvaluationConfig, evaluate_arms
from jepakit.hub import load
from jepakit.recipes.data import Data, SeriesData, data_from
from jepakit.recipes.divided import Probing
from jepakit.recipes.forecasting import HORIZONS, forecast_together
from jepakit.recipes.scoring import feasible, network_arm, probe_inputs
from jepakit.recipes.splits import open_sources, read_probing
from jepakit.report import build_comparison
from jepakit.storage import Run, append_line, differences
from jepakit.training.precision import choose_device
from jepakit.types import UserError

_SHARED = ("train", "probe", "test", "labels", "column", "test_fraction", "dev_fraction", "split_seed")
_RECORD = ("length", "columns", "time", "num_rows")
"""What runs on one record share besides: their windows and their channels."""


@dataclass(frozen=True)
class Comparison:
    """Hold what a comparison found.

    Args:
        evaluation: Scores of all runs, its gains paired differences from the first run; None without labels.
        forecasts: Of runs on one record, in their place: what evaluation.json says of forecasts, its arms the runs'
            paths and its differences those of each run from each other arm.
        settings: Lines `setting: first -> other` for each other run, by its path.
        curves: Rows (seconds, images, loss, health) of each run over its training, by its path.
        page: Where the page was written, if it was asked for.
    """

    evaluation: Evaluation | None
    forecasts: dict[str, Any] | None
    settings: dict[str, list[str]]
    curves: dict[str, list[dict[str, Any]]]
    page: Path | None


def compare(
    runs: Sequence[Path | str],
    *,
    final: bool = False,
    checkpoint: str = "last",
    horizons: Sequence[int] = HORIZONS,
    out: Path | str | None = None,
) -> Comparison:
    """Score several runs together, each item or label draw paired with itself; the first run is the reference.

    Args:
        runs: Two or more run directories with the same images and splits.
        final: On the test split instead of the development split; each run keeps the record in final-records.jsonl,
            with the checkpoint and the step of every run.
        checkpoint: `last` or `healthy`, the same for all.
        horizons: Of runs on a record: moments ahead, each a task of its own.
        out: Where to write a page of scores, settings and curves over equal compute, a `.html` file; None writes none.

    Raises:
        UserError: Fewer than two runs, one of them twice, runs of other images or records, a run without a checkpoint,
            or a horizon that does not fit into the record.
    """
    if len({Path(run).resolve() for run in runs}) < max(2, len(runs)):
        raise UserError(f"A comparison needs two different runs or more, got {', '.join(map(str, runs)) or 'none'}.")
    directories = [Run(run) for run in runs]
    configs = [directory.config() for directory in directories]
    _require_same_images(directories, configs)
    evaluation = forecasts = None
    if all(map(is_record_run, directories)):
        forecasts = _forecast_together(directories, configs, final, checkpoint, horizons)
    else:
        evaluation = _score_together(directories, configs, final, checkpoint)
    record = forecasts if evaluation is None else evaluation.to_json()
    if final and record is not None:
        _keep(directories, record, checkpoint)
    others = list(zip(directories, configs, strict=True))[1:]
    return Comparison(
        evaluation=evaluation,
        forecasts=forecasts,
        settings={str(directory.path): differences(configs[0], config) for directory, config in others},
        curves={str(directory.path): directory.metrics() for directory in directories},
        page=None if out is None else build_comparison(directories, out, record),
    )


def _keep(directories: list[Run], record: dict[str, Any], checkpoint: str) -> None:
    """Add the record to the final ones of every run, with the step of each run's checkpoint."""
    states = {str(directory.path): directory.checkpoint_state(checkpoint) for directory in directories}
    which = {path: {"checkpoint": checkpoint, "step": (state or {}).get("step")} for path, state in states.items()}
    for directory in directories:
        append_line(directory.file("final-records.jsonl"), record | which[str(directory.path)] | {"runs": which})


def _require_same_images(directories: list[Run], configs: list[dict[str, Any]]) -> None:
    """Raise `UserError` unless all runs probe and test on the same images, or forecast the same windows."""
    for directory, config in zip(directories, configs, strict=True):
        if not isinstance(config.get("data"), dict):
            raise UserError(f"{directory.path} is no run directory: its config.json says nothing of its data.")
    first, reference = directories[0].path, configs[0]["data"]
    for directory, config in zip(directories, configs, strict=True):
        changed = [key for key in ("class", *_SHARED, *_RECORD) if config["data"].get(key) != reference.get(key)]
        if changed:
            what = "windows" if reference.get("class") == SeriesData.__name__ else "images"
            values = f"{reference.get(changed[0])!r} and {config['data'].get(changed[0])!r}"
            raise UserError(
                f"{first} and {directory.path} cannot be compared: data.{changed[0]} differs ({values}), so their "
                f"scores are of other {what}; compare runs of the same data."
            )


def _forecast_together(
    directories: list[Run], configs: list[dict[str, Any]], final: bool, checkpoint: str, horizons: Sequence[int]
) -> dict[str, Any]:
    """Forecast one record with all runs, window by window the same."""
    data, device = data_from(configs[0]["data"]), choose_device("auto")
    assert isinstance(data, SeriesData)
    methods = {
        str(directory.path): load(directory.path, checkpoint=checkpoint, device=device).method
        for directory in directories
    }
    return forecast_together(methods, data, final=final, horizons=horizons)


def _score_together(
    directories: list[Run], configs: list[dict[str, Any]], final: bool, checkpoint: str
) -> Evaluation | None:
    """Score all runs by one rule on one set of labelled images; None where there are no labels."""
    arms, probing, device = {}, None, choose_device("auto")
    rule = EvaluationConfig(split="test" if final else "dev", probes=("ridge", "knn", "kshot"))
    for directory, config in zip(directories, configs, strict=True):
        model = load(directory.path, checkpoint=checkpoint, device=device)
        probing = _read(data_from(config["data"]), model.preprocess.channels, final)
        if probing is None:
            return None
        rule = feasible(rule, probing)
        is_reference = directory is directories[0]
        arms[str(directory.path)] = network_arm(
            model.method, probe_inputs(model.method, probing, rule), rule, is_reference
        )
    assert probing is not None
    return evaluate_arms(arms, probing.train.labels, probing.test.labels, len(probing.train.class_names), rule)


def _read(data: Data, channels: int, final: bool) -> Probing | None:
    return read_probing(open_sources(data), data, channels, num_workers=0, final=final)
