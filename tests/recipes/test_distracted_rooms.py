"""The study in TwoRooms: arms differ in nothing but what is predicted, and the place is read on other trajectories."""

from dataclasses import replace

import pytest

from jepakit.recipes import distracted_rooms as study
from jepakit.recipes.distracted_rooms import ROOM_ARMS, room_cell, room_floor_cell, room_recipe
from jepakit.worlds import Distracted


def test_arms_share_all_but_their_method() -> None:
    for background in ("none", "noise", "texture"):
        ours, theirs = (room_recipe(arm, background, 3, 200) for arm in ROOM_ARMS)
        assert ours.data == theirs.data
        assert ours.training == theirs.training
        assert ours.seed == theirs.seed == 3
        assert ours.method.encoder == theirs.method.encoder
        assert ours.method.preprocess == theirs.method.preprocess
        assert ours.method.dynamics == theirs.method.dynamics
        assert isinstance(ours.data.world, Distracted) is (background != "none")
    assert (
        room_recipe("pixels", "noise", 0, 9).method.preprocess != room_recipe("pixels", "none", 0, 9).method.preprocess
    )


def test_a_texture_can_be_read_and_a_place_too() -> None:
    told = room_floor_cell("texture", "raw", 0)
    assert told["drift"] > 0.5
    plain = room_floor_cell("none", "raw", 0)
    assert plain["position"] > 0.5
    assert "drift" not in plain
    assert room_floor_cell("none", "random-init", 0)["position"] != plain["position"]


def test_a_training_leaves_what_it_tells_and_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "_PROBED", 40)
    monkeypatch.setattr(study, "_BATCH", 4)
    told = room_cell("none", "embeddings", 0, 1)
    assert (told["part"], told["background"], told["arm"], told["num_steps"]) == ("two-rooms", "none", "embeddings", 1)
    assert told["position"] <= 1.0
    assert replace(room_recipe("embeddings", "none", 0, 1), seed=1) == room_recipe("embeddings", "none", 1, 1)
