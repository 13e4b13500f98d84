"""A run that is killed outright loses no checkpoint and ends with the weights of the undisturbed run, bit for bit."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from jepakit.storage import Run
from jepakit.types import UserError

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from small_methods import batch, build
from jepakit.storage import Run
from jepakit.training import Trainer, TrainingConfig

def batches(step):
    while True:
        yield step, batch(8, start=8 * (step % 3))
        step += 1

config = TrainingConfig(num_steps=40, batch_size=8, learning_rate=1e-2, precision="fp32", log_every=1, save_every_s=0.0)
Trainer(build("ijepa", num_steps=40), config, Run(sys.argv[2]), batches).fit()
"""


def start(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(Path(__file__).parents[1]), str(folder)])


def step_of(run: Run) -> int:
    """Return the step of the last checkpoint, which must be whole at any moment."""
    path = run.checkpoint_path()
    if not path.exists():
        return -1
    with safe_open(path, framework="pt") as file:
        return int(json.loads(file.metadata()["description"])["step"])


def kill_after(folder: Path, step: int) -> int:
    """Start the run, kill it outright once a checkpoint is past this step, and return the step that is left."""
    run, process, seen = Run(folder), start(folder), -1
    end = time.monotonic() + 60
    while seen < step and process.poll() is None and time.monotonic() < end:
        seen = max(seen, step_of(run))
        time.sleep(0.002)
    assert process.poll() is None, "the run ended before it could be killed"
    process.kill()
    process.wait()
    left = step_of(run)
    assert left >= seen >= step
    return left


@pytest.mark.parametrize("moments", [(2, 15)])
def test_kills_lose_no_checkpoint_and_change_no_bit(tmp_path: Path, moments: tuple[int, ...]) -> None:
    undisturbed = start(tmp_path / "whole")
    left = [kill_after(tmp_path / "killed", step) for step in moments]
    assert left == sorted(left)
    assert left[-1] < 40
    assert start(tmp_path / "killed").wait() == 0
    assert undisturbed.wait() == 0
    whole, killed = (Run(tmp_path / name).load_checkpoint() for name in ("whole", "killed"))
    assert whole is not None
    assert killed is not None
    assert whole[0].keys() == killed[0].keys()
    for key, tensor in whole[0].items():
        assert torch.equal(tensor, killed[0][key]), key
    losses = [[row["loss"] for row in Run(tmp_path / name).metrics("train")] for name in ("whole", "killed")]
    assert losses[0] == losses[1]
    assert not list((tmp_path / "killed").rglob("*.part"))


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    hold = "import sys, time; from jepakit.storage import Run\nwith Run(sys.argv[1]).locked(): print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(UserError, match="in use by another process"), Run(tmp_path).locked():
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with Run(tmp_path).locked():
        pass
