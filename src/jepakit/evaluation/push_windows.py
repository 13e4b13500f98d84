"""Take starts and goals from held-out trajectories of PushT, as LeWM's evaluation does, without what is solved.

A goal is what the same trajectory comes to 25 steps after the start; 50 steps are allowed. `published` takes all;
`moderate` leaves out what begins where a goal counts as reached, `strict` what begins within twice that, in places as
in the angle. `pushed` is ours: it keeps the goals for which the T itself has to go or turn that far, since a disc that
finds its place beside a T that stays reaches many of the others.

An episode begins as the trajectory was at the start, the disc's speed included: what was done before is done again
(`PushT.resumed`), so the trajectory's own actions lead to the goal exactly. How often they do is the ceiling.

Source: the protocol of stable-worldmodel (arXiv 2605.21800) and LeWM (arXiv 2603.19312); filters after the names of
CLEAR-LeWM, of whose rules we know no more than that what is solved before it begins is removed. Deviations: our own
trajectories, held out by their seed; a start lies up to 35 steps after their first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.data.recording import Recording
from jepakit.evaluation.windows import BUDGET, GAP, LATEST_START
from jepakit.random import Stream
from jepakit.types import UserError, require
from jepakit.worlds.env_push_t import NEAR, TURN, PushT, apart, solved

FILTERS = ("published", "moderate", "strict", "pushed")


@dataclass(frozen=True)
class PushWindows:
    """Hold one window of each of e trajectories.

    Args:
        seed: Seed of the world in which they were recorded.
        first: Steps before the start.
        action: What was done, from the trajectory's beginning to the goal and beyond.
        place: Where disc and T were at each step.
    """

    seed: int
    first: Int[Tensor, " e"]
    action: Float[Tensor, "e t 2"]
    place: Float[Tensor, "e t1 5"]

    def ends(self) -> tuple[Float[Tensor, "e 5"], Float[Tensor, "e 5"]]:
        """Return the places of starts and goals."""
        every = torch.arange(len(self.first))
        return self.place[every, self.first], self.place[every, self.first + GAP]

    def passes(self) -> Mapping[str, Bool[Tensor, " e"]]:
        """Return which windows pass each filter."""
        return passing(*self.ends())

    def begin(self, world: PushT, some: Int[Tensor, " b"]) -> tuple[Any, Any]:
        """Return starts and goals of these windows in a world, which must have their seed; the starts can be stepped.

        Raises:
            UserError: The world does not come to the recorded places, so it is not that of the recording.
        """
        lasts = [(self.first[some] + steps).tolist() for steps in (GAP, 0)]
        goal, start = (
            world.resumed(some, [self.action[i, :n] for i, n in zip(some, last, strict=True)]) for last in lasts
        )
        for state, recorded in zip((start, goal), self.ends(), strict=True):
            far = (state.place - recorded[some]).abs().max()
            require(
                bool(far < 1e-2),
                f"Doing again what was recorded comes {float(far):.3g} beside the recorded places: trajectories are "
                "of other versions of gym-pusht or pymunk; collect them anew.",
            )
        return start, goal

    def own(self, some: Int[Tensor, " b"]) -> Float[Tensor, "b t 2"]:
        """Return what was done from the starts to the goals of these windows, and then nothing."""
        steps = self.first[some, None] + torch.arange(GAP)
        done = self.action[some[:, None], steps]
        return torch.cat((done, done.new_zeros(len(some), BUDGET - GAP, 2)), dim=1)


def push_windows(recording: Recording, seed: int) -> PushWindows:
    """Return one window of each trajectory; pure in (recording, seed).

    Args:
        recording: Trajectories of `PushT` from their beginning, number by number, with places as proprioception.
        seed: Seed of the world in which they were recorded, which also decides where windows begin.

    Raises:
        UserError: There are no places, or trajectories are too short or of different lengths.
    """
    needed = LATEST_START + GAP + 1
    require(
        recording.proprio is not None and recording.proprio.shape[1] == 5 and len(recording.lengths.unique()) == 1,
        f"{recording.name} holds no places of disc and T, or trajectories of different lengths; collect it with PushT.",
    )
    require(
        bool((recording.lengths >= needed).all()),
        f"Windows need trajectories of at least {needed} frames, {recording.name} has {int(recording.lengths.min())}.",
    )
    ids = torch.arange(len(recording))
    first = Stream(seed, "evaluation/push-windows").integers(0, ids, 1, LATEST_START + 1)[:, 0]
    length = int(recording.lengths[0])
    assert recording.proprio is not None
    whole = (rows.unflatten(0, (len(ids), length)) for rows in (recording.action, recording.proprio))
    action, place = whole
    return PushWindows(seed, first, action[:, :-1], place)


def passing(start: Float[Tensor, "b 5"], goal: Float[Tensor, "b 5"]) -> Mapping[str, Bool[Tensor, " b"]]:
    """Return which pairs of start and goal pass each filter."""
    far, turn = apart(start, goal)
    shift = torch.linalg.vector_norm((goal - start)[:, 2:4], dim=-1)
    return {
        "published": torch.ones_like(far, dtype=torch.bool),
        "moderate": ~solved(start, goal),
        "strict": (far >= 2 * NEAR) | (turn >= 2 * TURN),
        "pushed": (shift >= NEAR) | (turn >= TURN),
    }


def chosen(passes: Mapping[str, Bool[Tensor, " e"]], num: int) -> Mapping[str, Int[Tensor, " k"]]:
    """Return the first `num` windows that pass each filter.

    Raises:
        UserError: There are fewer, or fewer than one is asked for.
    """
    for name, kept in passes.items():
        if not 1 <= num <= int(kept.sum()):
            raise UserError(
                f"{num} episodes are asked for, and {int(kept.sum())} of {len(kept)} windows pass {name!r}; ask for "
                "fewer, at least 1, or collect more held-out trajectories."
            )
    return {name: kept.nonzero()[:num, 0] for name, kept in passes.items()}
