"""Every form of a recording gives the same clips, in an order that is a function of the step; bad files are refused."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recorded_files import LENGTHS, action_rows, episodes, write_hdf5, write_lerobot, write_minari

from jepakit.data import (
    RecordedClips,
    Recording,
    in_memory,
    open_recording,
    pack_recording,
    read_hdf5,
    read_lerobot,
    read_minari,
)
from jepakit.storage import Episode
from jepakit.types import UserError

MADE = episodes()
FORMS = ("memory", "compact", "hdf5", "minari", "lerobot v2.1", "lerobot v3.0")


def opened(form: str, place: Path) -> Recording:
    """Write the episodes in a form and open them."""
    if form == "memory":
        return in_memory("made", MADE)
    if form == "compact":
        pack_recording(in_memory("made", MADE), place / "set")
        return open_recording(place / "set")
    if form == "hdf5":
        return read_hdf5(write_hdf5(place / "set.h5", MADE), proprio="proprio")
    if form == "minari":
        return read_minari(write_minari(place / "set", MADE), pixels="camera", proprio="joints")
    return open_recording(write_lerobot(place / "set", MADE, version=form.split()[1]))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_episodes_and_their_clips(form: str, tmp_path: Path) -> None:
    recording = opened(form, tmp_path)
    assert recording.lengths.tolist() == list(LENGTHS)
    for number, episode in enumerate(MADE):
        found = recording.episode(number)
        assert torch.equal(found.frames, episode.frames)
        assert torch.equal(found.action, episode.action)
        assert torch.equal(found.proprio, episode.proprio)
    clip = RecordedClips(recording, batch_size=4, num_frames=3, frame_skip=2).batch(5)
    assert clip.frames.shape == (4, 3, 3, 16, 24) and clip.action.shape == (4, 4, 2)
    for frames, action, proprio in zip(clip.frames, clip.action, clip.proprio, strict=True):
        e, first = int(frames[0, 0, 0, 0]), int(frames[0, 0, 0, 1])
        assert torch.equal(frames, MADE[e].frames[first : first + 5 : 2])
        assert torch.equal(action, MADE[e].action[first : first + 4])
        assert torch.equal(proprio, MADE[e].proprio[first : first + 5 : 2])


@pytest.mark.parametrize("form", ["compact", "hdf5", "minari", "lerobot v3.0"])
def test_a_recording_travels_to_worker_processes(form: str, tmp_path: Path) -> None:
    recording = opened(form, tmp_path)
    again = pickle.loads(pickle.dumps(recording))
    assert torch.equal(again.episode(1).frames, MADE[1].frames)


def test_an_epoch_holds_every_clip_once_and_a_step_stands_alone() -> None:
    stream = RecordedClips(in_memory("made", MADE), batch_size=4, num_frames=3, frame_skip=2, seed=1)
    assert stream.starts.tolist() == [0, 1, 2, *range(11, 19)]
    steps = dict(zip(range(3, 14), stream.from_step(3), strict=False))
    for step in (3, 9, 13):
        assert steps[step][0] == step
        assert torch.equal(steps[step][1].id, stream.batch(step).id)
        assert torch.equal(steps[step][1].frames, stream.batch(step).frames)
    epoch = torch.cat([stream.batch(step).id for step in range(11)]).unflatten(0, (4, 11))
    assert (epoch.sort(dim=1).values == stream.starts).all()
    assert not torch.equal(epoch[0], epoch[1])
    other = RecordedClips(in_memory("made", MADE), batch_size=4, num_frames=3, frame_skip=2, seed=2)
    assert not torch.equal(other.batch(0).id, stream.batch(0).id)


def test_processes_share_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = RecordedClips(in_memory("made", MADE), batch_size=5, num_frames=2)
    whole = stream.batch(2).id
    monkeypatch.setattr("jepakit.data.recorded_clips.world_size", lambda: 2)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr("jepakit.data.recorded_clips.rank", lambda rank=rank: rank)
        shares.append(stream.batch(2).id)
    assert torch.equal(torch.cat(shares), whole) and len(shares[0]) == 3


def test_held_out_episodes_are_split_before_clips_are_cut() -> None:
    recording = in_memory("made", episodes((5,) * 10))
    train, test = recording.split(0.3, seed=0)
    assert len(test) == 3 and sorted([*train.tolist(), *test.tolist()]) == list(range(10))
    stream = RecordedClips(recording, batch_size=7, num_frames=3, episodes=train)
    seen = {int(frames[0, 0, 0, 0]) for step in range(9) for frames in stream.batch(step).frames}
    assert seen == set(train.tolist())
    assert [part.tolist() for part in recording.split(0.3, seed=0)] == [train.tolist(), test.tolist()]


def test_packing_shrinks_by_area(tmp_path: Path) -> None:
    packed = pack_recording(in_memory("made", MADE), tmp_path / "set", image_size=8)
    mean = MADE[1].frames.float().unflatten(3, (8, 3)).unflatten(2, (8, 2)).mean((3, 5))
    assert (packed.episode(1).frames.float() - mean).abs().max() <= 0.501
    with pytest.raises(UserError, match="cannot be shrunk"):
        pack_recording(in_memory("made", MADE), tmp_path / "other", image_size=20)


def test_rows_of_a_file_may_lie_in_another_order(tmp_path: Path) -> None:
    lengths, offsets = np.array(LENGTHS[::-1], np.int32), np.array([11, 7, 0])
    recording = read_hdf5(write_hdf5(tmp_path / "set.h5", MADE, ep_len=lengths, ep_offset=offsets))
    assert torch.equal(recording.episode(0).frames, MADE[2].frames)
    assert torch.equal(recording.episode(2).action, MADE[0].action)


def test_channels_first_and_choices_are_read(tmp_path: Path) -> None:
    pixels = torch.cat([e.frames for e in MADE]).numpy()
    chosen = np.arange(23, dtype=np.int64) % 4
    recording = read_hdf5(write_hdf5(tmp_path / "set.h5", MADE, pixels=pixels, action=chosen), num_choices=4)
    assert torch.equal(recording.episode(0).frames, MADE[0].frames)
    assert recording.episode(0).action[:, 0].tolist() == [0, 1, 2, 3, 0, 1]
    with pytest.raises(UserError, match="step 3 are no choice"):
        read_hdf5(tmp_path / "set.h5", num_choices=3)


def with_nan(row: int) -> np.ndarray[Any, Any]:
    action = action_rows(MADE, float("nan"))
    action[row] = np.nan
    return action


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"pixels": None}, "no column 'pixels'; it has action, ep_len, ep_offset, proprio"),
        ({"action": None}, "no column 'action'"),
        ({"ep_len": None}, "no column 'ep_len'"),
        ({"ep_len": np.zeros(0, np.int32), "ep_offset": np.zeros(0, np.int64)}, "no episodes"),
        ({"ep_len": np.array([7, 4], np.int32)}, "do not match"),
        ({"ep_len": np.array([7, 4, 13], np.int32)}, "outside the 23 rows"),
        ({"ep_offset": np.array([-1, 7, 11])}, "outside the 23 rows"),
        ({"ep_len": np.array([7, 1, 12], np.int32)}, "episode 1 has fewer than 2 frames"),
        ({"action": with_nan(9)}, r"actions of episode 1 at step 2 are not finite"),
        ({"action": np.zeros((23, 2, 2), np.float32)}, "no vectors of numbers"),
        ({"pixels": np.zeros((23, 16, 24, 3), np.float32)}, "no uint8 pictures"),
        ({"pixels": np.zeros((23, 16, 24), np.uint8)}, "no uint8 pictures"),
        ({"proprio": np.zeros((20, 2), np.float32)}, "fewer rows"),
    ],
)
def test_bad_hdf5_is_refused(tmp_path: Path, changed: dict[str, Any], sentence: str) -> None:
    path = write_hdf5(tmp_path / "set.h5", MADE, **changed)
    with pytest.raises(UserError, match=sentence):
        read_hdf5(path, proprio="proprio")


def test_hdf5_cut_short_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "set.h5", MADE)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UserError, match=r"set\.h5 is truncated, damaged or no HDF5 file"):
        read_hdf5(path)
    path.write_bytes(b"no such thing")
    with pytest.raises(UserError, match="truncated, damaged or no HDF5 file"):
        open_recording(path)
    with pytest.raises(UserError, match="does not exist or is no file"):
        read_hdf5(tmp_path / "absent.h5")


def test_bad_minari_is_refused(tmp_path: Path) -> None:
    folder = write_minari(tmp_path / "set", MADE)
    with pytest.raises(UserError, match="no part 'of their own'; there are camera, joints"):
        open_recording(folder)
    with pytest.raises(UserError, match="no part 'image'"):
        read_minari(folder, pixels="image")
    with pytest.raises(UserError, match="no uint8 pictures"):
        read_minari(folder, pixels="joints")
    with pytest.raises(UserError, match="kept as arrow"):
        read_minari(write_minari(tmp_path / "arrow", MADE, data_format="arrow"))
    with pytest.raises(UserError, match="holds no episodes"):
        read_minari(write_minari(tmp_path / "none", []))
    broken = [MADE[0], Episode(MADE[1].frames, torch.zeros(4, 2), MADE[1].proprio)]
    with pytest.raises(UserError, match="episode_1 has 4 observations and 4 actions"):
        read_minari(write_minari(tmp_path / "counts", broken), pixels="camera")
    main = folder / "data/main_data.hdf5"
    main.write_bytes(main.read_bytes()[:2000])
    with pytest.raises(UserError, match="truncated"):
        read_minari(folder, pixels="camera")
    with pytest.raises(UserError, match="does not exist"):
        read_minari(tmp_path / "absent")


def test_choices_of_minari_are_known_from_its_space(tmp_path: Path) -> None:
    made = [Episode(e.frames, (torch.arange(len(e.action))[:, None] % 3).float(), None) for e in MADE]
    space = json.dumps({"type": "Discrete", "n": 3, "start": 0})
    recording = read_minari(write_minari(tmp_path / "set", made, action_space=space), pixels="camera")
    assert recording.num_choices == 3


def test_bad_lerobot_is_refused(tmp_path: Path) -> None:
    folder = write_lerobot(tmp_path / "set", MADE)
    with pytest.raises(UserError, match=r"no camera 'wrist'; it has observation\.image"):
        read_lerobot(folder, camera="wrist")
    with pytest.raises(UserError, match="no column 'torque'"):
        read_lerobot(folder, action="torque")
    video = folder / "videos/observation.image/chunk-000/file-000.mp4"
    content = video.read_bytes()
    video.write_bytes(content[:300])
    with pytest.raises(UserError, match="truncated, damaged or no video"):
        read_lerobot(folder)
    video.unlink()
    with pytest.raises(UserError, match="does not exist, though"):
        read_lerobot(folder)
    video.write_bytes(content)
    table = folder / "data/chunk-000/file-000.parquet"
    table.write_bytes(table.read_bytes()[:100])
    with pytest.raises(UserError, match="truncated, damaged or no parquet"):
        read_lerobot(folder)
    table.unlink()
    with pytest.raises(UserError, match="holds no parquet files"):
        read_lerobot(folder)


def test_lerobot_descriptions_that_are_wrong_are_refused(tmp_path: Path) -> None:
    folder = write_lerobot(tmp_path / "set", MADE)
    info = json.loads((folder / "meta/info.json").read_text())
    two = info["features"] | {"observation.wrist": {"dtype": "video"}}
    upwards = {"../../secret": {"dtype": "video"}}
    for changed, sentence in (
        ({"codebase_version": "v1.6"}, "version 2 or 3, but 'v1.6'"),
        ({"fps": 0}, "no LeRobot dataset"),
        ({"features": {"action": {"dtype": "float32"}}}, "no pictures; its features are action"),
        ({"features": two}, "several cameras; choose one of"),
        ({"features": upwards}, "no name of a camera"),
    ):
        (folder / "meta/info.json").write_text(json.dumps(info | changed))
        with pytest.raises(UserError, match=sentence):
            read_lerobot(folder)


def test_a_video_shorter_than_its_table_is_refused(tmp_path: Path) -> None:
    from recorded_files import write_video

    folder = write_lerobot(tmp_path / "set", MADE)
    write_video(folder / "videos/observation.image/chunk-000/file-000.mp4", MADE[0].frames)
    with pytest.raises(UserError, match="has no picture 11; it is shorter"):
        read_lerobot(folder).episode(2)


def test_images_in_lerobot_tables_are_read(tmp_path: Path) -> None:
    import io

    pa = pytest.importorskip("pyarrow", reason="pyarrow not installed")
    import pyarrow.parquet as pq
    from PIL import Image

    folder = write_lerobot(tmp_path / "set", MADE)
    path, info_path = folder / "data/chunk-000/file-000.parquet", folder / "meta/info.json"
    encoded = []
    for picture in torch.cat([e.frames for e in MADE]).permute(0, 2, 3, 1).numpy():
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        encoded.append({"bytes": buffer.getvalue(), "path": None})
    table = pq.read_table(path)
    pq.write_table(table.append_column("picture", pa.array(encoded)), path)
    info = json.loads(info_path.read_text())
    info["features"] = {"action": {"dtype": "float32"}, "picture": {"dtype": "image"}}
    info_path.write_text(json.dumps(info))
    recording = read_lerobot(folder)
    assert torch.equal(recording.episode(1).frames, MADE[1].frames) and recording.proprio is None
    encoded[0]["bytes"] = encoded[0]["bytes"][:60]
    pq.write_table(table.append_column("picture", pa.array(encoded)), path)
    with pytest.raises(UserError, match="image of row 0 cannot be read"):
        read_lerobot(folder)


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recording that is known"):
        open_recording(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        open_recording(tmp_path / "absent")
    with pytest.raises(UserError, match="holds no episodes"):
        in_memory("made", [])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_frames": 1}, "at least 2 frames"),
        ({"frame_skip": 0}, "at least 2 frames"),
        ({"batch_size": 0}, "at least 2 frames"),
        ({"num_frames": 13}, "holds 0 clips of 13 frames"),
        ({"batch_size": 21}, "fewer than a batch of 21"),
    ],
)
def test_clips_that_cannot_be_drawn(settings: dict[str, int], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        RecordedClips(in_memory("made", MADE), **({"batch_size": 4, "num_frames": 2} | settings))
