"""The study of moving digits: what is asked, that scores are of unseen digits, and that every arm runs."""

import pytest
import torch

from jepakit.data import MovingDigits
from jepakit.recipes import moving_digits as study
from jepakit.recipes.moving_digits import DIGIT_ARMS, Clips, Frames, clips, digit_cell, digit_floor_cell, read
from jepakit.recipes.predicting import ARMS


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Study less."""
    for name, value in (("_CLIPS", 64), ("_READ", 200), ("_BATCH", 8), ("_HIDDEN_DIM", 16)):
        monkeypatch.setattr(study, name, value)
    clips.cache_clear()


def test_lessons_are_three_frames_in_a_row_of_clips_to_learn_from() -> None:
    data = Clips("none", 0)
    seen = data.lessons(3).frames(2)
    assert seen.shape == (1, 8, 3, 1, 32, 32)
    known = ((data.learned.float() / 255.0 - data.mean) / data.std).flatten(2)
    for clip in seen[0].flatten(2):
        assert any(torch.equal(clip, one[first : first + 3]) for one in known for first in range(4))
    assert not torch.equal(seen, data.lessons(3).frames(1))
    assert float(known.mean()) == pytest.approx(0.0, abs=1e-4)
    assert float(known.std()) == pytest.approx(1.0, abs=1e-3)


def test_scores_are_of_scanned_digits_that_nothing_has_learned_from() -> None:
    data = Clips("texture", 1)
    assert data.fitting[0].shape == data.scoring[0].shape == (200, 1, 32, 32)
    assert study._OF_TRAINING[1] == study._OF_TESTS[0]
    others = MovingDigits(seed=1, background="texture", images=study._OF_TESTS)
    shown = others.frames(64 + 200 + torch.arange(200), 1)[:, 0]
    torch.testing.assert_close(data.scoring[0], (shown.float() / 255.0 - data.mean) / data.std)
    assert not torch.equal(data.fitting[1].position, data.scoring[1].position)
    assert len(data.fitting[1].drift[0, 0]) == 4


def test_pixels_tell_of_places_and_an_embedding_of_nothing_tells_nothing() -> None:
    told = digit_floor_cell("none", "raw", 0)
    assert told["position"] > 0.5
    assert "drift" not in told
    data = clips("texture", 0)
    blind = Frames(0)
    torch.nn.init.zeros_(blind.net.linear.weight)
    with torch.no_grad():
        blind.net.linear.bias.copy_(torch.arange(16.0))
    seen = read(blind, data)
    assert seen["position"] < 0.05
    assert seen["drift"] < 0.05
    assert seen["accuracy"] < 0.3


@pytest.mark.parametrize("arm", DIGIT_ARMS)
def test_every_arm_learns_and_is_the_same_again(arm: str) -> None:
    one, again = (digit_cell("texture", arm, ARMS[arm].tried[0], 0, 3) for _ in range(2))
    assert {k: v for k, v in one.items() if k != "seconds"} == {k: v for k, v in again.items() if k != "seconds"}
    start = digit_floor_cell("texture", "random-init", 0)
    assert one["position"] != start["position"]
    assert one["num_steps"] == 3


def test_every_arm_begins_with_the_same_encoder_and_pixels_are_asked_of_a_decoder() -> None:
    assert all(torch.equal(a, b) for a, b in zip(Frames(3).parameters(), Frames(3).parameters(), strict=True))
    drawn = study.Drawn(torch.nn.Linear(32, 16), 0)
    assert drawn(torch.randn(1, 5, 32)).shape == (1, 5, 1024)
