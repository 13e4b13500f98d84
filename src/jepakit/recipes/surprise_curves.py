"""Tell where sequences surprise a model: the moments that are marked, for the record, and curves beside frames.

Frames are counted as the recording counts them, from 0; those between two that are looked at have no score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from jepakit.evaluation.surprise import Surprise
from jepakit.recipes.world_viewing import coloured

MOST_SEQUENCES = 3
MOST_FRAMES = 12
"""Frames of a sequence that are drawn: those that are marked and those before them first, then evenly spaced ones."""


@dataclass(frozen=True)
class Watched:
    """Hold one sequence and what is said about it.

    Args:
        episode: Its number in the recording.
        frame_skip: Actions between two frames that are looked at.
        frames: Those that are looked at.
        said: What is said about it alone.
    """

    episode: int
    frame_skip: int
    frames: UInt8[Tensor, "t c h w"]
    said: Surprise

    def moment(self, index: int) -> dict[str, Any]:
        """Return frame, score and tail of a moment."""
        return {
            "frame": index * self.frame_skip,
            "score": float(self.said.score[0, index]),
            "tail": float(self.said.tail[0, index]),
        }

    @property
    def highest(self) -> int:
        """Return the moment of the highest score."""
        return 1 + int(self.said.score[0, 1:].argmax())

    def record(self) -> dict[str, Any]:
        """Return what the record says of it."""
        return {
            "episode": self.episode,
            "num_moments": len(self.frames) - 1,
            "frame_skip": self.frame_skip,
            "marked": [self.moment(index) for index in self.said.moments()],
            "highest": self.moment(self.highest),
        }


def telling(watched: Sequence[Watched]) -> list[Watched]:
    """Choose the sequences to draw: those with the highest scores, in their order."""
    by_score = sorted(watched, key=lambda one: -float(one.said.score[0, one.highest]))
    return sorted(by_score[:MOST_SEQUENCES], key=lambda one: one.episode)


def curves(watched: Sequence[Watched]) -> Mapping[str, NDArray[Any]]:
    """Return the arrays from which the report draws: moments of all sequences one after another, and some frames.

    `episode`, `frame`, `score`, `limit`, `tail` and `marked` are of m moments (the first of a sequence has no score),
    `picture` holds p frames and `moment` says of which moment each is.
    """
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in ("episode", "frame", "score", "limit", "tail")}
    marked, pictures, moments, before = [], [], [], 0
    for one in watched:
        num = len(one.frames)
        columns["episode"].append(np.full(num, one.episode))
        columns["frame"].append(np.arange(num) * one.frame_skip)
        for name, values in (("score", one.said.score[0]), ("limit", one.said.limit), ("tail", one.said.tail[0])):
            columns[name].append(values.double().numpy())
        marked.append(one.said.marked[0].numpy())
        shown = drawn(one.said.moments(), one.highest, num)
        pictures.append(coloured(one.frames[shown]))
        moments.append(np.array(shown) + before)
        before += num
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return joined | {
        "marked": np.concatenate(marked),
        "picture": np.concatenate(pictures),
        "moment": np.concatenate(moments),
    }


def drawn(marked: Sequence[int], highest: int, num_frames: int) -> list[int]:
    """Return which frames of a sequence to draw, ascending.

    Example:
        >>> drawn([40], 40, 100)
        [0, 11, 22, 33, 39, 40, 44, 55, 66, 77, 88, 99]
    """
    wanted = [place for moment in (highest, *marked) for place in (moment, moment - 1)]
    chosen = list(dict.fromkeys(wanted))[:MOST_FRAMES]
    even = np.linspace(0, num_frames - 1, max(2, MOST_FRAMES - len(chosen))).round().astype(int).tolist()
    return sorted({*chosen, *even[: MOST_FRAMES - len(chosen)]})
