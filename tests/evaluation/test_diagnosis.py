"""Where the answer is known the diagnosis finds it: a bad metric, a wrong model, a search too small, or nothing at all."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from plane_world import Plane, PlaneModel, rugged

from jepakit.evaluation import Case, diagnose
from jepakit.evaluation.telling import TrueCost
from jepakit.evaluation.verdict import ARMS
from jepakit.planning import CEM, Control, LatentDistance
from jepakit.types import UserError
from jepakit.worlds import Roaming

WORLD = Plane()
ENOUGH = CEM(horizon=3, num_samples=32, num_iterations=3, num_elites=5)
TOO_SMALL = CEM(horizon=3, num_samples=2, num_iterations=1, num_elites=2, std=0.05)


def case(model: PlaneModel, search: CEM = ENOUGH, **changed: Any) -> Case:
    model_skip = model.frame_skip

    def make_act(model: Any, cost: Any, goal: Any, ids: torch.Tensor) -> Control:
        return Control(replace(search, cost=cost), model, goal, ids, every=1, hold=model_skip)

    settings = {
        "world": WORLD,
        "model": model,
        "cost": LatentDistance(),
        "far": WORLD.distance,
        "make_act": make_act,
        "search": "a small CEM",
        "ids": torch.arange(40),
        "num_steps": 10,
        "held_out": Roaming()(WORLD, torch.arange(1000, 1060), 6),
        "frame_skip": model.frame_skip,
        "num_candidates": 16,
    }
    return Case(**{**settings, **changed})


def test_a_perfect_model_with_a_bad_metric() -> None:
    found = diagnose(case(PlaneModel(rugged)))
    assert found.verdict.fails == "metric", found.verdict.sentence
    assert found.drift[-1].model < 1e-6
    assert found.probe[0].true > 0.999 and found.probe[0].predicted[-1] > 0.999
    own, world, cost, both = (found.ends[arm].value for arm in ARMS)
    assert max(own, world) < 0.5 < 0.9 < min(cost, both)


def test_a_wrong_model_with_a_perfect_metric() -> None:
    found = diagnose(case(PlaneModel(gain=-1.0)))
    assert found.verdict.fails == "model", found.verdict.sentence
    assert found.drift[-1].model > found.drift[-1].stay
    assert found.rank.low > 0.5
    own, world, cost, both = (found.ends[arm].value for arm in ARMS)
    assert max(own, cost) < 0.1 < 0.9 < min(world, both)


def test_a_wrong_model_with_a_bad_metric() -> None:
    found = diagnose(case(PlaneModel(rugged, gain=-1.0)))
    assert found.verdict.fails == "both", found.verdict.sentence


def test_a_search_too_small() -> None:
    found = diagnose(case(PlaneModel(), TOO_SMALL))
    assert found.verdict.fails == "search", found.verdict.sentence
    assert found.rank.high < 0.2  # model and metric are what they were


def test_everything_fine_and_the_record_holds_it() -> None:
    found = diagnose(case(PlaneModel(frame_skip=2), num_steps=12))
    assert found.verdict.fails == "nothing", found.verdict.sentence
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert set(record) == {
        "num_episodes", "search", "arms", "rank", "spread", "drift", "probe", "fails", "sentence",
    }  # fmt: skip
    assert [arm["arm"] for arm in record["arms"]] == list(ARMS)
    assert record["num_episodes"] == 40
    assert [step["step"] for step in record["drift"]] == [2, 4, 6]
    assert [probed["factor"] for probed in record["probe"]] == ["position"]
    assert len(record["probe"][0]["predicted"]) == 3
    assert record["arms"][0]["ends"]["value"] <= record["arms"][0]["comes"]["value"]
    assert record["spread"] > 0.1


def test_each_arm_plans_by_what_its_name_says() -> None:
    made, cost = [], LatentDistance(over="last")

    def make_act(model: Any, cost: Any, goal: Any, ids: torch.Tensor) -> Any:
        made.append((type(model).__name__, type(getattr(model, "telling", None)).__name__, cost))
        return lambda state: torch.zeros(len(state), 2)

    found = diagnose(case(PlaneModel(), cost=cost, over="last", make_act=make_act, num_steps=1))
    assert dict(zip(found.ends, made, strict=True)) == {
        "learned model, latent cost": ("Learned", "NoneType", cost),
        "true world, latent cost": ("TrueWorld", "Embedded", cost),
        "learned model, true cost": ("ProbedWorld", "NoneType", TrueCost("last")),
        "true world, true cost": ("TrueWorld", "Remaining", TrueCost("last")),
    }


def test_settings_without_meaning_are_refused() -> None:
    with pytest.raises(UserError, match="at least 1 episode"):
        case(PlaneModel(), ids=torch.arange(0))
    with pytest.raises(UserError, match=r"reads nothing; the factors that vary are position"):
        diagnose(case(PlaneModel(), reads=()))
    with pytest.raises(UserError, match=r"reads position, nothing; the factors that vary are position"):
        diagnose(case(PlaneModel(), reads=("position", "nothing")))
