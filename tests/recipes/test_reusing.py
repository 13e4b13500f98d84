"""A run can begin with another run's encoder, and keep it while its own predictor learns."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import tiny_world

from jepakit.hub import load
from jepakit.recipes import WorldRecipe, train
from jepakit.recipes.reusing import take_encoder
from jepakit.storage import Run
from jepakit.types import UserError


def other(source: Path, *, freeze: bool = True, num_steps: int = 4) -> WorldRecipe:
    """Return a recipe whose actions are twice as large, with another run's encoder."""
    recipe = tiny_world(seed=7, num_steps=num_steps)
    method = replace(recipe.method, action_low=(-2.8, -2.8), action_high=(2.8, 2.8), freeze_encoder=freeze)  # type: ignore[call-arg]
    return replace(recipe, method=method, encoder_from=str(source))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("source") / "run"
    train(tiny_world(seed=1), place)
    return place


def encoder(place: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = load(place).method.encoder.state_dict()
    return state


def test_a_taken_encoder_is_kept_and_the_predictor_learns(source: Path, tmp_path: Path) -> None:
    recipe = other(source)
    train(recipe, tmp_path / "run")
    ours, theirs = encoder(tmp_path / "run"), encoder(source)
    assert all(ours[name].equal(theirs[name]) for name in theirs)
    drawn = recipe.method.build(seed=7, num_steps=4).predictor.state_dict()
    learned = load(tmp_path / "run").method.predictor.state_dict()
    assert not all(learned[name].equal(drawn[name]) for name in drawn)


def test_a_taken_encoder_that_is_not_frozen_is_where_learning_begins(source: Path, tmp_path: Path) -> None:
    train(other(source, freeze=False), tmp_path / "run")
    ours, theirs = encoder(tmp_path / "run"), encoder(source)
    moved = [float((ours[name] - theirs[name]).abs().max()) for name in theirs]
    assert 0.0 < max(moved) < 0.05


def test_a_run_goes_on_without_the_one_whose_encoder_it_took(source: Path, tmp_path: Path) -> None:
    source.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(source)
    train(other(source), tmp_path / "run")
    gone = source.rename(tmp_path / "gone")
    train(other(source), tmp_path / "run")
    gone.rename(source)
    assert Run(tmp_path / "run").checkpoint_state() is not None


def test_an_encoder_of_another_form_is_refused(source: Path, tmp_path: Path) -> None:
    recipe = tiny_world()
    wider = replace(recipe.method, encoder=replace(recipe.method.encoder, dim=24))  # type: ignore[call-arg,type-var]
    with pytest.raises(UserError, match="another architecture"):
        take_encoder(wider.build(seed=0, num_steps=1), source)
    darker = replace(recipe.method, preprocess=replace(recipe.method.preprocess, mean=(0.5, 0.5)))
    with pytest.raises(UserError, match=r"give both the same method\.preprocess"):
        take_encoder(darker.build(seed=0, num_steps=1), source)
    with pytest.raises(UserError, match="does not exist"):
        train(other(tmp_path / "nowhere"), tmp_path / "run")
