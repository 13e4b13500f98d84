"""Videos are divided by file without a leak, whole or in windows; moving digits by writer; what is wrong is refused in words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from video_files import numbered, write_video

from jepakit.data import DigitClipDecoder, DigitPairs, Loader, VideoDecoder, whole_of
from jepakit.recipes import VideoData, splits
from jepakit.recipes.data import data_from
from jepakit.recipes.splits import decoder_of, open_sources, open_whole, read_health, read_probing, refuse_too_large
from jepakit.recipes.video_splits import MOVING_DIGITS, digit_clips
from jepakit.storage import config_to_dict
from jepakit.types import UserError

PARTS = ("train", "health", "probe", "test", "fitting", "dev")


@pytest.fixture
def videos(tmp_path: Path) -> VideoData:
    for i in range(24):
        write_video(tmp_path / f"v/{i % 2}/{i:02}.mp4", [numbered(n % 31) for n in range(12 + i)], "mpeg4", g="4")
    return VideoData(
        train=str(tmp_path / "v"), num_frames=4, fps=10, stored_size=16, index=str(tmp_path / "index.json")
    )


def files(part: Any) -> set[str]:
    return {part.name(i).split(" from ")[0] for i in range(len(part))}


@pytest.mark.parametrize("stride", [None, 0.5])
def test_no_video_of_the_test_split_reaches_training(videos: VideoData, stride: float | None) -> None:
    sources = open_sources(replace(videos, stride_s=stride))
    held = {name: files(getattr(sources, name)) for name in PARTS}
    assert not held["test"] & (held["train"] | held["health"] | held["probe"])
    assert not held["train"] & held["health"]
    assert not held["fitting"] & held["dev"]
    assert held["fitting"] | held["dev"] == held["probe"]
    assert len(held["train"] | held["health"] | held["test"]) == 24
    assert len({name.split("/")[0] for name in held["test"]}) == 2
    assert len(sources.train) == len(held["train"]) if stride is None else len(sources.train) > 2 * len(held["train"])
    assert held == {name: files(getattr(open_sources(videos), name)) for name in PARTS}  # windows move no border


def test_training_takes_clips_from_elsewhere_at_each_step_and_tests_do_not(videos: VideoData) -> None:
    sources = open_sources(videos)
    drawn, fixed = decoder_of(sources.train, videos, 3, 0), decoder_of(sources.train, videos, 3)
    assert isinstance(drawn, VideoDecoder)
    steps = [drawn.at(step, [0])[0] for step in range(8)]
    assert len({clip.numpy().tobytes() for clip in steps}) > 3
    assert torch.equal(fixed.at(0, [0])[0], fixed.at(1, [0])[0])
    assert read_health(sources, videos, 1, 0).shape == (len(sources.health), 4, 1, 16, 16)
    probing = read_probing(sources, videos, 3, 0, final=True)
    assert probing is not None
    assert probing.test.content.shape == (5, 4, 3, 16, 16)
    assert probing.test.class_names == ("0", "1")


def test_videos_without_classes_have_nothing_to_probe_and_other_videos_open(
    videos: VideoData, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert videos.index is not None
    place = Path(videos.index)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.parent / "cache"))
    sources = open_sources(replace(videos, labels="none"))
    assert sources.probe is None
    assert len(sources.train) + len(sources.health) == 24
    kept = place.read_text()
    whole = open_whole(videos, str(Path(videos.train) / "1"))
    assert place.read_text() == kept
    assert len(whole) == 12
    assert whole.labels is None
    assert decoder_of(whole, videos, 3)[[0, 11]][0].shape == (2, 4, 3, 16, 16)
    few = write_video(Path(videos.train).parent / "few/one.mp4", [numbered(0)], "mpeg4").parent
    with pytest.raises(UserError, match="few has 1 samples to learn from; at least 10 are needed"):
        open_sources(replace(videos, train=str(few)))


def test_windows_for_health_are_no_more_than_asked_for(videos: VideoData) -> None:
    sources = open_sources(replace(videos, stride_s=0.1, num_health=3))
    assert len(sources.health) == 3
    assert len(files(sources.health)) == 3


def test_moving_digits_of_tests_are_of_other_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    data = VideoData(train=MOVING_DIGITS, num_frames=3, stored_size=32, num_health=20)
    sources = open_sources(data)
    assert (len(sources.train), len(sources.health)) == (20_000, 20)
    scans: dict[str, set[int]] = {}
    ids: dict[str, set[int]] = {}
    for name in PARTS:
        clips = whole_of(getattr(sources, name))
        assert clips.pairs.part == "seen"
        scans[name] = set(clips.pairs._drawn(clips.ids)[1].flatten().tolist())
        ids[name] = set(clips.ids.tolist())
    for name in ("dev", "test"):
        assert not scans[name] & set().union(*(scans[other] for other in PARTS if other != name))
    assert not ids["train"] & (ids["health"] | ids["fitting"])
    assert not ids["health"] & ids["fitting"]
    loader = Loader(decoder_of(sources.train, data, 1, 5), 8, seed=5, num_workers=0)
    assert isinstance(loader.decoder, DigitClipDecoder)
    _, batch = next(iter(loader))
    assert torch.equal(batch.video, DigitPairs(images=(0, 1000)).frames(batch.id, 3))
    for part in ("unseen speed", "unseen pair"):
        unseen = digit_clips(data, "test", part)
        assert unseen.pairs == replace(whole_of(sources.test).pairs, part=part)
    assert open_whole(data, MOVING_DIGITS).name(0) == sources.dev.name(0)
    monkeypatch.setattr(splits, "MAX_PROBE_BYTES", 1000)
    with pytest.raises(
        UserError, match=r"The 3000 labelled clips would fill .* use a smaller --data.stored-size or fewer"
    ):
        refuse_too_large(sources, data, 1)


def test_what_a_run_says_of_its_videos_comes_back(videos: VideoData) -> None:
    assert data_from(config_to_dict(videos)) == videos


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"num_frames": 0}, "at least 1 picture"),
        ({"fps": -1.0}, "above 0 and at most 1000 pictures a second"),
        ({"stored_size": 0}, "at least 1 pixel"),
        ({"stride_s": 0.0}, "data.stride_s is above 0 seconds"),
        ({"frame_rate": 0.0}, "data.frame_rate is above 0"),
    ],
)
def test_a_clip_that_cannot_be_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        VideoData(**{"train": "videos", "stored_size": 16} | wrong)
