"""Score a run's frozen encoder beside its floors, on the development split, or once on the test split."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jepakit.commands.reaching import is_world
from jepakit.evaluation import Evaluation, EvaluationConfig
from jepakit.evaluation.probes import Probe
from jepakit.hub import Model, load
from jepakit.recipes.data import Data, ImageData, VideoData, data_from
from jepakit.recipes.divided import Sources
from jepakit.recipes.forecasting import is_record
from jepakit.recipes.pipeline import note_skipped
from jepakit.recipes.scoring import corruptions_of, score
from jepakit.recipes.splits import open_sources, read_probing
from jepakit.report import build_report
from jepakit.storage import Run, append_line, read_json, read_object, refuse_shipped, write_json
from jepakit.training.precision import choose_device
from jepakit.types import UserError, require
from jepakit.views import ClipPreprocess, Preprocess

PROBES: tuple[Probe, ...] = ("ridge", "logistic", "knn", "kshot")
_CELLS = {"scores": ("name", "arm"), "gains": ("name", "arm"), "robustness": ("probe", "arm", "kind")}
"""What tells the cells of each part of evaluation.json apart."""
_SAME_PROTOCOL = ("split", "num_train", "num_test", "num_classes", "seed", "level")
"""What two evaluations must agree in for their scores to stand in one table."""


def evaluate(
    run: Path | str,
    *,
    final: bool = False,
    checkpoint: str = "last",
    probes: tuple[Probe, ...] = PROBES,
    robustness: bool = True,
    data: str | None = None,
) -> Evaluation:
    """Score a trained run, or an imported model, by every probe, beside random init, the raw input and chance.

    Writes evaluation.json, in which scores of the same weights and split by other probes stay, names what could not be
    read in skipped.json, and rebuilds report.html.

    Args:
        run: The run directory.
        final: Score on the test split, and keep the record for good in final-records.jsonl; otherwise on the
            development split, on which every choice is made.
        checkpoint: `last` or `healthy`.
        probes: Which probes; `attentive` is the one that takes minutes.
        robustness: Whether to score corrupted test samples too.
        data: Of an imported model: the labelled images or videos to probe by, as in `ImageData.train`.

    Raises:
        UserError: The run has no checkpoint, or its data has no labels.
    """
    refuse_shipped(run)
    directory = Run(run)
    model = load(directory.path, checkpoint=checkpoint, device=choose_device("auto"))
    if is_world(directory):
        raise UserError(f"{directory.path} learned a world, which is evaluated by reaching goals: evaluate_reaching.")
    divided = _data_of(model, directory, data)
    if is_record(divided):
        raise UserError(f"{directory.path} learned from a record, whose future is to be forecast: evaluate_forecasts.")
    which = {"checkpoint": model.description.get("checkpoint", "imported"), "step": model.description.get("step", 0)}
    options: dict[str, Any] = {"final": final, "probes": probes, "robustness": robustness}
    evaluation = evaluate_method(model.method, open_sources(divided), divided, directory, which, **options)
    if evaluation is None:
        raise UserError(
            f"{divided.train} has no labels to probe by: train with a labelled set beside it (--data.probe)."
        )
    build_report(directory)
    return evaluation


def _data_of(model: Model, run: Run, given: str | None) -> Data:
    """Return the samples of a run; of an imported model those that were given.

    Raises:
        UserError: A run was given samples that are not its own, or a model that is no run none, or it is none of
            images.
    """
    if "step" in model.description:
        require(given is None, f"{run.path} is a run, which is scored on the data that it was divided from.")
        return data_from(model.description["data"])
    if given is None:
        raise UserError(
            f"{run.path} is no run directory; give the --out of a training, or the labelled images to probe an "
            "imported model by: --data FOLDER."
        )
    if isinstance(model.preprocess, ClipPreprocess):
        size = model.preprocess.frame.image_size
        return VideoData(train=given, num_frames=model.preprocess.num_frames, stored_size=size)
    if not isinstance(model.preprocess, Preprocess):
        raise UserError(f"{run.path} is no model of images or clips, of which alone --data takes a labelled set.")
    return ImageData(train=given, stored_size=model.preprocess.image_size)


def evaluate_method(
    method: Any,
    sources: Sources,
    data: Data,
    run: Run,
    which: Mapping[str, Any],
    *,
    final: bool = False,
    probes: tuple[Probe, ...] = PROBES,
    robustness: bool = True,
) -> Evaluation | None:
    """Score a method in memory and write evaluation.json; None where there are no labels.

    Args:
        method: The method, in eval mode.
        sources: The run's samples, divided.
        data: How they were divided.
        run: Where to write.
        which: The method's `checkpoint` and `step`, noted with the record.
        final: As in `evaluate`.
        probes: As in `evaluate`.
        robustness: As in `evaluate`.

    Raises:
        UserError: The labelled samples are too many to hold in memory, or not one can be read.
    """
    start = time.perf_counter()
    workers = run.config().get("training", {}).get("num_workers", 0)
    probing = read_probing(sources, data, method.preprocess.channels, workers, final=final)
    if probing is None:
        return None
    note_skipped(run, probing.skipped)
    config = EvaluationConfig(
        split="test" if final else "dev", probes=probes, corruptions=corruptions_of(method) if robustness else ()
    )
    evaluation = score(method, probing, config)
    record = evaluation.to_json() | dict(which) | {"seconds": round(time.perf_counter() - start, 1)}
    write_json(run.file("evaluation.json"), _beside_earlier(run, record))
    if final:
        append_line(run.file("final-records.jsonl"), record)
    return evaluation


def _beside_earlier(run: Run, record: dict[str, Any]) -> dict[str, Any]:
    """Return the record with what evaluation.json holds of the same weights, split and rule; new cells win."""
    try:
        earlier = read_object(run.file("evaluation.json"))
    except UserError:  # none, or a damaged one
        return record
    same = all(earlier.get(key) == record[key] for key in ("format", "checkpoint", "step"))
    protocol, new = earlier.get("protocol"), record["protocol"]
    if not same or not isinstance(protocol, dict) or any(protocol.get(key) != new[key] for key in _SAME_PROTOCOL):
        return record
    short, statement = sorted((protocol.get("statement", []), new["statement"]), key=len)
    if statement[: len(short)] != short:  # another version's rule; what the longer one adds is of robustness
        return record
    merged: dict[str, Any] = {
        "protocol": new | {"statement": statement, "tried": protocol.get("tried", {}) | new["tried"]}
    }
    for part, key in _CELLS.items():
        fresh = {tuple(cell[name] for name in key) for cell in record[part]}
        kept = [cell for cell in earlier.get(part, []) if tuple(cell[name] for name in key) not in fresh]
        merged[part] = [*kept, *record[part]]
    return record | merged


def is_scored(run: Run, step: int, *, final: bool) -> bool:
    """Return whether evaluation.json holds what would be written now: scores of this step, on the test split if final.

    Scores on the test split stand for those on the development split, which are never written over them unasked.
    """
    path = run.file("evaluation.json")
    if not path.exists():
        return False
    record = read_json(path)
    return record.get("step") == step and (record["protocol"]["split"] == "test" or not final)
