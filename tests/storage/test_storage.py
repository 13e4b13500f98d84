"""Files are replaced whole or not at all; configurations round-trip; nothing is unpickled."""

import errno
import json
import os
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from jepakit.storage import (
    Run,
    config_from_dict,
    config_to_dict,
    differences,
    load_tensors,
    load_weights,
    read_json,
    save_tensors,
    write_atomically,
    write_json,
)
from jepakit.types import UserError


@dataclass(frozen=True)
class Inner:
    size: tuple[int, int] = (1, 2)


@dataclass(frozen=True)
class OtherInner:
    name: str = "x"


@dataclass(frozen=True)
class Outer:
    inner: Inner | OtherInner
    rates: tuple[float, ...] = ()
    word: str | None = None


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("half of the n")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_who_opened_a_file_before_reads_it_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first")
    with path.open("rb") as reader:
        write_atomically(path, lambda temporary: temporary.write_bytes(b"the next"))
        assert reader.read() == b"first"
    assert path.read_bytes() == b"the next"


def test_a_full_disk_is_one_sentence_and_the_old_file_survives(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write(temporary: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="disk is full.*untouched"):
        write_atomically(path, write)
    assert path.read_text() == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_really_full_device_is_a_user_error(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        with Path("/dev/full").open("wb") as file:
            file.write(b"x" * 4096)

    with pytest.raises(UserError, match="disk is full"):
        write_atomically(tmp_path / "file", write)


def test_tensors_and_description_round_trip(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4), "b": torch.tensor(7)}
    save_tensors(tmp_path / "x.safetensors", tensors, {"step": 3})
    loaded, description = load_tensors(tmp_path / "x.safetensors")
    assert description == {"step": 3}
    assert all(torch.equal(loaded[k], tensors[k]) for k in tensors)


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path(marker).write_text, ("x",))

    (tmp_path / "x.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(UserError, match="damaged or is no safetensors"):
        load_tensors(tmp_path / "x.safetensors")
    assert not marker.exists()


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": torch.randn(100)}, {})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="damaged"):
        load_tensors(path)


@pytest.mark.parametrize("outer", [Outer(Inner((3, 4)), (0.1, 0.2), "w"), Outer(OtherInner("y"))])
def test_configs_round_trip_through_json(outer: Outer) -> None:
    assert config_from_dict(Outer, json.loads(json.dumps(config_to_dict(outer)))) == outer


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'rates'"):
        config_from_dict(Outer, {"inner": {"class": "Inner"}, "rate": [0.1]})


def test_a_class_that_does_not_fit_is_refused() -> None:
    with pytest.raises(UserError, match=r"'os\.system' does not fit.*Inner, OtherInner"):
        config_from_dict(Outer, {"inner": {"class": "os.system"}})


def test_differences_name_the_path() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == ["a.c: 2 -> 3", "d: absent -> 4"]


def test_weights_of_another_architecture_name_the_keys() -> None:
    module = torch.nn.Linear(3, 2)
    with pytest.raises(UserError, match=r"missing: bias; unknown: extra; of another shape: weight \(2, 4\)"):
        load_weights(module, {"weight": torch.zeros(2, 4), "extra": torch.zeros(1)}, "a file")


def test_claim_refuses_another_configuration(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.claim({"seed": 0})
    run.claim({"seed": 0})
    with pytest.raises(UserError, match=r"another configuration \(seed: 0 -> 1\)"):
        run.claim({"seed": 1})


def test_claim_refuses_a_folder_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("")
    with pytest.raises(UserError, match=r"holds other files \(photo.jpg"):
        Run(tmp_path).claim({"seed": 0})


def test_a_live_lock_is_refused_and_freed_with_its_holder(tmp_path: Path) -> None:
    run = Run(tmp_path)
    with run.locked(), pytest.raises(UserError, match="in use by another process"), Run(tmp_path).locked():
        pass
    with run.locked():
        pass


def test_rewind_forgets_what_came_after_the_checkpoint_and_half_a_line(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in (10, 20, 30):
        run.log({"kind": "train", "step": step})
    with run.file("metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    run.rewind(20)
    assert [row["step"] for row in run.metrics("train")] == [10, 20]


def test_healthy_stays_when_last_moves_on(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save_checkpoint({"model.a": torch.zeros(2)}, {"step": 1})
    run.mark_healthy()
    run.mark_healthy()
    run.save_checkpoint({"model.a": torch.ones(2)}, {"step": 2})
    healthy, last = run.load_checkpoint("healthy"), run.load_checkpoint("last")
    assert healthy is not None and last is not None
    assert (healthy[1]["step"], last[1]["step"]) == (1, 2)
    assert not list(run.checkpoint_path("healthy").parent.glob("*.part"))


def test_healthy_is_a_copy_where_there_are_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    test_healthy_stays_when_last_moves_on(tmp_path)


def test_half_a_copy_left_by_a_kill_is_cleared_away(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save_checkpoint({"model.a": torch.zeros(2)}, {"step": 1})
    run.mark_healthy()
    run.checkpoint_path("healthy").with_name(".checkpoint.safetensors.abc.part").write_bytes(b"half")
    run.mark_healthy()
    assert [path.name for path in run.checkpoint_path("healthy").parent.iterdir()] == ["checkpoint.safetensors"]


def test_a_damaged_line_of_the_log_costs_that_line_alone(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.log({"kind": "train", "step": 10})
    with run.file("metrics.jsonl").open("ab") as file:
        file.write(b'{"kind": "tra\n\xff\xfe\n\n[1, 2]\n{"kind": "train"}\n{"kind": "train", "step": "ten"}\n')
    run.log({"kind": "train", "step": 20})
    assert [row["step"] for row in run.metrics()] == [10, 20]
    run.rewind(20)
    assert run.file("metrics.jsonl").read_text().count("\n") == 2


def test_a_configuration_is_an_object(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[1]")
    for read in (Run(tmp_path).config, lambda: Run(tmp_path).claim({"seed": 0})):
        with pytest.raises(UserError, match=r"config\.json must hold a JSON object of settings, got a list"):
            read()


def test_a_folder_that_cannot_be_written_to_is_named_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**settings: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/.x.json.abc.part")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(UserError) as error:
        write_json(tmp_path / "x.json", {})
    assert str(error.value) == f"The folder {tmp_path} cannot be written to: Permission denied."


def test_a_run_that_cannot_be_written_to_is_named_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=f"The folder {tmp_path} cannot be written to"), Run(tmp_path).locked():
        pass


def test_json_must_be_json(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_json(tmp_path / "x.json")
    write_json(tmp_path / "x.json", {"a": 1})
    assert read_json(tmp_path / "x.json") == {"a": 1}
