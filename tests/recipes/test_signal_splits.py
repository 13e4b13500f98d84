"""A record is divided by its time and labelled signals class by class; sizes of a method follow the file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import tiny_series, write_record

from jepakit.recipes import SeriesData
from jepakit.recipes.pipeline import train
from jepakit.recipes.signal_splits import fitted_recipe, open_signals, parts_of
from jepakit.recipes.splits import open_whole, read_probing
from jepakit.types import UserError


def data_of(path: Path, **settings: Any) -> SeriesData:
    return SeriesData(**{"train": str(path), "length": 24, "num_health": 8} | settings)


def moments(part: Any) -> set[int]:
    """Return the moments that windows of a part show."""
    windows = part.source
    starts = windows.starts[part.indices].tolist()
    return {moment for start in starts for moment in range(start, start + windows.length)}


def test_no_window_of_training_shows_a_moment_of_a_later_part(tmp_path: Path) -> None:
    sources = open_signals(data_of(write_record(tmp_path / "a.csv")))
    assert moments(sources.train) == set(range(240))
    assert len(sources.train) == 240 - 24 + 1
    watched = moments(sources.health)
    assert watched <= set(range(240, 320)) and len(sources.health) == 8
    assert sources.probe is None and sources.test is None and sources.dev is None


def test_parts_follow_the_shares_of_the_moments_that_are_looked_at(tmp_path: Path) -> None:
    data = data_of(write_record(tmp_path / "a.csv"), dev_fraction=0.3, test_fraction=0.1, num_rows=200, stride=5)
    assert parts_of(data, 200) == {"train": (0, 120), "dev": (120, 180), "test": (180, 200)}
    sources = open_signals(data)
    assert len(sources.train) == (120 - 24) // 5 + 1
    assert max(moments(sources.health)) < 180


def test_another_file_is_opened_all_along_whatever_training_looked_at(tmp_path: Path) -> None:
    data = data_of(write_record(tmp_path / "a.csv"), num_rows=200)
    whole = open_whole(data, str(write_record(tmp_path / "b.csv", num=250)))
    assert whole.starts.tolist() == list(range(0, 240, 24))


@pytest.mark.parametrize(
    ("num", "settings", "sentence"),
    [
        (30, {}, r"A window of 24 moments does not fit into the 18 that the training part of .* has for it"),
        (100, {}, "does not fit into the 20 that the development part"),
        (120, {}, "too short to hold out two windows of 24 moments"),
        (1, {}, "does not fit into the 1 that"),
    ],
)
def test_records_shorter_than_their_windows_are_one_sentence(
    tmp_path: Path, num: int, settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        open_signals(data_of(write_record(tmp_path / "a.csv", num, missing=0.0), **settings))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"length": 0}, r"data\.length is a number of moments from 1, got 0"),
        ({"stride": 0}, r"data\.stride"),
        ({"num_rows": -5}, r"data\.num_rows"),
        ({"dev_fraction": 0.0}, r"data\.dev_fraction is a share"),
        ({"test_fraction": 1.0}, r"data\.test_fraction is a share"),
        ({"dev_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to learn from: 0.5 and 0.5"),
    ],
)
def test_sizes_that_cannot_be_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        data_of(Path("a.csv"), **settings)


def labelled(path: Path, num: int = 60) -> Path:
    """Write signals whose class is their number modulo 3, each of its own value."""
    np.savez(path, x=np.arange(num, dtype=np.float32)[:, None, None].repeat(24, axis=2), y=np.arange(num) % 3)
    return path


def test_labelled_signals_are_divided_class_by_class_and_never_twice(tmp_path: Path) -> None:
    data = data_of(labelled(tmp_path / "a.npz"), num_health=6)
    sources = open_signals(data)
    shown = [
        {float(part.read(i)[0, 0]) for i in range(len(part))} for part in (sources.train, sources.health, sources.test)
    ]
    assert [len(values) for values in shown] == [42, 6, 12]
    assert len(set.union(*shown)) == 60
    dev, final = (read_probing(sources, data, 2, 0, final=final) for final in (False, True))
    assert dev is not None and final is not None
    assert len(dev.train) + len(dev.test) == len(final.train) == 48
    assert torch.bincount(final.test.labels).tolist() == [4, 4, 4]
    assert set(final.test.content[:, 0, 0].tolist()) == shown[2]


def test_one_labelled_sample_is_too_few(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((1, 1, 24)))
    with pytest.raises(UserError, match="1 samples to learn from; at least 10"):
        open_signals(data_of(tmp_path / "a.npz"))


def test_a_method_takes_the_channels_and_moments_of_its_data(tmp_path: Path) -> None:
    recipe = fitted_recipe(tiny_series(write_record(tmp_path / "a.csv")))
    method: Any = recipe.method
    assert method.preprocess.shape == method.encoder.image_size == (3, 24)
    assert method.mask.grid == (3, 6)
    longer = fitted_recipe(replace(recipe, data=replace(recipe.data, length=40, columns=("b",))))
    assert longer.method.encoder.image_size == (1, 40)  # type: ignore[union-attr]
    with pytest.raises(UserError, match="patch"):
        fitted_recipe(replace(recipe, data=replace(recipe.data, length=26)))


def test_training_fits_a_recipe_to_its_file_whoever_calls_it(tmp_path: Path) -> None:
    recipe = tiny_series(write_record(tmp_path / "a.csv"))
    channels = open_signals(recipe.data).train.source.channels
    assert recipe.method.preprocess.signal_channels != channels
    assert train(recipe, tmp_path / "run").method.encoder.grid == (channels, 6)
