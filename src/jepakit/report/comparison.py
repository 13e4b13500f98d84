"""Build a page that sets runs side by side: verdicts, scores, curves over equal compute, settings that differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jepakit.report.compute import equal_compute, images_seen, seconds_spent
from jepakit.report.curves import NUM_STYLES
from jepakit.report.forecasts import compared_forecasts
from jepakit.report.material import Material, read
from jepakit.report.record import as_text, flat_settings, progress
from jepakit.report.scores import ProbeTables, is_floor, probe_tables, records
from jepakit.report.templates import render, write_page
from jepakit.report.verdicts import Verdict, verdicts
from jepakit.report.wording import duration, finite, number, points
from jepakit.report.worlds import goals
from jepakit.storage import Run
from jepakit.types import UserError


@dataclass(frozen=True)
class Row:
    """Hold one run in the table at the top of the page.

    Args:
        label: What tells it from the others.
        style: Its line style.
        verdict: Its last verdict.
        cells: Method, steps, time, images.
        score: Its headline score on its own evaluation, with interval.
    """

    label: str
    style: int
    verdict: Verdict | None
    cells: tuple[str, ...]
    score: str


def build_comparison(
    runs: Sequence[Run | Path | str], out: Path | str, evaluation: Mapping[str, Any] | None = None
) -> Path:
    """Write a page that compares runs from their files, in one step, and return its path.

    Args:
        runs: Two or more run directories; the first is the reference.
        out: Where the page goes, a `.html` file.
        evaluation: A joint evaluation of the form of evaluation.json whose arms are the runs' paths and whose gains (of
            forecasts, differences) are paired differences from the first; None shows each run's own scores, which are
            not paired.

    Raises:
        UserError: Fewer than two runs, one that is no directory, or a full disk.
    """
    paths = [Path(run) for run in runs]
    if len(paths) < 2:
        raise UserError(f"A comparison needs two runs or more, got {len(paths)}.")
    for path in paths:
        if not path.is_dir():
            raise UserError(f"{path} is no directory: give run directories, the --out of a training.")
    return write_page(Path(out), render("comparison.html", comparison_content([read(p) for p in paths], evaluation)))


def comparison_content(materials: Sequence[Material], evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all that the page shows."""
    labels = run_labels(materials)
    named = list(zip(materials, labels, strict=True))
    joint = _joint_tables(evaluation, materials, labels) if evaluation else None
    return {
        "labels": labels,
        "legend": [(label, min(i, NUM_STYLES - 1)) for i, label in enumerate(labels)],
        "rows": [_row(material, label, i) for i, (material, label) in enumerate(named)],
        "joint": joint,
        "differences": _differences(evaluation, materials, labels),
        "forecasts": compared_forecasts(evaluation, {str(m.path): label for m, label in named}),
        "own": None if joint else _own_tables(materials, labels),
        "by_seconds": equal_compute(materials, labels, seconds_spent, "seconds"),
        "by_images": equal_compute(materials, labels, images_seen, "images"),
        "settings": differing_settings(materials),
        "troubles": [f"{label}: {trouble}" for material, label in named for trouble in material.troubles],
    }


def run_labels(materials: Sequence[Material]) -> list[str]:
    """Return the shortest names that tell the runs apart: recipe, else directory, else path."""
    for name in (lambda m: m.name, lambda m: m.path.resolve().name, lambda m: str(m.path)):
        labels = [name(material) for material in materials]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{i}: {material.path}" for i, material in enumerate(materials, 1)]


def differing_settings(materials: Sequence[Material]) -> list[tuple[str, list[str]]]:
    """Return every setting in which the runs differ, with its value in each; empty where a run has none of it."""
    flat = [flat_settings(material.config) for material in materials]
    names = dict.fromkeys(name for values in flat for name in values)
    told = [(name, [values.get(name, "") for values in flat]) for name in names]
    return [(name, values) for name, values in told if len(set(values)) > 1]


def _row(material: Material, label: str, style: int) -> Row:
    told, tables = verdicts(material), goals(material.evaluation) or probe_tables(material.evaluation)
    last = material.train[-1] if material.train else {}
    seconds, images = finite(last.get("seconds")), images_seen(material)(float(last["step"])) if last else None
    score = ""
    if tables and tables.headline and tables.headline.ours:
        ours = tables.headline.ours
        score = ", ".join(s for s in (ours.text, ours.interval, tables.headline.label, tables.split_name) if s)
    cells = (
        as_text(material.section("method").get("class")).removesuffix("Config"),
        progress(material),
        "" if seconds is None else duration(seconds),
        "" if images is None else number(images),
    )
    return Row(label, min(style, NUM_STYLES - 1), told[-1] if told else None, cells, score)


def _joint_tables(
    evaluation: Mapping[str, Any], materials: Sequence[Material], labels: Sequence[str]
) -> ProbeTables | None:
    """Return the probe tables of a joint evaluation, whose arms are paths, under the labels of the page."""
    names = {str(m.path): label for m, label in zip(materials, labels, strict=True)}
    scores = [s | {"arm": names.get(str(s["arm"]), s["arm"])} for s in records(evaluation, "scores")]
    return _without_gains(probe_tables({"protocol": evaluation.get("protocol"), "scores": scores}))


def _without_gains(tables: ProbeTables | None) -> ProbeTables | None:
    """Return tables that say nothing of a gain over the best floor: here runs are compared with each other."""
    return tables and replace(tables, tasks=[replace(task, gain="") for task in tables.tasks])


def _differences(
    evaluation: Mapping[str, Any] | None, materials: Sequence[Material], labels: Sequence[str]
) -> list[tuple[str, str, str]]:
    """Return (probe, run, sentence) for each paired difference from the first run."""
    names = {str(m.path): label for m, label in zip(materials, labels, strict=True)}
    told = []
    for gain in records(evaluation, "gains"):
        value, low, high = (finite(gain.get(key)) for key in ("value", "low", "high"))
        if value is not None and low is not None and high is not None:
            sure = "no clear difference" if low <= 0 <= high else "better" if low > 0 else "worse"
            what = f"{points(value)} points ({points(low)} to {points(high)}): {sure}"
            told.append((str(gain.get("name")), names.get(str(gain["arm"]), str(gain["arm"])), what))
    return told


def _own_tables(materials: Sequence[Material], labels: Sequence[str]) -> ProbeTables | None:
    """Return probe tables with a row for each run and the floors of the first, from the runs' own evaluations."""
    scores: list[dict[str, Any]] = []
    for material, label in zip(materials, labels, strict=True):
        for score in records(material.evaluation, "scores"):
            if not is_floor(score):
                scores.append(score | {"arm": label})
            elif material is materials[0]:
                scores.append(score)
    protocols = [m.evaluation.get("protocol") for m in materials if isinstance(m.evaluation, dict)]
    tables = _without_gains(probe_tables({"scores": scores, "protocol": protocols[0] if protocols else None}))
    if tables is None or all(_conditions(protocol) == _conditions(protocols[0]) for protocol in protocols):
        return tables
    return replace(tables, split="These runs were scored on different splits or sizes: rows cannot be compared.")


def _conditions(protocol: Any) -> tuple[Any, ...]:
    keys = ("split", "num_train", "num_test", "num_classes")
    return tuple(protocol.get(key) for key in keys) if isinstance(protocol, dict) else ()
