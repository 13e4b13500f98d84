"""Find what surprises a run's model: what is ordinary in its world, sequences of a recording, pairs that break a law.

Energies are compared with those of clips in which nothing is wrong, of the length and with the actions between two
frames of training: clips of the run's own world, held out by their ids, or of a recording that the user calls ordinary.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from jepakit.data.recording import Recording
from jepakit.data.trajectory_files import open_recording
from jepakit.evaluation.energies import foreseen
from jepakit.evaluation.surprise import Calibration, calibrate
from jepakit.evaluation.violations import MODEL, Calibrated, as_record, calibrated, measures, score_pairs
from jepakit.random import Stream
from jepakit.recipes.config import WorldRecipe
from jepakit.recipes.feeds import learning_world
from jepakit.storage import Run
from jepakit.storage.tensors import load_tensors, save_tensors
from jepakit.types import ClipBatch, UserError, require
from jepakit.worlds.violations import LOOKS, Setting, violations_of

CALIBRATION = "surprise-calibration.safetensors"
"""Where a run keeps what is ordinary, so that the second call need not learn it again."""

OWN_WORLD = "held-out clips of its own world"
_SHORTEST = 4


def setting_of(recipe: WorldRecipe) -> Setting:
    """Return what clips of a run's world are like: as in its training, but of ids that no training reaches."""
    num_frames = max(recipe.data.num_frames, _SHORTEST)
    return Setting(learning_world(recipe), recipe.data.behaviour, num_frames, recipe.method.frame_skip)


def ordinary_clips(recipe: WorldRecipe, recording: Recording | None, num: int) -> ClipBatch:
    """Return at most so many clips in which nothing is wrong, of the run's own world or of a recording.

    Those of a recording have no action in common, and where there are more of them they are drawn.

    Raises:
        UserError: The recording's episodes are shorter than a clip.
    """
    setting = setting_of(recipe)
    if recording is None:
        return setting.ordinary(num)
    require_same_form(recording, recipe)
    steps = (setting.num_frames - 1) * setting.frame_skip
    starts = recording.starts(setting.num_frames, setting.frame_skip)
    episode = torch.searchsorted(recording.offsets, starts, right=True) - 1
    apart = starts[(starts - recording.offsets[episode]) % steps == 0]
    require(
        len(apart) > 1,
        f"{recording.name} is too short to calibrate on: it holds {len(apart)} clips of {steps + 1} frames.",
    )
    order = Stream(recipe.seed, "surprise/ordinary").uniform(0, apart, 1)[:, 0].argsort()
    return fitted(recording.clips(apart[order[:num]].sort().values, setting.num_frames, setting.frame_skip), recipe)


def require_same_form(recording: Recording, recipe: WorldRecipe) -> None:
    """Check that a recording has the pictures and actions that a run was trained on.

    Raises:
        UserError: It has others; the sentence says which.
    """
    wanted = recipe.data.world.observation_space.shape
    got = tuple(recording.frames(torch.zeros(1, 1, dtype=torch.long)).shape[2:])
    require(
        got == wanted, f"{recording.name} has pictures of {_by(got)} (c h w); the run was trained on {_by(wanted)}."
    )
    length = 1 if recipe.method.num_actions else len(recipe.method.action_low)
    require(
        recording.action.shape[1] == length and recording.num_choices == recipe.method.num_actions,
        f"{recording.name} has actions of {_kind(recording.action.shape[1], recording.num_choices)}; the run was "
        f"trained on {_kind(length, recipe.method.num_actions)}.",
    )


def sequence_of(recording: Recording, episode: int, recipe: WorldRecipe) -> ClipBatch:
    """Return an episode as one clip, of which every frame that is looked at is there, as many as fill whole blocks.

    Raises:
        UserError: It has no two such frames.
    """
    skip = recipe.method.frame_skip
    num = (int(recording.lengths[episode]) - 1) // skip + 1
    require(
        num > 1,
        f"Episode {episode} of {recording.name} has {int(recording.lengths[episode])} frames; surprise looks at every "
        f"{skip}th and needs two, so at least {skip + 1}.",
    )
    return fitted(recording.clips(recording.offsets[episode : episode + 1], num, skip), recipe)


def fitted(clip: ClipBatch, recipe: WorldRecipe) -> ClipBatch:
    """Return a clip without what its recorder felt, where the model takes no such thing."""
    return clip if recipe.method.proprio_dim else ClipBatch(clip.frames, clip.action, clip.id)


def calibration_of(
    run: Run, method: Any, recipe: WorldRecipe, which: Mapping[str, Any], ordinary: Path | None, num: int
) -> Calibrated:
    """Return the model with what is ordinary for it, as it was kept beside the run, or learned and kept now.

    Args:
        run: The run.
        method: The trained method, in eval mode.
        recipe: What was run.
        which: The method's `checkpoint` and `step`.
        ordinary: A recording of ordinary episodes; None takes the run's own world.
        num: Clips, at most.

    Raises:
        UserError: The recording cannot be read, is of another form than the run's world, or too short.
    """
    path, measure = run.file(CALIBRATION), foreseen(method)
    key = dict(which) | {"num_clips": num, "ordinary": OWN_WORLD if ordinary is None else _marks(ordinary)}
    kept = _kept(path, key)
    if kept is None:
        recording = None if ordinary is None else open_recording(ordinary)
        kept = calibrate(measure, ordinary_clips(recipe, recording, num))
        save_tensors(path, kept.tensors(), key)
    return Calibrated(measure, kept)


def _kept(path: Path, key: Mapping[str, Any]) -> Calibration | None:
    """Return the calibration that was kept, if it is whole and of the same model on the same clips."""
    if not path.is_file():
        return None
    try:
        tensors, description = load_tensors(path)
        return Calibration.from_tensors(tensors) if description == key else None
    except UserError:  # damaged: it is made anew
        return None


def _marks(place: Path) -> list[Any]:
    """Return by what a recording is known again: its path, and number, size and time of change of its files."""
    require(place.exists(), f"{str(place)!r} does not exist.")
    files = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]
    stats = [path.stat() for path in files]
    return [
        *(str(place.resolve()), len(stats), sum(stat.st_size for stat in stats)),
        max((stat.st_mtime_ns for stat in stats), default=0),
    ]


def score_violations(
    setting: Setting, method: Any, untrained: Any, num_pairs: int, num_ordinary: int, rate: float
) -> dict[str, Any]:
    """Score a model and its floors on every kind of violation that can be made in a world.

    Changes of looks follow, which break no law.

    Args:
        setting: What clips are like.
        method: The trained method, in eval mode.
        untrained: The same one without training, in eval mode.
        num_pairs: Of each kind.
        num_ordinary: Clips to calibrate on, and as many others to compare with.
        rate: Of false alarms for each moment.

    Raises:
        UserError: No pairs are asked for, or nothing can be unlawful in the world.
    """
    require(num_pairs > 0, f"At least 1 pair is to be made, got {num_pairs}.")
    begin, kinds = time.perf_counter(), violations_of(setting.world)
    arms = calibrated(measures(method, untrained, method.rollout_steps), setting.ordinary(num_ordinary))
    others = arms[MODEL].surprise(setting.ordinary(num_ordinary, part=1), rate)
    scored = {
        part: {
            kind: as_record(score_pairs(arms, make(setting, num_pairs), others.of_clip, rate))
            for kind, make in makers.items()
        }
        for part, makers in (("kinds", kinds), ("looks", LOOKS))
    }
    return {
        **scored,
        "alarms": float(others.marked[:, 1:].float().mean()),
        "protocol": {"num_pairs": num_pairs, "num_ordinary": num_ordinary, "rate": rate},
        "seconds": round(time.perf_counter() - begin, 1),
    }


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _kind(length: int, num_choices: int) -> str:
    return f"{num_choices} choices" if num_choices else f"{length} numbers"
