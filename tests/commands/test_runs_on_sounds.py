"""A run on sounds trains, is scored, reported and embedded; a method of two views asks about sounds, not spectrograms."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("soundfile", reason="jepakit[audio] not installed")

from sound_files import encoded, tone, write_folder, write_table
from tiny_runs import quick_rule, quick_scoring, tiny_sounds

from jepakit import cli
from jepakit.commands import embed, evaluate, surprise, train
from jepakit.hub import load
from jepakit.nn import ViTConfig
from jepakit.recipes import find_recipe
from jepakit.recipes.data import AudioData
from jepakit.recipes.pictures import grid_of
from jepakit.storage import Run, read_json
from jepakit.types import UserError


@pytest.fixture(scope="module")
def sound_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny method of two views on a table of sounds."""
    folder = tmp_path_factory.mktemp("sounds")
    table = write_table(folder / "sounds.parquet")
    with quick_scoring(quick_rule):
        train(tiny_sounds(table, test_column="index", test_values=("0",)), folder / "run")
        evaluate(folder / "run", final=True)
    return folder / "run"


def test_a_run_is_scored_on_the_split_that_its_column_names(sound_run: Path) -> None:
    record = read_json(sound_run / "evaluation.json")
    assert (record["protocol"]["split"], record["protocol"]["num_test"]) == ("test", 12)
    assert {score["arm"] for score in record["scores"]} == {"jepa", "random init", "raw values", "statistics", "chance"}
    assert {curve["kind"] for curve in record["robustness"]} == {"noise"}
    assert (sound_run / "report.html").stat().st_size > 10_000
    assert {path.stem for path in (sound_run / "artifacts").iterdir()} >= {"views", "features", "neighbours"}


def test_other_sounds_are_embedded_and_broken_ones_named(sound_run: Path, tmp_path: Path) -> None:
    root = write_folder(tmp_path / "other", per_class=2)
    (root / "broken.wav").write_bytes(b"nothing")
    embedded = embed(sound_run, root, tmp_path / "z.npy")
    assert embedded.z.shape == (6, 16) and np.load(tmp_path / "z.npy").shape == (6, 16)
    model = load(sound_run)
    sound = torch.full((1, 1, 1600), torch.nan)
    sound[0, 0, 400:1200] = torch.from_numpy(tone(300.0))
    torch.testing.assert_close(embedded.z[:1], model.encode(sound), atol=1e-3, rtol=1e-3)
    paths = [root / name for name in ("0/00.wav", "0/01.wav", "1/00.wav")]
    torch.testing.assert_close(model.encode(paths), embedded.z[:3])
    torch.testing.assert_close(model.encode(str(paths[2])), embedded.z[2:3])
    with pytest.raises(UserError, match=r"broken\.wav: cannot be decoded"):
        model.encode(root / "broken.wav")
    with pytest.raises(UserError, match="absent.wav' cannot be read: No such file"):
        model.encode("absent.wav")


def test_two_views_of_a_spectrogram_cannot_be_made(sound_run: Path) -> None:
    with pytest.raises(UserError, match="cannot be turned back into its sound"):
        load(sound_run).energy(torch.randn(1, 1, 1600))


def test_a_folder_with_two_rates_trains_and_says_so_once(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "sounds")
    (root / "0" / "fast.wav").write_bytes(encoded(tone(num=1600, rate=16000), 16000))
    with quick_scoring(), pytest.warns(UserWarning, match="1 at 16,000 Hz") as told:
        train(tiny_sounds(root), tmp_path / "run")
    assert len([warning for warning in told if "16,000" in str(warning.message)]) == 1
    assert Run(tmp_path / "run").file("evaluation.json").exists()


def test_the_map_of_a_convolution_has_the_shape_of_what_it_sees() -> None:
    method = tiny_sounds(Path("sounds")).method
    method = replace(method, preprocess=replace(method.preprocess, length=6400)).build(seed=0, num_steps=1).eval()
    signal = torch.randn(1, 1, 6400)
    feature_map = method.encoder.feature_map(method.preprocess(signal))
    tokens = method.encode(method.preprocess(signal), tokens=True)
    assert grid_of(method, tokens.shape[1]) == tuple(feature_map.shape[2:]) == (8, 10)


def test_a_burst_of_noise_is_marked_in_a_sound_and_told_in_seconds_and_the_end_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe: Any = find_recipe("audio-values")()
    encoder = ViTConfig(image_size=(32, 10), patch_size=(8, 5), dim=16, depth=1, num_heads=2, in_channels=1)
    small = {"encoder": encoder, "predictor_dim": 8, "predictor_heads": 2}
    method = replace(recipe.method, preprocess=replace(recipe.method.preprocess, length=1600), **small)
    training = {
        "num_steps": 30,
        "batch_size": 8,
        "warmup_steps": 1,
        "health_every": 0,
        "num_workers": 0,
        "device": "cpu",
    }
    table = write_table(tmp_path / "sounds.parquet")
    data = AudioData(train=str(table), rate=8000, length=1600, num_health=6)
    with quick_scoring(quick_rule):
        recipe = replace(recipe, method=method, data=data, training=replace(recipe.training, **training))
        train(recipe, tmp_path / "run")
    capsys.readouterr()
    sound = np.concatenate([tone(300.0 * (i % 3 + 1) + 20 * (i % 4)) for i in range(40)])  # such as were learned from
    sound[16000:16800] += np.random.default_rng(0).normal(0.0, 0.3, 800).astype(np.float32)
    (tmp_path / "odd.wav").write_bytes(encoded(sound, rate=8000))
    assert cli.run(["surprise", str(tmp_path / "run"), "--data", str(tmp_path / "odd.wav"), "--rate", "0.2"]) == 0
    told = read_json(tmp_path / "run" / "surprise.json")["record"]
    assert (told["ordinary"], told["moment"], told["num_moments"]) == ("sounds that the run held out", 800, 40)
    first, last = (float(told["highest"][end].removesuffix(" s")) for end in ("from", "to"))
    assert first <= 2.1 and last >= 1.9
    assert float(told["anomalies"][-1]["to"].removesuffix(" s")) < 3.9
    assert told["highest"]["channels"][0]["name"].startswith("band ")
    assert 0.0 <= told["alarms"]["low"] <= told["alarms"]["high"] <= 1.0 and told["alarms"]["n"] > 1
    assert (tmp_path / "run" / "report.html").read_text().count("band ") >= 1


def test_a_method_of_two_views_has_no_patches_to_be_surprised_by(sound_run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(tone(num=4000)))
    with pytest.raises(UserError, match="hides no patches"):
        surprise(sound_run, tmp_path / "a.wav")
