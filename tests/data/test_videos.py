"""Videos: the picture that is shown at a time, whatever the container; odd and broken files; clips and their beginnings."""

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from video_files import av_or_skip, damage, numbered, numbers_of, quarter_lit, write_sound, write_video

from jepakit.data import Loader, NoLabels, Subset, Unreadable, read_all
from jepakit.data.clips import ClipForm, VideoDecoder
from jepakit.data.frame_folder import FrameFolders
from jepakit.data.video_folder import VideoFolder, VideoWindows, open_videos
from jepakit.types import UserError, VideoBatch

FORM = ClipForm(num_frames=4, fps=10, image_size=16)
PICTURES = [numbered(number) for number in range(31)]
SORTED = {"x264-params": "keyint=12:bframes=3:b-adapt=0:b-pyramid=none:scenecut=0:weightp=0"}
"""Three of four pictures are stored after one that is shown later, and no other needs them."""
CODECS = [
    ("libx264", "mp4", SORTED),
    ("libx264", "mkv", SORTED),
    ("libx264", "ts", SORTED),
    ("libx264", "avi", SORTED),
    ("libx265", "mp4", {}),
    ("mpeg4", "mp4", {}),
    ("mpeg4", "avi", {}),
    ("mpeg4", "avi", {"bf": "2", "qmin": "1", "qmax": "2"}),
    ("mpeg2video", "mkv", {"bf": "2", "qmin": "1", "qmax": "2"}),
    ("flv", "flv", {}),
    ("wmv2", "wmv", {}),
    ("mjpeg", "mov", {}),
    ("libvpx", "webm", {"auto-alt-ref": "1", "lag-in-frames": "10"}),
    ("libvpx-vp9", "webm", {"auto-alt-ref": "1", "lag-in-frames": "12"}),
    ("libsvtav1", "mp4", {}),
]


def folder(root: Path, **options: Any) -> VideoFolder:
    return VideoFolder(root, index=root / "index.json", **options)


@pytest.mark.parametrize(("codec", "container", "options"), CODECS)
def test_the_picture_of_a_time_is_found_in_every_container(
    tmp_path: Path, codec: str, container: str, options: dict[str, str]
) -> None:
    write_video(tmp_path / f"a.{container}", PICTURES, codec, **options)
    video = folder(tmp_path).read(0)
    assert video.seconds == pytest.approx(3.0, abs=0.01)
    assert numbers_of(video.pictures([0.0, 0.1, 0.2], 16, 3)) == [0, 1, 2]
    assert numbers_of(video.pictures([0.55, 0.9, 1.31, 1.4, 2.96, 3.0, 9.0], 16, 3)) == [5, 9, 13, 14, 29, 30, 30]
    assert numbers_of(video.pictures([0.05, 0.06, 2.5], 16, 1)) == [0, 0, 25]


def test_groups_of_pictures_that_are_open_or_far_apart_are_decoded_whole(tmp_path: Path) -> None:
    open_gop = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:bframes=3:b-adapt=0:scenecut=0:weightp=0"}
    write_video(tmp_path / "a.mp4", PICTURES, **open_gop)
    video = folder(tmp_path).read(0)
    assert len(video.facts.keys) == 4
    for begin in range(28):
        assert numbers_of(video.pictures([(begin + i) / 10 for i in range(4)], 16, 3)) == list(range(begin, begin + 4))
    assert numbers_of(video.pictures([0.1, 2.7], 16, 3)) == [1, 27]


def test_what_is_skipped_changes_no_pixel(tmp_path: Path) -> None:
    av = av_or_skip()
    path = write_video(tmp_path / "a.mp4", PICTURES, **SORTED)
    video = folder(tmp_path).read(0)
    with av.open(str(path)) as container:
        whole = {picture.pts: picture for picture in container.decode(video=0)}
        stamps = sorted(whole)
        from jepakit.data.video_file import Shrink

        shrink = Shrink(16, 3, container.streams.video[0])
        for numbers in ([3, 10, 17, 24], [5, 6, 8], [13, 29], [2, 9], [23]):
            expected = torch.stack([torch.from_numpy(shrink(whole[stamps[i]]).copy()) for i in numbers])
            got = video.pictures([i / 10 for i in numbers], 16, 3)
            assert torch.equal(got, expected.permute(0, 3, 1, 2))


def test_times_that_are_uneven_are_kept(tmp_path: Path) -> None:
    times = [0, 100, 150, 400, 1000, 1033, 1500]
    write_video(tmp_path / "a.mkv", PICTURES[:7], "mpeg4", times=times)
    video = folder(tmp_path).read(0)
    assert video.seconds == 1.5
    asked = [0.0, 0.12, 0.2, 0.399, 0.7, 1.01, 1.2, 1.5]
    assert numbers_of(video.pictures(asked, 16, 3)) == [0, 1, 2, 3, 3, 4, 5, 6]


@pytest.mark.parametrize("turned", [0, 90, 180, -90])
def test_metadata_turns_pictures_upright(tmp_path: Path, turned: int) -> None:
    write_video(tmp_path / "a.mp4", [quarter_lit()] * 2, rotation=turned)
    source = folder(tmp_path)
    assert source.facts[0].rotation % 360 == turned % 360
    picture = source.read(0).pictures([0.0], 16, 1)[0, 0]
    lit = {
        (y, x)
        for y in (0, 1)
        for x in (0, 1)
        if float(picture[8 * y + 2 : 8 * y + 6, 8 * x + 2 : 8 * x + 6].float().mean()) > 120
    }
    assert lit == {0: {(0, 0)}, 90: {(1, 0)}, 180: {(1, 1)}, -90: {(0, 1)}}[turned]


@pytest.mark.parametrize(("width", "height"), [(63, 47), (33, 95), (18, 161), (16, 16)])
def test_odd_sizes_become_squares_of_their_middle(tmp_path: Path, width: int, height: int) -> None:
    pictures = [numbered(number, width, height) for number in (3, 9)]
    write_video(tmp_path / "a.mkv", pictures, "ffv1")
    got = folder(tmp_path).read(0).pictures([0.0, 0.1], 16, 3)
    assert got.shape == (2, 3, 16, 16)
    if width == 63:
        assert numbers_of(got) == [3, 9]


def test_colours_and_the_middle_are_those_of_the_picture(tmp_path: Path) -> None:
    picture = numbered(0, 96, 48).copy()
    picture[:], picture[:, 24:72] = (10, 10, 200), (200, 30, 40)
    write_video(tmp_path / "a.mp4", [picture] * 2)
    got = folder(tmp_path).read(0).pictures([0.0], 12, 3)[0].float()
    expected = torch.tensor([200.0, 30.0, 40.0])
    torch.testing.assert_close(got[:, 2:-2, 2:-2].mean((1, 2)), expected, atol=6, rtol=0)
    assert float((got[:, :, 1:-1] - expected[:, None, None]).abs().max()) < 25  # nothing of the blue margins


def test_each_pixel_has_a_colour_of_its_own(tmp_path: Path) -> None:
    picture = numbered(0, 96, 96).copy()
    stripes = np.arange(96) // 8 % 2 == 1
    picture[:, ~stripes], picture[:, stripes] = (200, 30, 40), (30, 60, 200)
    write_video(tmp_path / "a.mp4", [picture] * 2, qp="10")
    got = folder(tmp_path).read(0).pictures([0.0], 12, 3)[0].float()
    assert float(got[0, :, 0::2].min()) > 150
    assert float(got[0, :, 1::2].max()) < 80


def test_broken_files_are_named_and_the_others_read(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4", PICTURES[:8])
    write_video(tmp_path / "one.mp4", PICTURES[:1])
    write_video(tmp_path / "short.mp4", PICTURES[:3])
    write_sound(tmp_path / "sound.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video at all")
    cut = write_video(tmp_path / "cut.mp4", PICTURES)
    cut.write_bytes(cut.read_bytes()[:-400])  # what MP4 stores at the end tells where everything is
    clips, _, skipped = read_all(VideoDecoder(folder(tmp_path), FORM), 0)
    assert clips.shape == (1, 4, 3, 16, 16)
    assert numbers_of(clips[0]) == [2, 3, 4, 5]  # the middle
    assert {skip.name: skip.reason for skip in skipped} == {
        "cut.mp4": "cannot be decoded: Invalid data found when processing input",
        "empty.mp4": "the file is empty",
        "one.mp4": "it lasts 0.00 s from its first picture to its last, less than the 0.30 s of a clip",
        "short.mp4": "it lasts 0.20 s from its first picture to its last, less than the 0.30 s of a clip",
        "sound.mp4": "it holds sound alone",
        "text.mp4": "cannot be decoded: Invalid data found when processing input",
    }
    one = VideoDecoder(folder(tmp_path), ClipForm(num_frames=1, fps=10, image_size=16))
    assert len(read_all(one, 0)[1]) == 3


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_damaged_middle_spoils_the_clips_that_need_it_and_no_others(tmp_path: Path, codec: str) -> None:
    path = write_video(tmp_path / "a.mp4", [numbered(i % 31, 128, 96) for i in range(60)], codec, g="10")
    early, late = [0.0, 0.3, 0.9], [5.2, 5.5, 5.8]
    whole = [folder(tmp_path).read(0).pictures(times, 16, 3) for times in (early, late)]
    damage(path, 0.45, 0.5)
    video = folder(tmp_path).read(0)
    for times, expected in zip((early, late), whole, strict=True):
        assert torch.equal(video.pictures(times, 16, 3), expected)
    with pytest.raises(Unreadable, match="a.mp4"):
        video.pictures([i / 10 for i in range(60)], 16, 3)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "avi"])
def test_whatever_is_damaged_is_read_or_named(tmp_path: Path, container: str) -> None:
    whole = write_video(tmp_path / f"whole.{container}", PICTURES, **SORTED).read_bytes()
    draw = random.Random(0)
    for number in range(24):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 10, 100))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        end = draw.choice((len(data), draw.randrange(len(data))))
        (tmp_path / f"{number:02}.{container}").write_bytes(data[:end])
    source = folder(tmp_path)
    clips, ids, skipped = read_all(VideoDecoder(source, FORM), 0)
    assert len(ids) + len(skipped) == 25
    assert 0 < len(skipped) < 25
    assert clips.shape[1:] == (4, 3, 16, 16)
    assert numbers_of(clips[-1]) == [13, 14, 15, 16]  # the whole one, the last by name


def test_a_file_that_names_others_opens_none_of_them(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", PICTURES[:8])
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile a.mp4\n")
    _, ids, skipped = read_all(VideoDecoder(folder(tmp_path), FORM), 0)
    assert ids.tolist() == [0]
    assert [(skip.name, skip.reason) for skip in skipped] == [("list.mp4", "cannot be decoded: Invalid argument")]


def test_where_a_clip_begins_is_a_function_of_seed_step_and_id(tmp_path: Path) -> None:
    for name in "ab":
        write_video(tmp_path / f"{name}.mp4", PICTURES)
    source = folder(tmp_path)
    drawn = VideoDecoder(source, FORM, seed=3)
    begins = [[numbers_of(clip)[0] for clip in drawn.at(step, [0, 1])[0]] for step in range(12)]
    assert begins == [[numbers_of(drawn.at(step, [i])[0][0])[0] for i in (0, 1)] for step in range(12)]
    flat = [begin for pair in begins for begin in pair]
    assert len(set(flat)) > 8
    assert min(flat) < 8
    assert max(flat) > 20
    assert max(flat) <= 27
    assert begins != [
        [numbers_of(c)[0] for c in VideoDecoder(source, FORM, seed=4).at(s, [0, 1])[0]] for s in range(12)
    ]
    fixed = VideoDecoder(source, FORM)
    assert torch.equal(fixed.at(0, [0])[0], fixed.at(5, [1])[0])


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_loader_shows_each_step_another_part_and_resumes(tmp_path: Path, num_workers: int) -> None:
    for name in "abc":
        write_video(tmp_path / f"{name}.mp4", PICTURES)
    (tmp_path / "d.mp4").touch()
    loader = Loader(VideoDecoder(folder(tmp_path), FORM, seed=0), 4, seed=0, num_workers=num_workers)
    assert not loader.in_memory
    steps = iter(loader)
    batches = [next(steps)[1] for _ in range(4)]
    assert all(isinstance(batch, VideoBatch) and len(batch) == 3 for batch in batches)
    assert [skip.name for skip in loader.skipped] == ["d.mp4"]
    begins = [{i: numbers_of(clip)[0] for i, clip in zip(b.id.tolist(), b.video, strict=True)} for b in batches]
    assert len({begin[0] for begin in begins}) > 1
    _, again = next(loader.from_step(3))
    assert torch.equal(again.video, batches[3].video)
    assert torch.equal(again.id, batches[3].id)


def test_windows_of_a_video_are_samples_of_their_own(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", PICTURES)
    write_video(tmp_path / "b.mp4", PICTURES[:5])
    (tmp_path / "c.mp4").touch()
    windows = VideoWindows(folder(tmp_path), FORM.span_s, 1.0)
    assert windows.footage.tolist() == [0, 0, 0, 1, 2]
    assert windows.name(2) == "a.mp4 from 2 s"
    assert windows.of(torch.tensor([2, 0])).tolist() == [0, 1, 2, 4]
    clips, ids, skipped = read_all(VideoDecoder(windows, FORM), 0)
    assert [numbers_of(clip)[0] for clip in clips] == [0, 10, 20, 0]
    assert ids.tolist() == [0, 1, 2, 3]
    assert [(skip.name, skip.reason) for skip in skipped] == [("c.mp4 from 0 s", "the file is empty")]
    drawn = VideoDecoder(Subset(windows, [1, 2]), FORM, seed=1)
    begins = torch.tensor([[numbers_of(clip)[0] for clip in drawn.at(step, [0, 1])[0]] for step in range(16)])
    assert bool(((begins >= torch.tensor([9, 19])) & (begins <= torch.tensor([20, 27]))).all())
    assert len(begins[:, 0].unique()) > 4
    with pytest.raises(UserError, match="more than 0 seconds"):
        VideoWindows(folder(tmp_path), 0.3, 0.0)


def test_labels_are_folders_and_loose_videos_are_told(tmp_path: Path) -> None:
    for path in ("x/a.mp4", "y/deep/b.mp4"):
        write_video(tmp_path / path, PICTURES[:5])
    source = open_videos(tmp_path, labels=True, index=tmp_path / "index.json")
    assert source.class_names == ("x", "y")
    assert source.labels is not None
    assert source.labels.tolist() == [0, 1]
    assert [source.name(i) for i in (0, 1)] == ["x/a.mp4", "y/deep/b.mp4"]
    with pytest.raises(NoLabels, match="every video in a class folder"):
        open_videos(tmp_path / "x", labels=True)
    with pytest.raises(UserError, match="is a single file; give a folder of videos"):
        open_videos(tmp_path / "x/a.mp4")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No video in"):
        open_videos(tmp_path / "empty")
    with pytest.raises(UserError, match="without columns"):
        open_videos(tmp_path, labels="kind")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"num_frames": 0}, "at least 1 picture, not 0"),
        ({"fps": 0.0}, "above 0 and at most 1000 pictures a second"),
        ({"fps": float("nan")}, "above 0 and at most 1000"),
        ({"image_size": 0}, "at least 1 pixel"),
        ({"channels": 2}, "1 .grey. or 3 .RGB. channels"),
    ],
)
def test_a_form_that_cannot_be_is_refused(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        ClipForm(**{"num_frames": 4, "fps": 10.0, "image_size": 16} | wrong)


def write_frames(root: Path, num: int, first: int = 0) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for number in range(num):
        Image.fromarray(numbered(first + number)).save(root / f"frame_{number}.png")


def test_folders_of_pictures_are_clips_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_frames(tmp_path / "x/one", 12)
    write_frames(tmp_path / "y/two", 6, first=15)
    write_frames(tmp_path / "y/two/deeper", 2)
    Image.fromarray(numbered(0)).save(tmp_path / "cover.png")
    source = open_videos(tmp_path, labels=True, frame_rate=10)
    assert isinstance(source, FrameFolders)
    assert [source.name(i) for i in range(3)] == ["x/one", "y/two", "y/two/deeper"]
    assert source.labels is not None
    assert source.labels.tolist() == [0, 1, 1]
    one = source.read(0)
    assert one.seconds == 1.1
    assert numbers_of(one.pictures([0.0, 0.15, 0.9, 1.0, 1.1, 5.0], 16, 3)) == [0, 1, 9, 10, 11, 11]
    (tmp_path / "y/two/frame_3.png").write_bytes(b"not a picture")
    _, ids, skipped = read_all(VideoDecoder(source, FORM), 0)
    assert ids.tolist() == [0]
    assert [(skip.name, skip.reason.split(":")[0]) for skip in skipped] == [
        ("y/two", "frame_3.png"),
        ("y/two/deeper", "it lasts 0.10 s from its first picture to its last, less than the 0.30 s of a clip"),
    ]
    with pytest.raises(UserError, match="put those of each clip in a folder of their own"):
        FrameFolders(tmp_path / "y/two/deeper", 10)
    with pytest.raises(UserError, match="above 0 pictures a second, not 0"):
        FrameFolders(tmp_path, 0)


def test_an_index_is_kept_and_holds_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jepakit.data import video_index

    root, place = tmp_path / "videos", tmp_path / "kept" / "index.json"
    for name in "ab":
        write_video(root / f"{name}.mp4", PICTURES[:5])
    (root / "c.mp4").touch()
    looked: list[str] = []
    look = video_index.look

    def counted(open_file: Any, name: str) -> Any:
        looked.append(name)
        return look(open_file, name)

    monkeypatch.setattr(video_index, "look", counted)
    first = VideoFolder(root, index=place).facts
    assert sorted(looked) == ["a.mp4", "b.mp4", "c.mp4"]
    assert VideoFolder(root, index=place).facts == first
    assert len(looked) == 3
    write_video(root / "b.mp4", PICTURES[:9])
    assert VideoFolder(root, index=place).facts[1].num_pictures == 9
    os.utime(root / "a.mp4", ns=(1, 1))
    (root / "c.mp4").unlink()
    VideoFolder(root, index=place)
    assert looked[3:] == ["b.mp4", "a.mp4"]
    assert set(json.loads(place.read_text())["videos"]) == {"a.mp4", "b.mp4"}
    place.write_text('{"version": 0, "videos": {}}')
    assert [facts.num_pictures for facts in VideoFolder(root, index=place).facts] == [5, 9]
    place.write_text('{"other": 1}')
    with pytest.raises(UserError, match="is no index of videos"):
        VideoFolder(root, index=place)


def test_an_index_lies_in_the_users_cache_and_may_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "videos"
    write_video(root / "a.mp4", PICTURES[:5])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    VideoFolder(root)
    assert len(list((tmp_path / "cache/jepakit").glob("videos-*.json"))) == 1
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="index of videos cannot be kept, so each run makes it anew"):
        assert VideoFolder(root).facts[0].num_pictures == 5
    with pytest.raises(UserError, match="index of videos cannot be kept"):
        VideoFolder(root, index=tmp_path / "file" / "index.json")


def test_a_long_look_is_told_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jepakit.data import video_index

    monkeypatch.setattr(video_index, "_MANY", 2)
    for name in "ab":
        write_video(tmp_path / f"{name}.mp4", PICTURES[:2])
    with pytest.warns(UserWarning, match=r"2 videos are looked through, once; what they tell is kept in .*index.json"):
        folder(tmp_path)
    folder(tmp_path)
