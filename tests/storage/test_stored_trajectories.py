"""What is written is what is read, from the disk and not from memory; whatever is damaged is refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from jepakit.storage import Episode, check_frames, read_trajectories, write_trajectories
from jepakit.types import UserError


def made(*lengths: int, felt: bool = True) -> list[Episode]:
    return [
        Episode(
            torch.randint(256, (num, 2, 5, 4), dtype=torch.uint8),
            torch.randn(num - 1, 3),
            torch.randn(num, 2) if felt else None,
        )
        for num in lengths
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_trajectories(tmp_path / "set", made(4, 2), description={"env": "none"})
    return tmp_path / "set"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    episodes = made(4, 2, 7)
    assert write_trajectories(tmp_path / "set", iter(episodes), num_choices=0, description={"seed": 3}) == 3
    stored = read_trajectories(tmp_path / "set")
    assert stored.lengths.tolist() == [4, 2, 7]
    assert torch.equal(stored.frames, torch.cat([e.frames for e in episodes]))
    assert torch.equal(stored.proprio, torch.cat([e.proprio for e in episodes if e.proprio is not None]))
    assert torch.equal(stored.action[:3], episodes[0].action) and not stored.action[3].any()
    assert torch.equal(stored.action[6:12], episodes[2].action)
    assert stored.description == {"seed": 3}
    check_frames(tmp_path / "set")


def test_frames_are_mapped_and_never_written_back(folder: Path) -> None:
    content = (folder / "frames.bin").read_bytes()
    stored = read_trajectories(folder)
    stored.frames.add_(1)
    assert (folder / "frames.bin").read_bytes() == content


def test_a_set_without_proprioception(tmp_path: Path) -> None:
    write_trajectories(tmp_path / "set", made(3, felt=False), num_choices=4)
    stored = read_trajectories(tmp_path / "set")
    assert stored.proprio is None and stored.num_choices == 4


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[Episode]:
        yield from made(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_trajectories(tmp_path / "set", failing())
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(folder: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        write_trajectories(folder, made(3))
    assert len(read_trajectories(folder).lengths) == 2


@pytest.mark.parametrize(
    ("episodes", "sentence"),
    [
        ([], "no episodes"),
        ([Episode(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(3, 2))], "3 frames and 3 actions"),
        ([Episode(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(0, 2))], "at least one action"),
        ([Episode(torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.full((1, 2), torch.nan))], "not finite"),
        (made(3) + made(3, felt=False), "must agree"),
    ],
    ids=["none", "counts", "no action", "nan", "shapes"],
)
def test_episodes_that_cannot_be_written(tmp_path: Path, episodes: list[Episode], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        write_trajectories(tmp_path / "set", episodes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["frames", "action", "proprio"])
def test_a_truncated_file_is_refused(folder: Path, name: str) -> None:
    content = (folder / f"{name}.bin").read_bytes()
    (folder / f"{name}.bin").write_bytes(content[:-1])
    with pytest.raises(UserError, match=rf"{name}.bin is missing or truncated: it has {len(content) - 1} bytes"):
        read_trajectories(folder)
    (folder / f"{name}.bin").unlink()
    with pytest.raises(UserError, match="missing or truncated"):
        read_trajectories(folder)


def test_damaged_numbers_are_refused_at_once_and_frames_when_they_are_checked(folder: Path) -> None:
    for name in ("frames", "action"):
        content = bytearray((folder / f"{name}.bin").read_bytes())
        content[5] ^= 1
        (folder / f"{name}.bin").write_bytes(content)
        with pytest.raises(UserError, match=f"{name}.bin is damaged"):
            (check_frames if name == "frames" else read_trajectories)(folder)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"format": "other"}, "does not describe"),
        ({"version": 2}, "does not describe"),
        ({"lengths": []}, "no episodes"),
        ({"lengths": [4, 1]}, "is damaged"),
        ({"lengths": [4, 3]}, "missing or truncated"),
        ({"lengths": [4, "2"]}, "is damaged"),
        ({"arrays": {"frames": {"shape": [2, 5, 4], "crc32": 0}}}, "is damaged"),
        ({"arrays": {"frames": {"shape": [2, 5, -4], "crc32": 0}, "action": {"shape": [3], "crc32": 0}}}, "is damaged"),
        ({"arrays": {"frames": [], "action": []}}, "is damaged"),
        ({"arrays": 3}, "is damaged"),
        ({"num_choices": "4"}, "is damaged"),
    ],
)
def test_an_index_that_is_wrong_is_refused(folder: Path, changed: dict[str, object], sentence: str) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | changed))
    with pytest.raises(UserError, match=sentence):
        read_trajectories(folder)


def test_what_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder of trajectories"):
        read_trajectories(tmp_path / "absent")
    (tmp_path / "index.json").write_text('{"format": ')
    with pytest.raises(UserError, match="not valid JSON"):
        read_trajectories(tmp_path)
