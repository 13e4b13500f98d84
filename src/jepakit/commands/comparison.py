"""Compare runs on the same labelled images: paired differences with intervals, and what differs in their settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jepakit.evaluation import Evaluation, EvaluationConfig, evaluate_arms
from jepakit.hub import load
from jepakit.recipes.config import ImageData
from jepakit.recipes.scoring import network_arm, probe_images
from jepakit.recipes.splits import open_sources, read_probing
from jepakit.storage import Run, config_from_dict, differences
from jepakit.types import UserError

_SHARED = ("train", "probe", "test", "labels", "column", "test_fraction", "dev_fraction", "split_seed")


@dataclass(frozen=True)
class Comparison:
    """Hold what a comparison found.

    Args:
        evaluation: Scores of all runs; its gains are paired differences from the first run.
        settings: Lines `setting: first -> other` for each other run, by its path.
        curves: Rows (seconds, images, loss, health) of each run over its training, by its path.
    """

    evaluation: Evaluation
    settings: dict[str, list[str]]
    curves: dict[str, list[dict[str, Any]]]


def compare(runs: Sequence[Path | str], *, final: bool = False) -> Comparison:
    """Score several runs together, each item or label draw paired with itself; the first run is the reference.

    Args:
        runs: Two or more run directories with the same labelled images and splits.
        final: On the test split instead of the development split.

    Raises:
        UserError: Fewer than two runs, or runs whose labelled images differ.
    """
    if len({str(run) for run in runs}) < 2:
        raise UserError(f"A comparison needs two different runs or more, got {', '.join(map(str, runs)) or 'none'}.")
    directories = [Run(run) for run in runs]
    configs = [directory.config() for directory in directories]
    for directory, config in zip(directories[1:], configs[1:], strict=True):
        for key in _SHARED:
            if config["data"].get(key) != configs[0]["data"].get(key):
                raise UserError(
                    f"{directory.path} has another data.{key} than {directories[0].path}; scores would differ."
                )
    rule = EvaluationConfig(split="test" if final else "dev", probes=("ridge", "knn", "kshot"))
    arms, probing = {}, None
    for directory, config in zip(directories, configs, strict=True):
        model = load(directory.path)
        data = config_from_dict(ImageData, config["data"])
        probing = read_probing(open_sources(data), data, model.preprocess.channels, num_workers=0, final=final)
        if probing is None:
            raise UserError(f"{data.train} has no labels to compare by; give a labelled set with --data.probe.")
        is_reference = directory is directories[0]
        arms[str(directory.path)] = network_arm(model.method, probe_images(probing, rule), rule, is_reference)
    assert probing is not None
    evaluation = evaluate_arms(arms, probing.train.labels, probing.test.labels, len(probing.train.class_names), rule)
    settings = {
        str(directory.path): differences(configs[0], config)
        for directory, config in zip(directories[1:], configs[1:], strict=True)
    }
    return Comparison(evaluation, settings, {str(d.path): d.metrics() for d in directories})
