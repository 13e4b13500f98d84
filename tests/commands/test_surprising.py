"""`jepakit surprise`: moments are marked where they are, calibration is kept, pairs are scored, mistakes are told."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import tiny_world

import jepakit
from jepakit import cli
from jepakit.evaluation.energies import pixels_changed
from jepakit.recipes import pipeline, surprising
from jepakit.recipes.surprise_curves import drawn
from jepakit.recipes.surprising import CALIBRATION, ordinary_clips
from jepakit.storage import Episode, Run, write_trajectories
from jepakit.types import UserError

NUM_STEPS, JUMP = 82, 48
"""Two actions more than fill whole blocks of 4, and the frame from which on one episode's pictures are others."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("surprise") / "run"
    pipeline.train(tiny_world(), folder)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def recorded(folder: Path, num: int = 3, first: int = 2**41, change: Callable[[int, Any], Any] | None = None) -> Path:
    """Record episodes of the run's world; `change` may alter the pictures of each."""
    recipe = tiny_world()
    made = recipe.data.behaviour(recipe.data.world, first + torch.arange(num), NUM_STEPS)
    frames = made.render(recipe.data.world)
    if change is not None:
        frames = torch.stack([change(index, part) for index, part in enumerate(frames)])
    episodes = [Episode(seen, done) for seen, done in zip(frames, made.action, strict=True)]
    write_trajectories(folder, episodes, num_choices=0, description={})
    return folder


def inverted(index: int, frames: torch.Tensor) -> torch.Tensor:
    """Let one episode's pictures be negatives from some frame on."""
    is_after = torch.arange(len(frames)) >= JUMP
    return torch.where(is_after[:, None, None, None] & (index == 1), 255 - frames, frames)


def test_the_moment_is_marked_by_its_number_in_the_recording(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(surprising, "foreseen", lambda method: pixels_changed(1))  # a model that surely notices
    data = recorded(tmp_path / "data", change=inverted)
    assert cli.run(["surprise", str(run), "--data", str(data), "--clips", "150"]) == 0
    record = json.loads((run / "surprise.json").read_text())
    looked = record["sequences"]
    assert (record["step"], looked["num_ordinary"], looked["rate"]) == (4, 150, 0.01)
    assert [one["num_moments"] for one in looked["episodes"]] == [20, 20, 20]  # every 4th of 83 frames
    marked = [[moment["frame"] for moment in one["marked"]] for one in looked["episodes"]]
    assert JUMP in marked[1]
    assert looked["episodes"][1]["highest"]["frame"] == JUMP
    assert looked["num_marked"] == sum(map(len, marked))
    told = capsys.readouterr().out
    assert f"episode 1, frame    {JUMP}: score" in told
    assert f"{looked['num_marked']} of 60 moments are marked; were all ordinary, 1.00% would be, about 0.6" in told
    with np.load(run / "artifacts/surprise.npz") as arrays:
        assert arrays["frame"][arrays["marked"]].tolist() == [frame for part in marked for frame in part]
        assert arrays["picture"].shape == (len(arrays["moment"]), 65, 65, 3)
        at_jump = (arrays["episode"] == 1) & (arrays["frame"] == JUMP)
        shown = arrays["picture"][arrays["moment"].tolist().index(int(at_jump.nonzero()[0][0]))]
        assert shown.mean() > 128  # the negative itself
    page = (run / "report.html").read_text()
    assert "What surprises it" in page
    assert f'<figcaption class="caption">{JUMP}, ' in page


def test_ordinary_clips_have_the_form_of_training_and_ids_that_it_never_reaches() -> None:
    recipe = tiny_world()
    clip = ordinary_clips(recipe, None, 5)
    assert clip.frames.shape[:2] == (5, recipe.data.num_frames)
    assert clip.action.shape[1] == (recipe.data.num_frames - 1) * recipe.method.frame_skip
    assert int(clip.id.min()) >= 2**40
    short = ordinary_clips(replace(recipe, data=replace(recipe.data, num_frames=2)), None, 2)
    assert short.frames.shape[1] == 4


def test_ordinary_clips_of_a_recording_share_no_action(tmp_path: Path) -> None:
    recording = jepakit.data.open_recording(recorded(tmp_path / "data"))
    clip = ordinary_clips(tiny_world(), recording, 100)
    assert len(clip) == 12  # 4 of 20 actions in each episode of 82
    begin = clip.id.sort().values
    assert bool((begin.diff() >= 20).all())
    assert len(ordinary_clips(tiny_world(), recording, 7)) == 7


def test_calibration_is_kept_until_something_else_is_ordinary(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, usual = recorded(tmp_path / "data", num=1), recorded(tmp_path / "usual", num=8)
    made: list[int] = []
    calibrate = surprising.calibrate
    monkeypatch.setattr(surprising, "calibrate", lambda *given: made.append(1) or calibrate(*given))

    def count(**options: Any) -> int:
        made.clear()
        jepakit.surprise(run, data, **({"rate": 0.1, "clips": 20} | options))
        return len(made)

    assert [count(), count(), count(rate=0.2)] == [1, 0, 0]
    assert [count(clips=21), count(clips=21)] == [1, 0]
    assert [count(ordinary=usual), count(ordinary=usual)] == [1, 0]
    os.utime(usual / "index.json", ns=(1, 2**62))
    assert count(ordinary=usual) == 1
    (run / CALIBRATION).write_bytes(b"half a fi")
    assert [count(), count()] == [1, 0]
    tensors, state = Run(run).load_checkpoint() or ({}, {})
    Run(run).save_checkpoint(tensors, state | {"step": 5})
    assert count() == 1


def test_pairs_are_scored_beside_floors_and_forget_no_recording(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = recorded(tmp_path / "data", num=1)
    first = jepakit.surprise(run, data, rate=0.1, clips=20)
    assert first["violations"] is None
    assert cli.run(["surprise", str(run), "--pairs", "6", "--clips", "100"]) == 0
    record = json.loads((run / "surprise.json").read_text())
    assert record["sequences"] == first["sequences"]
    pairs = record["violations"]
    assert (set(pairs["kinds"]), set(pairs["looks"])) == ({"told"}, {"colour", "noise"})
    assert list(pairs["kinds"]["told"]["arms"]) == ["model", "untrained", "persistence", "pixels"]
    assert pairs["kinds"]["told"]["arms"]["pixels"]["value"] == 0.5
    assert pairs["looks"]["colour"]["arms"]["pixels"]["n"] == 6
    told = capsys.readouterr().out
    assert "share of 6 pairs whose unlawful clip surprises more" in told
    assert "pixels 50.0%" in told
    assert "Changes of looks, which break none" in (run / "report.html").read_text()
    again = jepakit.surprise(run, data, rate=0.1, clips=20)
    assert again["violations"] == pairs


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "There is nothing to look at: give a recording (--data FILE), or ask for pairs"),
        (["--data", "{none}"], "does not exist."),
        (["--data", "{damaged}"], "frames.bin"),
        (["--data", "{other_actions}"], "has actions of 3 numbers; the run was trained on 2 numbers."),
        (["--data", "{choices}"], "has actions of 4 choices; the run was trained on 2 numbers."),
        (["--data", "{other_pictures}"], "has pictures of 2 x 65 x 64 (c h w); the run was trained on 2 x 65 x 65."),
        (["--data", "{brief}"], "Episode 0 of {brief} has 4 frames; surprise looks at every 4th and needs two, so at "
         "least 5."),
        (["--data", "{good}", "--ordinary", "{brief}"], "is too short to calibrate on: it holds 0 clips of 21 frames."),
        (["--data", "{good}", "--ordinary", "{none}"], "does not exist."),
        (["--data", "{good}", "--rate", "0.001", "--clips", "100"], "tell rates of false alarms down to 0.0099, not "
         "0.001; calibrate with at least 999."),
        (["--data", "{good}", "--rate", "0"], "A rate of false alarms is between 0 and 1, got 0.0."),
        (["--data", "{good}", "--episodes", "0"], "There are no episodes to look at: --episodes must be at least 1"),
        (["--data", "{good}", "--clips", "1"], "At least 2 ordinary clips"),
        (["--pairs", "-1"], "At least 1 pair is to be made, got -1."),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_one_sentence(
    options: list[str], sentence: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {name: str(path) for name, path in _places(tmp_path, " ".join(options)).items()}
    status = cli.run(["surprise", str(run), *(option.format(**places) for option in options)])
    told = capsys.readouterr()
    assert status == 2
    lines = [line for line in told.err.splitlines() if line.startswith("jepakit: ")]
    assert len(lines) == 1
    assert sentence.format(**places) in lines[0]
    assert not (run / "surprise.json").exists()


def _places(folder: Path, asked: str) -> dict[str, Path]:
    """Write the recordings that are asked for, each with its fault."""
    frames = torch.zeros(30, 2, 65, 65, dtype=torch.uint8)
    faulty = {
        "other_actions": (Episode(frames, torch.zeros(29, 3)), 0),
        "choices": (Episode(frames, torch.zeros(29, 1)), 4),
        "other_pictures": (Episode(frames[..., :64], torch.zeros(29, 2)), 0),
        "brief": (Episode(frames[:4], torch.zeros(3, 2)), 0),
        "good": (Episode(frames, torch.zeros(29, 2)), 0),
        "damaged": (Episode(frames, torch.zeros(29, 2)), 0),
    }
    for name, (episode, num_choices) in faulty.items():
        if name in asked:
            write_trajectories(folder / name, [episode], num_choices=num_choices, description={})
    if "damaged" in asked:
        os.truncate(folder / "damaged/frames.bin", 1000)
    return {name: folder / name for name in (*faulty, "none")}


def test_a_run_on_images_and_no_run_at_all_are_told_apart(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="learned from samples, not in a world"):
        jepakit.surprise(tiny_run, pairs=1)
    with pytest.raises(UserError, match=r"no run directory|does not exist"):
        jepakit.surprise(tmp_path / "none", pairs=1)


def test_frames_that_are_marked_are_drawn_first() -> None:
    shown = drawn([50, 70], 70, 100)
    assert {49, 50, 69, 70, 0, 99} <= set(shown)
    assert len(shown) <= 12
    assert shown == sorted(shown)
    assert drawn([], 1, 2) == [0, 1]
    assert len(drawn(list(range(1, 60)), 30, 60)) <= 12
