"""Score a run's frozen encoder beside its floors, on the development split, or once on the test split."""

from pathlib import Path
from typing import Any

from jepakit.evaluation import Evaluation, EvaluationConfig
from jepakit.hub import load
from jepakit.recipes.config import ImageData
from jepakit.recipes.scoring import score
from jepakit.recipes.splits import Sources, open_sources, read_probing
from jepakit.storage import Run, append_line, config_from_dict, write_json
from jepakit.types import UserError

CORRUPTIONS = ("noise", "blur", "occlusion", "patch_drop")


def evaluate(run: Path | str, *, final: bool = False, checkpoint: str = "last", robustness: bool = True) -> Evaluation:
    """Score a trained run by every probe, beside random init, raw pixels and chance; writes evaluation.json.

    Args:
        run: The run directory.
        final: Score on the test split, and keep the record for good in final-records.jsonl; otherwise on the
            development split, on which every choice is made.
        checkpoint: `last` or `healthy`.
        robustness: Whether to score corrupted test images too.

    Raises:
        UserError: The run has no checkpoint, or its data has no labels.
    """
    directory = Run(run)
    model = load(directory.path, checkpoint=checkpoint)
    data = config_from_dict(ImageData, directory.config()["data"])
    sources = open_sources(data)
    if sources.probe is None:
        raise UserError(f"{data.train} has no labels to probe with; give a labelled set with --data.probe.")
    evaluation = evaluate_method(model.method, sources, data, directory, final=final, robustness=robustness)
    assert evaluation is not None
    return evaluation


def evaluate_method(
    method: Any, sources: Sources, data: ImageData, run: Run, *, final: bool = False, robustness: bool = True
) -> Evaluation | None:
    """Score a method in memory and write evaluation.json; None where there are no labels."""
    probing = read_probing(sources, data, method.preprocess.channels, num_workers=0, final=final)
    if probing is None:
        return None
    config = EvaluationConfig(
        split="test" if final else "dev",
        probes=("ridge", "logistic", "knn", "kshot"),
        corruptions=CORRUPTIONS if robustness else (),
    )
    evaluation = score(method, probing, config)
    write_json(run.file("evaluation.json"), evaluation.to_json())
    if final:
        append_line(run.file("final-records.jsonl"), evaluation.to_json())
    return evaluation
