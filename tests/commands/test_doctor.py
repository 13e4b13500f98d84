"""The doctor tells what is there, what is missing and what to do, and trips over nothing."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from jepakit.commands import diagnosis, doctor


@pytest.fixture
def findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(diagnosis.importlib.util, "find_spec", lambda name: None)  # importing nothing takes no time
    return {finding.name: finding for finding in doctor(tmp_path / "not" / "there")}


def test_it_names_versions_device_threads_and_disk(findings: dict[str, Any]) -> None:
    assert findings["torch"].found == torch.__version__
    assert findings["torch"].advice == ""
    assert findings["python"].found == ".".join(map(str, sys.version_info[:3]))
    assert findings["device"].found.startswith("cuda" if torch.cuda.is_available() else "cpu")
    assert f"torch uses {torch.get_num_threads()} threads" in findings["cores and threads"].found
    assert findings["disk"].found.endswith("GiB free")
    assert findings["torchvision"].found == "absent (not needed)"


def test_missing_extras_come_with_the_command_that_installs_them() -> None:
    finding = diagnosis._extra("hub", ("transformers", "no_such_package"))
    assert finding.found.startswith("transformers ")
    assert finding.advice == "for no_such_package: pip install 'jepakit[hub]'"
    assert diagnosis._extra("x", ("no_such_package",)).found == "absent"


def test_a_folder_called_like_a_package_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no_such_logger").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert diagnosis._extra("loggers", ("no_such_logger",)).found == "absent"


def test_a_torchvision_that_does_not_import_is_called_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert diagnosis._torchvision() == ("broken", "pip uninstall torchvision: jepakit does not need it")
    (tmp_path / "torchvision.py").write_text("")
    assert diagnosis._torchvision() == ("works", "")


@pytest.mark.parametrize(
    ("version", "is_old"), [("2.5.1", True), ("2.6.0", False), ("2.13.0+cpu", False), ("3.0", False)]
)
def test_an_old_torch_is_named(version: str, is_old: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    assert bool(diagnosis._torch_advice()) == is_old
