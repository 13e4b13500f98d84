"""Read the records of `experiment pixels-vs-embeddings`: what each arm told, seed by seed, wherever it was asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jepakit.evaluation.intervals import Interval, over_repeats, paired
from jepakit.storage import read_object
from jepakit.types import UserError

CELLS, RECORD = "cells", "experiment.json"
"""Folder of the records, and the file that names them."""

EMBEDDINGS = ("ema", "sigreg", "vicreg", "embeddings")
INPUTS = ("next-input", "masked-input", "pixels")
FLOORS = ("random-init", "pca", "raw")

LABELS = {
    "ema": "embedding, EMA",
    "sigreg": "embedding, SIGReg",
    "vicreg": "embedding, VICReg",
    "embeddings": "embedding (two-rooms-fixed)",
    "next-input": "next observation",
    "masked-input": "masked reconstruction",
    "pixels": "pixels (two-rooms-fixed-pixels)",
    "random-init": "random init",
    "pca": "PCA",
    "raw": "raw input",
}


@dataclass(frozen=True)
class Place:
    """Say where arms were compared.

    Args:
        part: `nuisance`, `moving-digits` or `two-rooms`.
        kind: The nuisance, or the background.
        level: Channels of nuisance; 0 elsewhere.
    """

    part: str
    kind: str
    level: int = 0


@dataclass(frozen=True)
class Records:
    """Hold what an experiment found.

    Args:
        told: Values seed by seed of each measure, by place and arm.
        path: (step, values) along the training of each arm at a place, where it was kept.
        chosen: Setting, and how many were tried, of each part and arm.
        experiment: What experiment.json says.
    """

    told: Mapping[Place, Mapping[str, Mapping[str, tuple[float, ...]]]]
    path: Mapping[Place, Mapping[str, Sequence[tuple[int, tuple[float, ...]]]]]
    chosen: Mapping[tuple[str, str], tuple[Mapping[str, float], int]]
    experiment: Mapping[str, Any]

    def value(self, place: Place, arm: str, measure: str) -> Interval | None:
        """Return the mean over seeds with its interval; None where it was not measured."""
        values = self.told.get(place, {}).get(arm, {}).get(measure)
        return None if values is None else over_repeats(torch.tensor(values), "seeds")

    def difference(self, place: Place, ours: str, theirs: str, measure: str) -> Interval | None:
        """Return the mean difference of two arms, paired seed by seed; None where one was not measured."""
        arms = self.told.get(place, {})
        values = [arms.get(arm, {}).get(measure) for arm in (ours, theirs)]
        if values[0] is None or values[1] is None:
            return None
        return paired(torch.tensor(values[0]), torch.tensor(values[1]), "seeds")

    def arms(self, place: Place) -> list[str]:
        """Return the arms of a place in the order of the page."""
        return [arm for arm in LABELS if arm in self.told.get(place, {})]

    def levels(self, kind: str) -> list[int]:
        """Return the channels of nuisance that were tried of a kind, none among them."""
        return sorted({place.level for place in self.told if place.part == "nuisance" and place.kind == kind} | {0})

    def nuisance(self, kind: str, level: int) -> Place:
        """Return the place of so many channels; where there are none, the kinds are one."""
        return Place("nuisance", kind if level else "iid", level)


def read_records(folder: Path) -> Records:
    """Return the records that experiment.json names.

    Raises:
        UserError: There is no such file, or one that it names is missing or no record.
    """
    if not (folder / RECORD).is_file():
        raise UserError(f"{folder} holds no {RECORD}; let `jepakit experiment pixels-vs-embeddings` write it.")
    experiment = read_object(folder / RECORD)
    told: dict[Place, dict[str, dict[str, tuple[float, ...]]]] = {}
    path: dict[Place, dict[str, list[tuple[int, tuple[float, ...]]]]] = {}
    chosen: dict[tuple[str, str], tuple[Mapping[str, float], int]] = {}
    for name, part in experiment["parts"].items():
        tried = [read_object(folder / CELLS / f"{trial}.json")["arm"] for trial in part["trials"]]
        for cell in part["cells"]:
            record = read_object(folder / CELLS / f"{cell}.json")
            place = _place(record)
            _add(told.setdefault(place, {}).setdefault(record["arm"], {}), record)
            if "path" in record:
                steps = [(step["step"], tuple(step["state"])) for step in record["path"]]
                path.setdefault(place, {})[record["arm"]] = steps
            if "setting" in record:
                chosen[name, record["arm"]] = record["setting"], tried.count(record["arm"])
    return Records(told, path, chosen, experiment)


def _place(record: Mapping[str, Any]) -> Place:
    if record["part"] == "nuisance":
        return Place("nuisance", record["kind"], record["num_nuisance"])
    return Place(record["part"], record["background"])


def _add(known: dict[str, tuple[float, ...]], record: Mapping[str, Any]) -> None:
    """Add what one cell tells: of all seeds, or of one of them."""
    for measure in ("state", "nuisance_held", "position", "accuracy", "drift"):
        if measure in record:
            values = record[measure] if isinstance(record[measure], list) else [record[measure]]
            known[measure] = (*known.get(measure, ()), *values)
