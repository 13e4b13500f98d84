"""An encoder's head reads the tokens of one channel, in units in which all channels weigh alike."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import tiny, tiny_series, write_record

from jepakit.recipes import SeriesData, forecasting
from jepakit.recipes.forecasting import Scale, encoder_head, feasible_horizons, floor_arms, is_record
from jepakit.recipes.signal_splits import fitted_recipe
from jepakit.types import UserError


def method_of(path: Path) -> Any:
    return fitted_recipe(tiny_series(write_record(path / "a.csv"))).method.build(seed=0, num_steps=4).eval()


def test_channels_are_standardised_over_what_was_measured_and_constant_ones_keep_their_unit() -> None:
    values = torch.tensor([[1.0, 3.0, torch.nan], [7.0, 7.0, 7.0], [torch.nan] * 3])
    scale = Scale.of(values)
    torch.testing.assert_close(
        scale(values), torch.tensor([[-1.0, 1.0, torch.nan], [0.0] * 3, [torch.nan] * 3]), equal_nan=True
    )
    torch.testing.assert_close(scale.undo(scale(values)), values, equal_nan=True)


def test_a_head_reads_the_tokens_of_its_own_channel(tmp_path: Path) -> None:
    method, scale = method_of(tmp_path), Scale(torch.tensor([[5.0], [0.0], [1.0]]), torch.tensor([[2.0], [1.0], [3.0]]))
    past = torch.randn(4, 3, 24)
    features = encoder_head(method, scale).features(past)  # type: ignore[operator]
    tokens = method.encode(method.preprocess(past * scale.std + scale.mean), tokens=True)
    assert features.shape == (4, 3, 6 * 16)
    torch.testing.assert_close(features[:, 1], tokens[:, 6:12].flatten(1))


def test_too_many_tokens_are_averaged_over_neighbours_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, scale, past = method_of(tmp_path), Scale(torch.zeros(3, 1), torch.ones(3, 1)), torch.randn(2, 3, 24)
    whole = encoder_head(method, scale).features(past)
    monkeypatch.setattr(forecasting, "MAX_FEATURES", 3 * 16)
    fewer = encoder_head(method, scale).features(past)
    torch.testing.assert_close(fewer, whole.unflatten(2, (3, 2, 16)).mean(dim=3).flatten(2))


def test_an_encoder_whose_tokens_mix_channels_is_refused(tmp_path: Path) -> None:
    method = method_of(tmp_path)
    with pytest.raises(UserError, match="patches 1 channel high"):
        encoder_head(method, Scale(torch.zeros(2, 1), torch.ones(2, 1)))
    conv = tiny().method.build(seed=0, num_steps=1)
    with pytest.raises(UserError, match="patches 1 channel high"):
        encoder_head(conv, Scale(torch.zeros(3, 1), torch.ones(3, 1)))


def test_linear_floors_see_the_window_bridged_in_three_forms() -> None:
    past = torch.tensor([[[1.0, torch.nan, 3.0], [2.0, 2.0, 2.0]]])
    arms: Any = floor_arms(24)
    assert list(arms)[-2:] == ["seasonal naive", "naive"] and arms["seasonal naive"].season == 24
    assert "seasonal naive" not in floor_arms(None)
    assert arms["linear, raw window"].features(past).tolist() == [[[1, 2, 3], [2, 2, 2]]]
    assert arms["linear, last value taken off"].features(past).tolist() == [[[-2, -1, 0], [0, 0, 0]]]
    assert arms["linear, window normalised"].features(past).tolist() == [[[-1, 0, 1], [0, 0, 0]]]


def test_horizons_that_fit_into_every_part(tmp_path: Path) -> None:
    data = SeriesData(train=str(write_record(tmp_path / "a.csv")), length=24)
    assert feasible_horizons(data, (6, 80, 81)) == (6, 80)
    assert feasible_horizons(replace(data, num_rows=200), (6, 80)) == (6,)
    assert is_record(data) and not is_record(replace(data, train="a.NPZ")) and not is_record(tiny().data)
