"""Sounds are divided without a leak: by a column that says what the test is, by speaker, or at random; all is refused in words."""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("soundfile", reason="jepakit[audio] not installed")

from sound_files import RATE, encoded, tone, write_folder, write_table

from jepakit.evaluation import EvaluationConfig
from jepakit.recipes import AudioData, find_recipe
from jepakit.recipes.data import data_from
from jepakit.recipes.scoring import corruptions_of, score
from jepakit.recipes.signal_splits import fitted_recipe, open_signal_source
from jepakit.recipes.splits import open_sources, open_whole, read_probing
from jepakit.storage import config_to_dict
from jepakit.types import UserError
from jepakit.views import SOUND_CORRUPTIONS, MelPreprocess


@pytest.fixture
def table(tmp_path: Path) -> AudioData:
    return AudioData(train=str(write_table(tmp_path / "sounds.parquet")), rate=RATE, length=800)


def indices(part: Any) -> set[int]:
    """Return which samples of the whole a part holds."""
    found = torch.arange(len(part))
    while hasattr(part, "indices"):
        part, found = part.source, part.indices[found]
    return set(found.tolist())


def test_a_column_says_what_the_test_split_is_and_training_never_sees_it(table: AudioData) -> None:
    sources = open_sources(replace(table, test_column="index", test_values=("0", "2")))
    index = open_sources(table).train.source.values("index")
    assert indices(sources.test) == {i for i, value in enumerate(index) if value in (0, 2)}
    assert not indices(sources.test) & (indices(sources.train) | indices(sources.health) | indices(sources.probe))
    assert indices(sources.fitting) | indices(sources.dev) == indices(sources.probe)
    assert not indices(sources.fitting) & indices(sources.dev)
    assert len(indices(sources.train)) + len(indices(sources.health)) + len(indices(sources.test)) == 48


def test_with_groups_no_speaker_of_the_development_split_is_heard_in_training(table: AudioData) -> None:
    data = replace(table, test_column="speaker", test_values=("s2",), group="speaker")
    sources = open_sources(data)
    speaker = sources.train.source.values("speaker")
    heard, asked = ({speaker[i] for i in indices(part)} for part in (sources.fitting, sources.dev))
    assert {speaker[i] for i in indices(sources.test)} == {"s2"}
    assert len(asked) == 1 and not heard & asked and "s2" not in heard | asked
    assert {speaker[i] for i in indices(sources.train) | indices(sources.health)} == heard
    assert indices(sources.probe) == indices(sources.fitting) | indices(sources.dev)
    assert len(indices(sources.probe)) == 36


def test_a_share_of_each_class_is_the_test_split_where_no_column_is_named(tmp_path: Path) -> None:
    data = AudioData(train=str(write_folder(tmp_path)), rate=RATE, length=800, test_fraction=0.25)
    sources = open_sources(data)
    assert torch.bincount(sources.test.labels).tolist() == [2, 2, 2]
    assert not indices(sources.test) & indices(sources.train)
    bare = open_sources(replace(data, labels="none"))
    assert (bare.probe, bare.test, len(bare.train) + len(bare.health)) == (None, None, 24)


def test_the_labelled_sounds_are_read_in_the_classes_of_the_training(table: AudioData) -> None:
    data = replace(table, test_column="speaker", test_values=("s0",))
    probing = read_probing(open_sources(data), data, 1, 0, final=True)
    assert probing is not None
    assert (probing.test.content.shape, probing.train.content.shape) == ((12, 1, 800), (36, 1, 800))
    assert probing.split == "test" and probing.train.class_names == ("0", "1", "2")


def test_two_rates_in_one_folder_are_said_and_read(tmp_path: Path) -> None:
    root = write_folder(tmp_path)
    (root / "0" / "fast.wav").write_bytes(encoded(tone(num=1600, rate=16000), 16000))
    data = AudioData(train=str(root), rate=RATE, length=800)
    with pytest.warns(UserWarning, match=r"Of 25 sounds looked at, there are 1 at 16,000 Hz \(resampled to 8,000 Hz\)"):
        sources = open_sources(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(open_whole(data, str(root))) == 25, "said once, by the training"
    assert len(sources.train.source) == 25


def test_errors_say_what_is_wrong(table: AudioData, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs both, data.test_column and its data.test_values"):
        replace(table, test_column="index")
    with pytest.raises(UserError, match=r"No row of .* has index '9'; there are 0, 1, 2, 3\."):
        open_sources(replace(table, test_column="index", test_values=("0", "9")))
    with pytest.raises(UserError, match="no column 'spekaer'.*did you mean 'speaker'"):
        open_sources(replace(table, test_column="spekaer", test_values=("s0",)))
    with pytest.raises(UserError, match="4 value.s. outside the test split, too few for 4"):
        open_sources(replace(table, group="speaker", dev_fraction=0.9))
    root = write_folder(tmp_path / "folder")
    with pytest.raises(UserError, match="is a folder, which has no column 'speaker'; give a .parquet file"):
        open_sources(AudioData(train=str(root), rate=RATE, length=800, group="speaker"))
    one = AudioData(train=str(write_folder(tmp_path / "one", per_class=1, classes=1)), rate=RATE, length=800)
    with pytest.raises(UserError, match="has 1 samples to learn from; at least 10 are needed"):
        open_sources(one)


def test_a_recipe_takes_the_rate_and_the_length_of_its_data(table: AudioData) -> None:
    for name in ("audio-transform", "audio-ijepa", "audio-values", "audio-wave"):
        recipe: Any = find_recipe(name)()
        fitted = fitted_recipe(replace(recipe, data=replace(recipe.data, train=table.train, rate=16000, length=12800)))
        assert fitted.method.preprocess.length == 12800
        if isinstance(fitted.method.preprocess, MelPreprocess):
            assert fitted.method.preprocess.shape == recipe.method.preprocess.shape
        views = fitted.method.augment
        assert views.preprocess == fitted.method.preprocess
    assert open_signal_source(table).channels == 1
    assert data_from(config_to_dict(table)) == table


@pytest.mark.parametrize("name", ["audio-transform", "audio-wave"])
def test_sounds_are_scored_beside_their_floors_and_corrupted_as_sounds(table: AudioData, name: str) -> None:
    recipe: Any = find_recipe(name)()
    table = replace(table, length=3200)
    recipe = fitted_recipe(replace(recipe, data=table))
    method = recipe.method.build(seed=0, num_steps=1).eval()
    probing = read_probing(open_sources(table), table, 1, 0, final=False)
    assert probing is not None and corruptions_of(method) == SOUND_CORRUPTIONS
    config = EvaluationConfig(probes=("ridge",), corruptions=SOUND_CORRUPTIONS, severities=(1, 5))
    evaluation = score(method, probing, config)
    arms = {"jepa", "random init", "raw values", "statistics"}
    assert {one.arm for one in evaluation.scores} == arms | {"chance"}
    assert {(curve.kind, curve.arm) for curve in evaluation.robustness} == {
        (k, a) for k in SOUND_CORRUPTIONS for a in arms
    }
