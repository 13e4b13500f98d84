"""Models that ship with the package work at once, know what made them, and stay as they are."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from scripts import script

from jepakit import commands
from jepakit.hub import load
from jepakit.storage import SHIPPED, Run, located
from jepakit.types import UserError


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_loads_by_its_name_and_says_what_made_it(name: str) -> None:
    model = load(name)
    run = Run(located(name))
    assert model.description["step"] == model.description["training"]["num_steps"]
    assert run.metrics("train")[-1]["step"] == model.description["step"]
    assert "command" in run.file("env.json").read_text()


def test_all_of_them_together_are_small() -> None:
    folder = located(SHIPPED[0]).parent
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 4e6


def test_the_shipped_world_model_reaches_goals_at_once() -> None:
    reached = commands.plan("two-rooms", episodes=4)
    assert sum(one.reached for one in reached) >= 3


def test_the_shipped_digits_are_seen() -> None:
    z = load("digits").encode(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    assert z.shape[0] == 2 and bool(z.isfinite().all())


def test_a_folder_of_that_name_goes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    with pytest.raises(UserError, match="is no run directory"):
        load("digits")


@pytest.mark.parametrize(
    "command", [commands.evaluate, commands.evaluate_forecasts, commands.evaluate_reaching, commands.surprise]
)
def test_what_writes_into_a_run_takes_no_shipped_model(command: Callable[[str], object]) -> None:
    with pytest.raises(UserError, match="ships with jepakit"):
        command("two-rooms")


def test_shipping_a_run_keeps_the_model_and_drops_what_only_training_needs(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship = script("tools/ship.py")
    monkeypatch.setattr(ship, "PACKAGE", tmp_path)
    folder = ship.ship(Run(tiny_run), "digits")
    shipped, whole = load(folder), load(tiny_run)
    for name, tensor in whole.method.state_dict().items():
        assert torch.equal(shipped.method.state_dict()[name], tensor), name
    tensors, _ = Run(folder).load_checkpoint() or ({}, {})
    assert all(name.startswith("model.") for name in tensors)
