"""Records of reaching count the last step and every step, pair episodes, and time decisions."""

import pytest
import torch

from jepakit.evaluation.episodes import Played
from jepakit.evaluation.intervals import wilson
from jepakit.evaluation.reaching import RandomPolicy, ReachingArm, play_arm, reaching_record
from jepakit.worlds import TwoRooms

WORLD = TwoRooms()


def arm(name: str, *rows: str, seconds: float = 1.0) -> ReachingArm:
    reached = torch.tensor([[mark == "x" for mark in row] for row in rows])
    return ReachingArm(name=name, played=Played(torch.zeros(reached.shape), seconds), reached=reached, num_decisions=2)


def test_the_end_and_the_way_are_counted_apart() -> None:
    told = arm("jepa", "..x", ".x.", "...", "xxx").to_json()
    assert (told["ends"]["value"], told["comes"]["value"]) == (0.5, 0.75)
    assert (told["ends"]["low"], told["ends"]["high"]) == (wilson(2, 4).low, wilson(2, 4).high)
    assert (told["seconds_per_episode"], told["seconds_per_decision"]) == (0.25, 0.125)


def test_gains_are_paired_over_episodes() -> None:
    record = reaching_record({"split": "dev"}, [arm("jepa", "x", "x", "."), arm("floor", ".", "x", ".")])
    (gain,) = record["gains"]
    assert (gain["arm"], gain["against"]) == ("jepa", "floor")
    assert gain["value"] == pytest.approx(1 / 3)
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert (record["kind"], record["format"], record["protocol"]["split"]) == ("world", 1, "dev")


def test_a_gain_of_few_episodes_that_all_agree_is_not_certain() -> None:
    record = reaching_record({"split": "dev"}, [arm("jepa", "x", "x", "x"), arm("floor", ".", ".", ".")])
    (gain,) = record["gains"]
    assert gain["value"] == 1.0 and gain["low"] < 0.5


def test_parts_are_joined_in_order() -> None:
    whole = arm("jepa", "x").joined([arm("jepa", "."), arm("jepa", "x", seconds=2.0)])
    assert whole.reached[:, 0].tolist() == [True, False, True]
    assert whole.played.seconds == 4.0
    assert len(whole.played.distance) == 3


def test_an_arm_is_told_by_the_worlds_own_measure() -> None:
    start, goal = WORLD.task(torch.arange(3))
    walking = iter([(goal.position - start.position), torch.zeros(3, 2)])
    flying = play_arm("flying", _Open(), start, goal, lambda seen: next(walking), 2, 1)
    assert flying.reached[:, 0].tolist() == [False] * 3
    assert flying.reached[:, 1:].all()
    assert torch.equal(flying.played.distance[:, 1] < 4.5, flying.reached[:, 1])


class _Open(TwoRooms):
    def step(self, state, action):  # type: ignore[no-untyped-def]
        return state.at(state.position + action)


def test_random_actions_are_each_episodes_own_and_held() -> None:
    low, high = torch.tensor([-1.0, 2.0]), torch.tensor([1.0, 3.0])
    policy, alone = (RandomPolicy(low, high, ids, hold=2) for ids in (torch.arange(50), torch.tensor([7])))
    acts = [policy(None) for _ in range(4)]
    assert torch.equal(acts[0], acts[1])
    assert not torch.equal(acts[1], acts[2])
    assert torch.equal(acts[0][7:8], alone(None))
    assert bool(((acts[0] >= low) & (acts[0] < high)).all())
    assert float(acts[0][:, 0].std()) == pytest.approx(2 / 12**0.5, abs=0.15)
