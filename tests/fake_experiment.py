"""Write records of an experiment whose numbers are chosen, so that what is said of them can be checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jepakit.storage import write_json

SEEDS = 4
LEVELS = (0, 8, 64)

GOOD = {"ema": 0.9, "sigreg": 0.9, "vicreg": 0.9, "next-input": 0.6, "masked-input": 0.5}
"""R2 of the state beside most noise, where embeddings lead."""

FLOORS = {"random-init": 0.1, "pca": 0.05, "raw": 1.0}


def values(mean: float) -> list[float]:
    """Return one value for each seed, a little apart."""
    return [mean + 0.004 * (seed - 1.5) for seed in range(SEEDS)]


def nuisance(kind: str, level: int, arm: str, mean: float, held: float) -> dict[str, Any]:
    """Return the record of a cell of the first study."""
    path = [{"step": step, "state": values(mean * step / 8)} for step in (2, 4, 6, 8)]
    learned = {"setting": {"learning_rate": 0.01, "knob": 3.0}, "num_steps": 8, "path": path}
    told = {"part": "nuisance", "arm": arm, "kind": kind, "num_nuisance": level, "seeds": list(range(SEEDS))}
    told |= {"state": values(mean), "nuisance_held": values(held), "seconds": 2.0}
    return told if arm in FLOORS else told | learned


def write_experiment(
    folder: Path,
    noisy: Mapping[str, float] = GOOD,
    slow: Mapping[str, float] | None = None,
    pixels: float = 0.5,
    rooms: tuple[float, float] = (0.8, 0.2),
) -> Path:
    """Write an experiment and return its folder.

    Args:
        folder: Where to.
        noisy: R2 of the state beside most unpredictable channels, by arm; 0.95 without any.
        slow: The same beside slow ones; nothing where None.
        pixels: R2 of the position from the arm that predicts pixels, before noise; embeddings have 0.7.
        rooms: The same of both arms in TwoRooms.
    """
    slow = dict.fromkeys(noisy, 0.0) if slow is None else slow
    cells: dict[str, dict[str, dict[str, Any]]] = {"nuisance": {}, "moving-digits": {}, "two-rooms": {}}
    for kind, most in (("iid", noisy), ("slow", slow)):
        for level in LEVELS if kind == "iid" else LEVELS[1:]:
            for arm, low in (most | FLOORS).items():
                mean = 0.95 + (low - 0.95) * level / LEVELS[-1]
                record = nuisance(kind, level, arm, mean, 7.0 if kind == "slow" else 0.1)
                cells["nuisance"][f"n-{kind}-{level}-{arm}"] = record
    for ground in ("none", "noise", "texture"):
        places = {"ema": 0.7, "sigreg": 0.7, "next-input": pixels if ground == "noise" else 0.7, "raw": 0.4}
        near = {"embeddings": rooms[0], "pixels": rooms[1], "random-init": 0.1}
        for seed in range(SEEDS):
            for part, told in (("moving-digits", places), ("two-rooms", near)):
                for arm, mean in told.items():
                    record = {"part": part, "arm": arm, "background": ground, "seed": seed, "seconds": 3.0}
                    record |= {"position": values(mean)[seed], "accuracy": 0.2}
                    record |= {"drift": 0.5} if ground == "texture" else {}
                    cells[part][f"{part}-{ground}-{arm}-{seed}"] = record
    parts = {}
    for part, records in cells.items():
        for name, record in records.items():
            write_json(folder / "cells" / f"{name}.json", record)
        parts[part] = {"trials": [], "cells": list(records), "seconds": 60.0}
    trial = nuisance("iid", 8, "ema", 0.9, 0.0)
    for i in range(4):
        write_json(folder / "cells" / f"trial-{i}.json", trial)
    parts["nuisance"]["trials"] = [f"trial-{i}" for i in range(4)]
    env = {
        "command": "jepakit experiment <b>",
        "threads": 2,
        "torch": "2",
        "platform": "p",
        "cpu_count": 2,
        "python": "3",
    }
    told = {"experiment": "pixels-vs-embeddings", "num_seeds": SEEDS, "env": env, "parts": parts}
    write_json(folder / "experiment.json", told)
    return folder
