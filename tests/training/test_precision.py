"""A device is one that training can run on, and one that is there."""

import pytest
import torch

from jepakit.training.precision import choose_device
from jepakit.types import UserError


@pytest.mark.parametrize("name", ["foo", "mps", "meta", "cuda:x", "cuda:-1", ""])
def test_a_device_that_training_does_not_know_is_named_with_those_it_knows(name: str) -> None:
    with pytest.raises(UserError, match=rf"must be auto, cpu, cuda or cuda:NUMBER, got '{name}'\."):
        choose_device(name)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("auto", local_rank=1) == torch.device("cuda", 1)
    with pytest.raises(UserError, match="Device 'cuda:2' was asked for, but there are 2 GPUs"):
        choose_device("cuda:2")


def test_the_cpu_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("cpu") == choose_device("auto") == torch.device("cpu")
