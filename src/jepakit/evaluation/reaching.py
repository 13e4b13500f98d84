"""Say how often goals are reached, beside floors on the same episodes: the content of a world's `evaluation.json`.

    {"format": 1, "kind": "world",
     "protocol": {"split", "manifest", "num_episodes", "num_steps", "goal", "success", "level", "statement": [...]},
     "arms": [{"arm": str, "is_floor": bool, "uses_labels": bool, "ends": interval, "comes": interval,
               "seconds_per_episode": x, "seconds_per_decision": x, "note": str}, ...],
     "gains": [{"arm", "against", "value", "low", "high", "n", "varies"}, ...],
     "diagnosis": {...} | null}

`ends` counts episodes that are at their goal after the last step, `comes` those that ever were. Gains are paired over
episodes and of `ends`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.evaluation.episodes import Act, Played, play, success
from jepakit.evaluation.intervals import LEVEL
from jepakit.evaluation.paired_shares import paired_shares
from jepakit.random import Stream


@dataclass(frozen=True, kw_only=True)
class ReachingArm:
    """Hold how one way of acting did.

    Args:
        name: What acts.
        played: What happened.
        reached: Whether each state of each episode, before the first step and after each, was the goal.
        num_decisions: Searches of an episode.
        is_floor: Whether it has learned nothing.
        uses_labels: Whether it is told places.
        note: What a reader must know of it.
    """

    name: str
    played: Played
    reached: Bool[Tensor, "b t1"]
    num_decisions: int
    is_floor: bool = False
    uses_labels: bool = False
    note: str = ""

    def joined(self, others: Sequence["ReachingArm"]) -> "ReachingArm":
        """Return the arm with the episodes of others after its own."""
        all_of = [self, *others]
        seconds = sum(arm.played.seconds for arm in all_of)
        played = Played(torch.cat([arm.played.distance for arm in all_of]), seconds)
        return replace(self, played=played, reached=torch.cat([arm.reached for arm in all_of]))

    def to_json(self) -> dict[str, Any]:
        """Return the arm as in the module's document."""
        num = len(self.reached)
        return {
            "arm": self.name,
            "is_floor": self.is_floor,
            "uses_labels": self.uses_labels,
            "ends": asdict(success(self.reached[:, -1])),
            "comes": asdict(success(self.reached.any(dim=1))),
            "seconds_per_episode": round(self.played.seconds / num, 4),
            "seconds_per_decision": round(self.played.seconds / num / self.num_decisions, 5),
            "note": self.note,
        }


def play_arm(
    name: str, world: Any, start: Any, goal: Any, act: Act, num_steps: int, num_decisions: int, **told: Any
) -> ReachingArm:
    """Play the episodes with one way of acting.

    Args:
        name: What acts.
        world: Where.
        start: The first states.
        goal: Where each episode is to end.
        act: Chooses actions by what is seen.
        num_steps: Steps of every episode.
        num_decisions: Searches of an episode.
        told: The other fields of the arm.
    """
    reached = []

    def distance(state: Any) -> Float[Tensor, " b"]:
        reached.append(world.reached(state, goal))
        far: Tensor = world.distance(state, goal)
        return far

    played = play(world, start, act, num_steps, distance)
    return ReachingArm(
        name=name, played=played, reached=torch.stack(reached, dim=1), num_decisions=num_decisions, **told
    )


@dataclass
class RandomPolicy:
    """Act at random within bounds, each action held for some steps, by episode.

    Args:
        low: Lowest action.
        high: Highest action.
        ids: Episodes.
        hold: Steps for which an action is held.
    """

    low: Float[Tensor, " a"]
    high: Float[Tensor, " a"]
    ids: Int[Tensor, " b"]
    hold: int = 1
    step: int = 0

    def __call__(self, seen: Any) -> Float[Tensor, "b a"]:
        """Return an action for each episode."""
        u = Stream(0, "evaluation/random-policy").uniform(self.step // self.hold, self.ids, len(self.low))
        self.step += 1
        return self.low + u * (self.high - self.low)


def reaching_record(protocol: Mapping[str, Any], arms: list[ReachingArm]) -> dict[str, Any]:
    """Return the document of these arms; the first is compared with each of the others."""
    first, gains = arms[0], []
    for other in arms[1:]:
        interval = paired_shares(first.reached[:, -1], other.reached[:, -1])
        gains.append({"arm": first.name, "against": other.name} | asdict(interval))
    return {
        "format": 1,
        "kind": "world",
        "protocol": {"level": LEVEL} | dict(protocol),
        "arms": [arm.to_json() for arm in arms],
        "gains": gains,
        "diagnosis": None,
    }
