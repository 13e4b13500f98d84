"""Say what surprises a run's model: moments of a recording or of a record, or pairs of clips that break a law."""

import time
from pathlib import Path
from typing import Any

from jepakit.commands.reaching import recipe_of
from jepakit.data.trajectory_files import open_recording
from jepakit.hub import load
from jepakit.recipes.anomalies import curves_of, require_record, surprise_in_record
from jepakit.recipes.config import SignalRecipe, WorldRecipe
from jepakit.recipes.data import data_from
from jepakit.recipes.pictures import save_arrays
from jepakit.recipes.surprise_curves import Watched, curves, telling
from jepakit.recipes.surprising import (
    OWN_WORLD,
    calibration_of,
    require_same_form,
    score_violations,
    sequence_of,
    setting_of,
)
from jepakit.report import build_report
from jepakit.storage import Run, read_object, refuse_shipped, write_json
from jepakit.training.precision import choose_device
from jepakit.types import UserError, require

RECORD = "surprise.json"


def surprise(
    run: Path | str,
    data: Path | str | None = None,
    *,
    ordinary: Path | str | None = None,
    pairs: int = 0,
    rate: float = 0.01,
    clips: int = 1000,
    episodes: int | None = None,
    checkpoint: str = "last",
) -> dict[str, Any]:
    """Mark the moments that surprise a run's model, write surprise.json, and rebuild report.html.

    A run in a world looks at a recording, a run on a record (`series-watch`) at a record of the same channels, a run on
    sounds at a sound.

    Args:
        run: The run directory.
        data: A recording: a folder that jepakit wrote, an HDF5 file, a LeRobot or a Minari dataset. Or a record: a
            .csv, .parquet or .npy file. Or a sound file.
        ordinary: One of these in which nothing is wrong, to compare with; by default held-out clips of the run's own
            world, the development part of its own record, or sounds that it held out.
        pairs: Score so many pairs of each kind of violation that can be made in the run's own world, beside floors.
        rate: False alarms for each moment of an ordinary sequence, or each stretch of a patch's length of a record.
        clips: Ordinary clips to compare with, at most; n tell rates down to 1 / (n + 1).
        episodes: Look at the first so many of the recording; at all by default.
        checkpoint: `last` or `healthy`.

    Raises:
        UserError: The run learned neither a world nor a record or has no checkpoint, there is nothing to look at, or
            what is given cannot be read, has another form or is too short; or the rate is no share, or too fine.
    """
    refuse_shipped(run)
    directory = Run(run)
    if directory.file("config.json").exists() and directory.config().get("class") == SignalRecipe.__name__:
        require(
            not pairs and episodes is None,
            f"{run} has learned from a record; --pairs and --episodes are for runs in a world.",
        )
        return _in_record(directory, data, ordinary, rate, checkpoint)
    recipe = recipe_of(directory)
    require(0.0 < rate < 1.0, f"A rate of false alarms is between 0 and 1, got {rate}.")
    require(pairs >= 0, f"At least 1 pair is to be made, got {pairs}.")
    require(clips > 1, f"At least 2 ordinary clips are needed to compare with, got {clips}.")
    if data is None and not pairs:
        raise UserError(
            "There is nothing to look at: give a recording (--data FILE), or ask for pairs of the run's own world "
            "(--pairs 500)."
        )
    model = load(directory.path, checkpoint=checkpoint, device=choose_device("auto"))
    which = {name: model.description[name] for name in ("checkpoint", "step")}
    record = _kept(directory, which)
    if data is not None:
        record["sequences"] = _sequences(
            directory,
            model.method,
            recipe,
            which,
            Path(data),
            None if ordinary is None else Path(ordinary),
            rate=rate,
            clips=clips,
            episodes=episodes,
        )
    if pairs:
        untrained = recipe.method.build(seed=recipe.seed, num_steps=1).eval().to(model.device)
        record["violations"] = score_violations(setting_of(recipe), model.method, untrained, pairs, clips, rate)
    write_json(directory.file(RECORD), record)
    build_report(directory)
    return record


def _in_record(
    run: Run, data: Path | str | None, ordinary: Path | str | None, rate: float, checkpoint: str
) -> dict[str, Any]:
    """Look at a record with a run that has learned from one."""
    if data is None:
        raise UserError("There is nothing to look at: give a record or a sound (--data FILE).")
    source = require_record(data_from(run.config()["data"]))
    model = load(run.path, checkpoint=checkpoint, device=choose_device("auto"))
    told, watched = surprise_in_record(
        model.method, source, Path(data), None if ordinary is None else Path(ordinary), rate
    )
    record = {name: model.description[name] for name in ("checkpoint", "step")} | {"record": told}
    save_arrays(run, "anomalies", curves_of(watched))
    write_json(run.file(RECORD), record)
    build_report(run)
    return record


def _kept(run: Run, which: dict[str, Any]) -> dict[str, Any]:
    """Return what an earlier call found with the same model, so that asking for pairs does not forget a recording."""
    nothing = dict(which) | {"sequences": None, "violations": None}
    if not run.file(RECORD).is_file():
        return nothing
    told = read_object(run.file(RECORD))
    return nothing | told if all(told.get(name) == value for name, value in which.items()) else nothing


def _sequences(
    run: Run,
    method: Any,
    recipe: WorldRecipe,
    which: dict[str, Any],
    data: Path,
    ordinary: Path | None,
    *,
    rate: float,
    clips: int,
    episodes: int | None,
) -> dict[str, Any]:
    """Look at the episodes of a recording, save what the report draws, and return what the record says of them."""
    begin = time.perf_counter()
    recording = open_recording(data)
    require_same_form(recording, recipe)
    num = len(recording) if episodes is None else min(episodes, len(recording))
    require(num > 0, f"There are no episodes to look at: --episodes must be at least 1, got {episodes}.")
    arm = calibration_of(run, method, recipe, which, ordinary, clips)
    watched = []
    for episode in range(num):
        clip = sequence_of(recording, episode, recipe)
        watched.append(Watched(episode, recipe.method.frame_skip, clip.frames[0], arm.surprise(clip, rate)))
    save_arrays(run, "surprise", curves(telling(watched)))
    return {
        "data": str(data),
        "rate": rate,
        "ordinary": OWN_WORLD if ordinary is None else str(ordinary),
        "num_ordinary": len(arm.calibration.ordinary),
        "num_moments": sum(len(one.frames) - 1 for one in watched),
        "num_marked": sum(len(one.said.moments()) for one in watched),
        "episodes": [one.record() for one in watched],
        "seconds": round(time.perf_counter() - begin, 1),
    }
