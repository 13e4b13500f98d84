"""Say at which moments of a sequence a world model is surprised, at a rate of false alarms that the user sets.

    standard[k, t] = (energy[k, t] - mean[k, t]) / std[k, t]     mean, std: of ordinary clips, per horizon k and place t
    score[t]       = mean over the horizons k that there are of standard[k, t]
    tail[t]        = (1 + ordinary clips that scored at least score[t] at place t) / (1 + ordinary clips)
    marked[t]      = tail[t] <= rate

An energy says little by itself: it grows with the horizon, and falls with the frames that were seen before. So each is
compared with those of ordinary clips that were asked as far ahead after as many frames. For a sequence that comes from
where the ordinary clips come from, P(marked at t) <= rate, whatever the model (split conformal prediction, Vovk et al.
2005, "Algorithmic learning in a random world"; deviations: clips are exchangeable, the moments of one are not, so the
rate is that of each moment and not of a clip). Sequences longer than the ordinary clips are looked at in overlapping
windows, and each moment is judged where it has the most frames before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from jepakit.evaluation.energies import Measure, measured
from jepakit.evaluation.tails import finest_rate, limit, require_rate, tail
from jepakit.types import ClipBatch, UserError, require

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Quantiles of ordinary energies that a calibration keeps, to be drawn behind a curve."""


@dataclass(frozen=True)
class Calibration:
    """Hold what the energies of ordinary clips are like, per horizon and place in a clip; NaN where there is none.

    Args:
        mean: Mean energies.
        std: Standard deviations.
        quantile: The quantiles `QUANTILES`.
        ordinary: Scores of the ordinary clips, ascending, from the second frame on.
    """

    mean: Float[Tensor, "horizons t"]
    std: Float[Tensor, "horizons t"]
    quantile: Float[Tensor, "levels horizons t"]
    ordinary: Float[Tensor, "n t1"]

    @property
    def num_frames(self) -> int:
        """Return the length of the ordinary clips."""
        return self.mean.shape[1]

    @property
    def finest_rate(self) -> float:
        """Return the smallest rate of false alarms that can be told from none."""
        return finest_rate(len(self.ordinary))

    def standardised(self, energy: Float[Tensor, "b horizons1 t1"]) -> Float[Tensor, "b horizons1 t1"]:
        """Return how many standard deviations energies are above ordinary ones."""
        horizons, num_frames = energy.shape[1:]
        mean, std = (part[:horizons, :num_frames] for part in (self.mean, self.std))
        return (energy - mean) / std

    def scores(self, energy: Float[Tensor, "b horizons1 t1"]) -> Float[Tensor, "b t1"]:
        """Return the mean over horizons of the standardised energies; NaN for the first frame."""
        return self.standardised(energy).nanmean(dim=1)

    def tails(self, score: Float[Tensor, "b t1"]) -> Float[Tensor, "b t1"]:
        """Return the share of ordinary clips that scored at least as much, this one counted; 1 for the first frame."""
        found = torch.ones_like(score)
        for place in range(1, score.shape[1]):
            found[:, place] = tail(self.ordinary[:, place - 1], score[:, place])
        return found

    def limits(self, rate: float) -> Float[Tensor, " t"]:
        """Return the score that a moment must exceed to be marked, for each place in a clip; infinite for the first."""
        never = self.ordinary.new_full((1,), torch.inf)
        return torch.cat((never, limit(self.ordinary, rate)))

    def tensors(self) -> dict[str, Tensor]:
        """Return everything by name, to be stored as tensors are."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Calibration":
        """Rebuild a calibration from what `tensors` gave.

        Raises:
            UserError: A part is missing.
        """
        names = [entry.name for entry in fields(cls)]
        missing = [name for name in names if name not in tensors]
        if missing:
            raise UserError(f"A calibration of surprise has {', '.join(names)}; {', '.join(missing)} is missing.")
        return cls(**{name: tensors[name] for name in names})


@dataclass(frozen=True)
class Surprise:
    """Hold what there is to say about every moment of some sequences; the first frame is never surprising.

    Args:
        energy: Energies, NaN where there is no frame so long before.
        standard: The same, standardised.
        score: Mean of these over horizons, NaN for the first frame.
        tail: Share of ordinary clips that scored as much at that place.
        marked: Where that is no more than the rate.
        limit: The score that a moment must exceed to be marked, whatever the sequence.
    """

    energy: Float[Tensor, "b horizons t"]
    standard: Float[Tensor, "b horizons t"]
    score: Float[Tensor, "b t"]
    tail: Float[Tensor, "b t"]
    marked: Bool[Tensor, "b t"]
    limit: Float[Tensor, " t"]

    @property
    def of_clip(self) -> Float[Tensor, " b"]:
        """Return the mean score of each sequence, the one number that stands for it."""
        return self.score[:, 1:].mean(dim=1)

    def moments(self, sequence: int = 0) -> list[int]:
        """Return the frames of a sequence that are marked, counted from 0."""
        found: list[int] = self.marked[sequence].nonzero().flatten().tolist()
        return found


def calibrate(measure: Measure, ordinary: ClipBatch, at_once: int = 64) -> Calibration:
    """Learn what is ordinary from held-out clips in which nothing is unlawful.

    Args:
        measure: What gives energies, such as `foreseen(model)`.
        ordinary: The clips, all of whose frames are looked at.
        at_once: Clips measured at a time.

    Raises:
        UserError: There are fewer than 2 clips, or an energy is no finite number.
    """
    if len(ordinary) < 2:
        raise UserError(f"Calibration needs at least 2 ordinary clips (at a rate of 1 %: 99), got {len(ordinary)}.")
    energy = measured(measure, ordinary, at_once)
    std, mean = torch.std_mean(energy, dim=0)
    std = std + 1e-6 * mean + torch.finfo(mean.dtype).tiny  # energies that are all the same, too, are divided by it
    quantile = torch.quantile(energy, energy.new_tensor(QUANTILES), dim=0)
    unsorted = Calibration(mean, std, quantile, energy.new_empty(0, energy.shape[2] - 1))
    scores = unsorted.scores(energy)[:, 1:]
    return Calibration(mean, std, quantile, scores.sort(dim=0).values)


def surprise(
    measure: Measure, calibration: Calibration, clip: ClipBatch, rate: float = 0.01, at_once: int = 64
) -> Surprise:
    """Return how surprising each frame is.

    Args:
        measure: What the calibration was made with.
        calibration: What is ordinary.
        clip: Sequences of any length, all of whose frames are looked at.
        rate: False alarms for each moment of an ordinary sequence.
        at_once: Clips, or windows of them, measured at a time.

    Raises:
        UserError: The rate is no share or finer than the ordinary clips can tell, a sequence has a single frame, or an
            energy is no finite number.
    """
    require_rate(rate, len(calibration.ordinary), "clips")
    num_frames = clip.frames.shape[1]
    require(num_frames > 1, "A single frame follows from nothing; surprise needs at least 2.")
    whole: Surprise | None = None
    for first, begin in windows(num_frames, calibration.num_frames):
        energy = measured(measure, cut(clip, first, first + calibration.num_frames), at_once)
        score = calibration.scores(energy)
        tail = calibration.tails(score)
        limit = calibration.limits(rate)[: score.shape[1]]
        part = Surprise(energy, calibration.standardised(energy), score, tail, tail <= rate, limit)
        whole = part if whole is None else _joined(whole, part, begin)
    assert whole is not None
    return whole


def windows(num_frames: int, length: int) -> list[tuple[int, int]]:
    """Return where windows begin, and from which of its frames on each counts: half of it was seen before."""
    found, covered = [(0, 0)], length
    while covered < num_frames:
        first = min(covered - max(1, length // 2), num_frames - length)
        found.append((first, covered - first))
        covered = first + length
    return found


def cut(clip: ClipBatch, first: int, last: int) -> ClipBatch:
    """Return the frames from `first` to before `last` and the actions between them, however many a frame."""
    num_frames = clip.frames.shape[1]
    block = clip.action.shape[1] // max(1, num_frames - 1)
    proprio = None if clip.proprio is None else clip.proprio[:, first:last]
    action = clip.action[:, first * block : (min(last, num_frames) - 1) * block]
    return ClipBatch(clip.frames[:, first:last], action, clip.id, proprio)


def clip_of(frames: Any, action: Any, proprio: Any = None) -> ClipBatch:
    """Return arrays as clips.

    Args:
        frames: uint8, (t, c, h, w) or (b, t, c, h, w); an array or a tensor.
        action: What was done between them, (t - 1, a) or with a leading b; several a frame where frames were skipped.
        proprio: What was felt at each frame, where there is such a thing.

    Raises:
        UserError: The frames are no uint8 pictures, numbers do not fit, or an action is not finite.
    """
    seen = torch.as_tensor(frames)
    done = torch.as_tensor(action).float()
    felt = None if proprio is None else torch.as_tensor(proprio).float()
    if seen.dtype != torch.uint8 or seen.ndim not in (4, 5):
        raise UserError(
            f"Frames are uint8 of shape (t, c, h, w) or (b, t, c, h, w), got {seen.dtype} of {tuple(seen.shape)}."
        )
    if seen.ndim == 4:
        seen, done, felt = seen[None], done[None], None if felt is None else felt[None]
    num_gaps = seen.shape[1] - 1
    fits = done.ndim == 3 and len(done) == len(seen) and num_gaps > 0
    if not fits or done.shape[1] == 0 or done.shape[1] % num_gaps:
        raise UserError(
            f"Between {seen.shape[1]} frames of {len(seen)} sequences there is the same number of actions each, at "
            f"least one, got actions of shape {tuple(done.shape)}."
        )
    if not bool(done.isfinite().all()):
        raise UserError("An action is no finite number; leave such sequences out.")
    if felt is not None and (felt.ndim != 3 or felt.shape[:2] != seen.shape[:2]):
        raise UserError(f"proprio has as many frames as there are pictures, got {tuple(felt.shape)}.")
    return ClipBatch(seen, done, torch.arange(len(seen)), felt)


def _joined(whole: Surprise, part: Surprise, begin: int) -> Surprise:
    """Append to what is known of a sequence what a window says from its frame `begin` on."""
    pairs = ((getattr(whole, entry.name), getattr(part, entry.name)) for entry in fields(Surprise))
    return Surprise(*(torch.cat((one, other[..., begin:]), dim=-1) for one, other in pairs))
