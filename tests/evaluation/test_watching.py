"""Windows slide over a signal up to its end, and what each tells stands at its columns."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jepakit.evaluation.watching import LOOKS, Watcher, windows_over
from jepakit.jepa import Objective
from jepakit.objectives import DISTANCES
from jepakit.types import Hidden, Prediction, UserError

ROWS, COLUMNS, WIDTH = 2, 8, 3
LENGTH = COLUMNS * WIDTH


class Says(nn.Module):
    """Miss each patch by the mean of its moments, so that its energy says which they are."""

    encoder = SimpleNamespace(grid=(ROWS, COLUMNS))
    objective = Objective(DISTANCES["mse"])
    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def preprocess(self, signal: Tensor) -> Tensor:
        return signal.nan_to_num().unflatten(2, (COLUMNS, WIDTH)).mean(dim=3)[:, None]

    def target(self, x: Tensor) -> Tensor:
        return x.flatten(1)[..., None]

    def answers(self, x: Tensor, hidden: Hidden, tokens: Tensor, step: int = 0) -> Prediction:
        asked = tokens.gather(1, hidden.target_idx[:, 0, :, None])
        num = len(asked.flatten())
        nothing = torch.zeros(num, dtype=torch.long)
        return Prediction(torch.zeros(num, 1), asked.flatten()[:, None], torch.ones(num), nothing, nothing)


def test_windows_end_with_the_signal_and_four_hold_a_moment() -> None:
    signal = torch.arange(100.0).expand(ROWS, 100)
    found = windows_over(Says(), signal, LENGTH)
    assert (found.num_columns, float(found.x[-1, 0, 0, -1])) == (33, 98.0)
    starts = found.first.tolist()
    assert starts == [*range(0, 25, COLUMNS // LOOKS), 25]
    held = torch.zeros(33)
    for first in starts:
        held[first : first + COLUMNS] += 1
    assert held[8:24].tolist() == [LOOKS] * 16
    for x, first in zip(found.x, starts, strict=True):
        assert x[0, 0].tolist() == [1 + WIDTH * column + 1 for column in range(first, first + COLUMNS)]


def test_every_window_tells_of_its_own_columns_alone_or_together_with_other_signals() -> None:
    signal = torch.arange(1.0, 61.0).expand(ROWS, 60).clone()
    signal[1] *= 2
    watcher = Watcher(Says(), LENGTH)
    seen = watcher(signal)
    assert (watcher.width, seen.num_columns) == (WIDTH, 20)
    for energy, first in zip(seen.energy, seen.first.tolist(), strict=True):
        middle = torch.arange(first, first + COLUMNS) * WIDTH + 2.0
        torch.testing.assert_close(energy, torch.stack((middle, 2 * middle)).square().expand_as(energy))
    assert (watcher.kinds, Watcher(Says(), LENGTH, ("half", "cell"))(signal).energy.shape[1]) == (("row",), 2)
    both = watcher.all([signal[:, :30], signal])
    assert torch.equal(both[1].energy, seen.energy)
    assert torch.equal(both[0].energy, watcher(signal[:, :30]).energy)


@pytest.mark.parametrize("num_channels", [ROWS, 1])
def test_what_was_not_measured_is_nan_by_row_where_rows_are_channels(num_channels: int) -> None:
    signal = torch.ones(num_channels, LENGTH)
    signal[0, WIDTH : 2 * WIDTH] = torch.nan
    signal[0, 2 * WIDTH] = torch.nan  # a part of a patch
    model: Any = Says()
    if num_channels < ROWS:  # such as a sound, whose rows are bands
        laid_out = model.preprocess
        model.preprocess = lambda windows: laid_out(windows.expand(-1, ROWS, -1))
    seen = Watcher(model, LENGTH)(signal)
    told = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
    told[: 1 if num_channels == ROWS else ROWS, 1] = False
    assert torch.equal(seen.energy[0, 0].isfinite(), told)


def test_a_signal_that_is_too_short_is_refused() -> None:
    with pytest.raises(
        UserError, match="A window of this model has 24 moments, and there are 23; give a longer record"
    ):
        windows_over(Says(), torch.ones(ROWS, 23), LENGTH)
