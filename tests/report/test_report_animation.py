"""Animations stay small, keep their first and last frame, and show the way as it is gone."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from jepakit.report import animation
from jepakit.report.animation import MOST_BYTES, animated


def decoded(uri: str) -> list[np.ndarray]:
    assert uri.startswith("data:image/gif;base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    frames = []
    for i in range(picture.n_frames):
        picture.seek(i)
        frames.append(np.asarray(picture.convert("RGB")).astype(int))
    return frames


def near(frame: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Return (rows, columns) of the pixels of a colour."""
    return np.argwhere(np.linalg.norm(frame - np.array(colour), axis=-1) < 40)


def straight(num: int = 5, noise: bool = False) -> str:
    frames = np.zeros((num, 26, 52, 3), np.uint8)
    if noise:
        frames = np.random.default_rng(0).integers(0, 256, (num, 200, 200, 3), dtype=np.uint8)
    path = np.stack([np.linspace(2, 46, 4 * num - 3), np.full(4 * num - 3, 20.0)], axis=1)
    plan = np.array([[10.0, 5.0], [20.0, 5.0]])
    return animated(frames, np.arange(num) * 4, path, np.array([40.0, 8.0]), [plan] * num)


def test_the_way_grows_to_where_each_frame_was_seen() -> None:
    frames = decoded(straight())
    assert [frame.shape for frame in frames] == [(130, 260, 3)] * 5
    ends = [near(frame, animation.GONE)[:, 1].max() for frame in frames[1:]]
    assert ends == pytest.approx([5 * (2 + 11 * i + 0.5) for i in range(1, 5)], abs=3)
    assert len(near(frames[0], animation.GONE)) == 0


def test_plan_and_goal_are_where_they_are_told() -> None:
    frame = decoded(straight())[2]
    np.testing.assert_allclose(near(frame, animation.AHEAD).mean(axis=0), (5 * 5.5, 5 * 15.5), atol=1.5)
    np.testing.assert_allclose(near(frame, animation.GOAL).mean(axis=0), (5 * 8.5, 5 * 40.5), atol=1.5)


def test_an_animation_that_would_be_large_loses_frames_and_keeps_the_last() -> None:
    uri = straight(40, noise=True)
    assert len(base64.b64decode(uri.partition(",")[2])) <= MOST_BYTES
    frames = decoded(uri)
    assert 2 <= len(frames) < 40
    assert near(frames[-1], animation.GONE)[:, 1].max() > 46 / 200 * 260 - 4


def test_a_single_frame_is_a_picture() -> None:
    assert len(decoded(straight(1))) == 1
