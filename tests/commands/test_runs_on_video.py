"""A run on clips trains, is scored, drawn and reported; clips come as arrays or out of a folder of videos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_runs import quick_rule, quick_scoring, tiny_video

from jepakit.commands import embed, evaluate, train
from jepakit.hub import load
from jepakit.recipes import video_splits
from jepakit.recipes.video_splits import digit_clips
from jepakit.storage import read_json
from jepakit.types import UserError


@pytest.fixture(scope="module")
def video_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a tiny V-JEPA on moving digits."""
    folder = tmp_path_factory.mktemp("video") / "run"
    with quick_scoring(quick_rule), pytest.MonkeyPatch.context() as patch:
        patch.setitem(video_splits._CLIPS, "probe", (2 << 20, 60))
        patch.setitem(video_splits._CLIPS, "dev", (3 << 20, 30))
        patch.setitem(video_splits._CLIPS, "test", (4 << 20, 30))
        train(tiny_video(), folder)
        evaluate(folder, final=True)
    return folder


def test_a_run_is_scored_beside_its_floors_and_drawn_as_strips_of_film(video_run: Path) -> None:
    record = read_json(video_run / "evaluation.json")
    assert (record["protocol"]["split"], record["protocol"]["num_test"]) == ("test", 30)
    assert {score["arm"] for score in record["scores"]} == {"jepa", "random init", "raw pixels", "statistics", "chance"}
    with np.load(video_run / "artifacts/masks.npz") as masks:
        assert masks["image"].shape == (6, 32, 2 * 32, 1)  # two tubelets of two frames, a frame of each
        assert masks["context"].shape == (6, 2, 2 * 2) and masks["targets"].shape == (6, 1, 2, 2 * 2)
        assert (masks["context"][:, :, :2] == masks["context"][:, :, 2:]).all()  # tubes
    with np.load(video_run / "artifacts/energy.npz") as energy:
        assert energy["energy"].shape == (6, 2, 4) and energy["image"].shape == (6, 32, 64, 1)
    assert (video_run / "report.html").stat().st_size > 10_000


def test_a_loaded_model_takes_arrays_of_clips(video_run: Path) -> None:
    model, data = load(video_run), tiny_video().data
    clips = torch.stack([digit_clips(data, "dev").read(i) for i in range(3)])
    assert clips.shape == (3, 4, 1, 32, 32)
    z = model.encode(clips)
    assert z.shape == (3, 16) and model.encode(clips, tokens=True).shape == (3, 8, 16)
    torch.testing.assert_close(model.encode(clips.numpy()), z)
    torch.testing.assert_close(model.encode(model.method.preprocess(clips)), z)
    assert model.energy(clips).shape == (3,)
    with pytest.raises(UserError, match=r"takes clips as an array of .*got an array of \(4, 1, 32, 32\)"):
        model.encode(clips[0])


def test_folders_of_pictures_are_learned_from_and_embedded(tmp_path: Path) -> None:
    draws = np.random.default_rng(0)
    for number in range(12):
        folder = tmp_path / "videos" / f"{number:02d}"
        folder.mkdir(parents=True)
        for frame in range(5):
            Image.fromarray(draws.integers(0, 256, (20, 24), dtype=np.uint8)).save(folder / f"{frame}.png")
    recipe = tiny_video("video-future", str(tmp_path / "videos"), fps=25.0, labels="none")
    train(recipe, tmp_path / "run")
    embedded = embed(tmp_path / "run", tmp_path / "videos", tmp_path / "z.npy")
    assert embedded.z.shape == (12, 16) and bool(torch.isfinite(embedded.z).all())


def test_pixels_are_drawn_where_they_are_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(video_splits._CLIPS, "probe", (2 << 20, 60))
    monkeypatch.setitem(video_splits._CLIPS, "dev", (3 << 20, 30))
    with quick_scoring():
        train(tiny_video("video-pixels"), tmp_path / "run")
    with np.load(tmp_path / "run/artifacts/reconstruction.npz") as drawn:
        assert drawn["image"].shape == drawn["masked"].shape == drawn["predicted"].shape == (6, 32, 64, 1)
        shown = drawn["masked"] == drawn["image"]
        assert shown.any() and not shown.all()


def test_clips_of_another_length_than_the_encoders_are_refused() -> None:
    recipe = tiny_video()
    with pytest.raises(UserError, match="takes clips of 4 frames and the data gives 8"):
        replace(recipe, data=replace(recipe.data, num_frames=8))
