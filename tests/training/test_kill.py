"""A run that is killed outright loses no checkpoint and ends with the weights of the undisturbed run, bit for bit."""

import multiprocessing
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from jepakit.storage import Run
from jepakit.types import UserError

NUM_STEPS = 24
FORKS = multiprocessing.get_context("forkserver")


def start(folder: Path) -> BaseProcess:
    """Start the training of `killable` in a process of its own."""
    FORKS.set_forkserver_preload(["killable"])
    from killable import work

    process = FORKS.Process(target=work, args=(str(folder),))
    process.start()
    return process


def step_of(run: Run) -> int:
    """Return the step of the last checkpoint, which must be whole at any moment; -1 where there is none."""
    state = run.checkpoint_state()
    return -1 if state is None else int(state["step"])


def kill_after(folder: Path, step: int) -> int:
    """Start the run, kill it outright once a checkpoint is at this step, and return the step that is left."""
    run, process, seen = Run(folder), start(folder), -1
    end = time.monotonic() + 60
    while seen < step and process.is_alive() and time.monotonic() < end:
        seen = max(seen, step_of(run))
        time.sleep(0.001)
    assert process.is_alive(), "the run ended before it could be killed"
    process.kill()
    process.join()
    left = step_of(run)
    assert left >= seen >= step
    return left


def test_kills_lose_no_checkpoint_and_change_no_bit(tmp_path: Path) -> None:
    undisturbed = start(tmp_path / "whole")
    undisturbed.join()
    left = [kill_after(tmp_path / "killed", step) for step in (2, 9)]
    assert left == sorted(left)
    assert left[-1] < NUM_STEPS
    last = start(tmp_path / "killed")
    last.join()
    assert (undisturbed.exitcode, last.exitcode) == (0, 0)
    whole, killed = (Run(tmp_path / name).load_checkpoint() for name in ("whole", "killed"))
    assert whole is not None
    assert killed is not None
    assert whole[1]["step"] == killed[1]["step"] == NUM_STEPS
    assert whole[0].keys() == killed[0].keys()
    for key, tensor in whole[0].items():
        assert torch.equal(tensor, killed[0][key]), key
    losses = [[row["loss"] for row in Run(tmp_path / name).metrics("train")] for name in ("whole", "killed")]
    assert len(losses[0]) == NUM_STEPS
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
