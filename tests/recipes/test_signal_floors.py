"""The floors of signals see the values as the encoder does, and nothing else."""

import torch

from jepakit.evaluation import Inputs
from jepakit.recipes import signal_floors
from jepakit.recipes.signal_floors import signal_arms
from jepakit.views import SeriesPreprocess, corrupt_series

PREPROCESS = SeriesPreprocess(signal_channels=2, length=10, normalise="given")


def inputs(num: int = 300) -> Inputs:
    signals = torch.randn(num, 2, 10)
    ids = torch.arange(num)
    return Inputs(train=signals, test=signals[:5], train_ids=ids, test_ids=ids[:5], corrupt=corrupt_series)


def test_raw_values_are_those_of_the_signal_in_its_order() -> None:
    given = inputs()
    arm = signal_arms(PREPROCESS, given)["raw values"]
    assert arm.is_floor
    assert torch.equal(arm.train[:, 0], given.train.flatten(1))
    assert torch.equal(arm.test, given.test.flatten(1))
    assert arm.corrupted is not None
    torch.testing.assert_close(
        arm.corrupted("gap", 2), corrupt_series("gap", given.test, 2, given.test_ids).nan_to_num().flatten(1)
    )


def test_long_signals_are_averaged_over_neighbours_in_time(monkeypatch: object) -> None:
    monkeypatch.setattr(signal_floors, "_MOST_VALUES", 10)  # type: ignore[attr-defined]
    given = inputs(3)
    arm = signal_arms(PREPROCESS, given)["raw values"]
    torch.testing.assert_close(arm.train[:, 0], given.train.unflatten(2, (5, 2)).mean(dim=3).flatten(1))


def test_statistics_are_five_numbers_of_each_channel() -> None:
    signal = torch.tensor([[[0.0, 2.0, 4.0, 0.0, 2.0, 4.0, 0.0, 2.0, 4.0, 2.0], [1.0] * 10]])
    ids = torch.arange(1)
    arm = signal_arms(PREPROCESS, Inputs(train=signal, test=signal, train_ids=ids, test_ids=ids))["statistics"]
    mean, std, least, largest, change = arm.test.view(5, 2)
    torch.testing.assert_close(mean, torch.tensor([2.0, 1.0]))
    torch.testing.assert_close(std, torch.tensor([24.0, 0.0]).div(10).sqrt())
    assert (least.tolist(), largest.tolist()) == ([0.0, 1.0], [4.0, 1.0])
    torch.testing.assert_close(change, torch.tensor([22.0 / 9, 0.0]))
    assert arm.corrupted is None
    one = SeriesPreprocess(signal_channels=2, length=1, normalise="given")
    single = Inputs(train=signal[..., :1], test=signal[..., :1], train_ids=ids, test_ids=ids)
    assert bool(signal_arms(one, single)["statistics"].test.isfinite().all())
