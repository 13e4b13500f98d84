"""Ask what predicting embeddings keeps and what it ignores, where predicting the input cannot: three studies, one grid.

Settings are chosen for each arm by what its embeddings tell of the state at one place of each study, with seeds that
the study itself does not use and from as many settings for every arm. All is kept as cells of one grid, so a rerun
computes what is missing.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from jepakit.data.moving_digits import BACKGROUNDS
from jepakit.recipes.distracted_rooms import ROOM_ARMS, ROOM_FLOORS, room_cell, room_floor_cell
from jepakit.recipes.grid import Cell, run_grid
from jepakit.recipes.moving_digits import DIGIT_ARMS, DIGIT_FLOORS, digit_cell, digit_floor_cell
from jepakit.recipes.nuisance import FLOORS, LEVELS, Case, arm_cell, chosen, floor_cell
from jepakit.recipes.pipeline import environment
from jepakit.recipes.predicting import ARMS, Setting
from jepakit.report.thesis_records import CELLS, RECORD
from jepakit.storage import write_json
from jepakit.types import require

FIRST_TRIAL_SEED = 1000
"""Seeds from here on are for choices; those that are reported begin at 0."""

TRIAL_CASE = Case("iid", 128)
TRIAL_BACKGROUND = "noise"
"""Where settings are tried, like the case above."""


@dataclass(frozen=True)
class Effort:
    """Say how long every arm of each study learns.

    Args:
        nuisance_steps: In the study of channels that do not matter.
        digit_steps: On moving digits.
        room_steps: In TwoRooms.
        levels: Channels of nuisance.
        trial_seeds: Seeds with which each setting is tried, in the first study; on moving digits it is one.
    """

    nuisance_steps: int = 800
    digit_steps: int = 250
    room_steps: int = 200
    levels: tuple[int, ...] = LEVELS
    trial_seeds: int = 2


SMALL = Effort()
FULL = Effort(nuisance_steps=3200, digit_steps=1000, room_steps=800)


@dataclass(frozen=True)
class Part:
    """Hold the cells of one study by name: those of its trials, and those that are reported once these are known."""

    name: str
    trials: Mapping[str, tuple[str, Setting, Cell]]
    cells: Callable[[Mapping[str, Setting]], dict[str, Cell]]


def pixels_vs_embeddings(
    out: Path | str, num_seeds: int = 5, effort: Effort = SMALL, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Compute what is missing of the experiment, and return what experiment.json then holds.

    Args:
        out: The folder; records go to its `cells`.
        num_seeds: Trainings of each arm.
        effort: How long each learns.
        say: Told what is computed, and how long each part took.

    Raises:
        UserError: There are fewer than two seeds, of which no interval can be told, or the folder cannot be written.
    """
    require(num_seeds >= 2, f"An interval over seeds needs at least 2 of them, got {num_seeds}; 5 are usual.")
    require(
        num_seeds <= FIRST_TRIAL_SEED, f"Seeds from {FIRST_TRIAL_SEED} on are for choices; give fewer than {num_seeds}."
    )
    folder = Path(out)
    told: dict[str, Any] = {
        "experiment": "pixels-vs-embeddings",
        "num_seeds": num_seeds,
        "env": environment(torch.device("cpu")),
        "parts": {},
    }
    for part in parts(num_seeds, effort):
        start = time.monotonic()
        trials = run_grid({name: cell for name, (_, _, cell) in part.trials.items()}, folder / CELLS, say)
        settings = _choices(part, trials)
        cells = part.cells(settings)
        records = run_grid(cells, folder / CELLS, say)
        seconds = sum(record["seconds"] for record in (*trials.values(), *records.values()))
        told["parts"][part.name] = {"trials": list(trials), "cells": list(records), "seconds": seconds}
        say(f"{part.name}: {len(trials) + len(records)} cells of {seconds:.0f} s, now {time.monotonic() - start:.0f} s")
    write_json(folder / RECORD, told)
    return told


def parts(num_seeds: int, effort: Effort) -> list[Part]:
    """Return the three studies."""
    return [_nuisance(num_seeds, effort), _digits(num_seeds, effort), _rooms(num_seeds, effort)]


def _choices(part: Part, records: Mapping[str, Any]) -> dict[str, Setting]:
    """Return for each arm the setting of the best trial, by the state that its embeddings tell."""
    by_arm: dict[str, dict[Setting, Any]] = {}
    for name, (arm, setting, _) in part.trials.items():
        by_arm.setdefault(arm, {})[setting] = records[name]
    return {arm: chosen(trials) for arm, trials in by_arm.items()}


def _nuisance(num_seeds: int, effort: Effort) -> Part:
    """Return the study of channels that do not matter; all seeds of a cell learn at once."""
    steps, seeds = effort.nuisance_steps, tuple(range(num_seeds))
    tried = tuple(range(FIRST_TRIAL_SEED, FIRST_TRIAL_SEED + effort.trial_seeds))
    trials: dict[str, tuple[str, Setting, Cell]] = {}
    for arm, setting in _tried(ARMS):
        name = f"trial-nuisance-{arm}-{_tag(setting)}-steps={steps}-seeds={len(tried)}"
        trials[name] = (arm, setting, partial(arm_cell, TRIAL_CASE, arm, setting, tried, steps))

    def cells(settings: Mapping[str, Setting]) -> dict[str, Cell]:
        made: dict[str, Cell] = {}
        for case in _cases(effort.levels):
            where = f"nuisance-{case.kind}-{case.num_nuisance}"
            for floor in FLOORS:
                made[f"{where}-{floor}-seeds={num_seeds}"] = partial(floor_cell, case, floor, seeds)
            for arm, setting in settings.items():
                name = f"{where}-{arm}-{_tag(setting)}-steps={steps}-seeds={num_seeds}"
                made[name] = partial(arm_cell, case, arm, setting, seeds, steps)
        return made

    return Part("nuisance", trials, cells)


def _cases(levels: Iterable[int]) -> list[Case]:
    """Return every case; without nuisance there is but one, called iid."""
    return [Case(kind, num) for num in levels for kind in ("iid", "slow") if num or kind == "iid"]


def _digits(num_seeds: int, effort: Effort) -> Part:
    """Return the study of moving digits; trials tell R2 of the position as the state."""
    steps = effort.digit_steps
    trials: dict[str, tuple[str, Setting, Cell]] = {}
    for arm, setting in _tried(DIGIT_ARMS):
        name = f"trial-digits-{arm}-{_tag(setting)}-steps={steps}"
        trials[name] = (arm, setting, partial(_digit_trial, arm, setting, steps))

    def cells(settings: Mapping[str, Setting]) -> dict[str, Cell]:
        made: dict[str, Cell] = {}
        for background in BACKGROUNDS:
            for seed in range(num_seeds):
                for floor in DIGIT_FLOORS:
                    made[f"digits-{background}-{floor}-seed={seed}"] = partial(
                        digit_floor_cell, background, floor, seed
                    )
                for arm, setting in settings.items():
                    name = f"digits-{background}-{arm}-{_tag(setting)}-steps={steps}-seed={seed}"
                    made[name] = partial(digit_cell, background, arm, setting, seed, steps)
        return made

    return Part("moving-digits", trials, cells)


def _digit_trial(arm: str, setting: Setting, num_steps: int) -> dict[str, Any]:
    """Return a cell of moving digits whose state is the position."""
    told = digit_cell(TRIAL_BACKGROUND, arm, setting, FIRST_TRIAL_SEED, num_steps)
    return told | {"state": [told["position"]]}


def _rooms(num_seeds: int, effort: Effort) -> Part:
    """Return the study in TwoRooms, where nothing is chosen."""

    def cells(settings: Mapping[str, Setting]) -> dict[str, Cell]:
        made: dict[str, Cell] = {}
        for background in BACKGROUNDS:
            for seed in range(num_seeds):
                for floor in ROOM_FLOORS:
                    made[f"rooms-{background}-{floor}-seed={seed}"] = partial(room_floor_cell, background, floor, seed)
                for arm in ROOM_ARMS:
                    name = f"rooms-{background}-{arm}-steps={effort.room_steps}-seed={seed}"
                    made[name] = partial(room_cell, background, arm, seed, effort.room_steps)
        return made

    return Part("two-rooms", {}, cells)


def _tried(arms: Iterable[str]) -> list[tuple[str, Setting]]:
    """Return every setting that is tried of these arms."""
    return [(arm, setting) for arm in arms for setting in ARMS[arm].tried]


def _tag(setting: Setting) -> str:
    """Return a setting as a part of a file's name."""
    return f"lr={setting.learning_rate:g}-knob={setting.knob:g}"
