"""Signals become one length without a guess, and labelled ones are read from a file of arrays."""

from pathlib import Path

import numpy as np
import pytest
import torch

from jepakit.data import Subset, open_labelled_signals
from jepakit.data.signal import SignalDecoder, Signals, channels_of, fitted
from jepakit.types import UserError


def test_longer_signals_give_their_middle_and_shorter_ones_lie_in_the_middle() -> None:
    signal = torch.arange(6.0)[None]
    assert fitted(signal, 4).tolist() == [[1, 2, 3, 4]]
    assert fitted(signal, 6).tolist() == signal.tolist()
    torch.testing.assert_close(
        fitted(signal[:, :2], 5), torch.tensor([[torch.nan, 0, 1, torch.nan, torch.nan]]), equal_nan=True
    )
    assert fitted(torch.tensor([[1.0, torch.inf, -torch.inf]]), 3).isnan().tolist() == [[False, True, True]]


def test_a_decoder_stacks_what_can_be_read_and_names_the_rest() -> None:
    signals = torch.rand(4, 2, 5)
    signals[1] = torch.nan
    decoder = SignalDecoder(Signals(signals), 5)
    content, kept, skipped = decoder[[2, 1, 0]]
    assert torch.equal(content, signals[[2, 0]])
    assert (kept, [(skip.name, skip.reason) for skip in skipped]) == ([2, 0], [("signal 1", "nothing was measured")])
    batch = decoder.batch(content, torch.tensor(kept))
    assert torch.equal(batch.signal, content)
    empty, kept, _ = decoder[[1]]
    assert (empty.shape, kept) == ((0, 2, 5), [])
    nothing = SignalDecoder(Signals(torch.zeros(1, 2, 0)), 5)
    assert nothing[[0]][2][0].reason == "it is empty"


def test_parts_of_parts_know_their_channels() -> None:
    whole = Signals(torch.rand(6, 3, 4), torch.arange(6) % 2)
    assert channels_of(Subset(Subset(whole, [0, 1, 2]), [1])) == 3
    assert whole.class_names == ("0", "1")


@pytest.mark.parametrize(
    ("labels", "names", "sentence"),
    [
        ([0], None, "3 signals need as many labels, not 1"),
        ([0, 1, -1], None, r"\[0, 2\)"),
        ([0, 1, 2], "ab", r"\[0, 2\)"),
    ],
)
def test_labels_that_do_not_match_are_refused(labels: list[int], names: str | None, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Signals(torch.rand(3, 1, 4), torch.tensor(labels), names)


def test_labelled_signals_come_with_their_classes(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    path = tmp_path / "a.npz"
    np.savez(path, x=x, y=np.array(["walk", "sit", "walk", "run"]))
    named = open_labelled_signals(path)
    assert named.class_names == ("run", "sit", "walk")
    assert named.labels is not None and named.labels.tolist() == [2, 1, 2, 0]
    torch.testing.assert_close(named.signals, torch.from_numpy(x).float())
    np.savez(path, x=x, y=np.array([1, 0, 1, 2], dtype=np.uint8))
    counted = open_labelled_signals(path)
    assert counted.labels is not None and counted.labels.tolist() == [1, 0, 1, 2]
    np.savez(path, x=x)
    assert open_labelled_signals(path).labels is None


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"y": np.zeros(4)}, "must hold numbers `x` of shape"),
        ({"x": np.zeros((4, 3))}, "must hold numbers `x` of shape"),
        ({"x": np.full((4, 1, 2), "a")}, "must hold numbers `x` of shape"),
        ({"x": np.zeros((4, 1, 2)), "y": np.zeros(4)}, "one whole number or text a sample, not float64"),
        ({"x": np.zeros((4, 1, 2)), "y": np.zeros(3, dtype=int)}, "4 signals need as many labels, not 3"),
    ],
)
def test_other_files_of_arrays_are_one_sentence(tmp_path: Path, arrays: dict[str, np.ndarray], sentence: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=sentence):
        open_labelled_signals(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"is no \.npz file"):
        open_labelled_signals(tmp_path / "b.npz")
