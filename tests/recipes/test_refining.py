"""A predictor learns on from stored embeddings, nothing else changes, and it is kept where the run is loaded from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_worlds import WORLDS

from jepakit.hub import load
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.recipes.config import Refining, WorldData, WorldRecipe
from jepakit.recipes.pipeline import train
from jepakit.recipes.refining import refine, refine_predictor
from jepakit.recipes.stored import embedded_trajectories, told_trajectories
from jepakit.storage import Run
from jepakit.training import TrainingConfig
from jepakit.types import UserError
from jepakit.worlds import TwoRooms, Wandering

METHOD = replace(WORLDS["ebjepa"], dynamics=ResidualDynamicsConfig(hidden_dim=16, sees_start=True))
FEW = Refining(num_trajectories=30, num_frames=8, num_steps=150, batch_size=32, learning_rate=3e-3)
RECIPE = WorldRecipe(
    recipe="tiny-refined",
    method=METHOD,
    data=WorldData(world=TwoRooms(), behaviour=Wandering(), num_frames=5, num_health=16),
    training=TrainingConfig(num_steps=2, batch_size=8, precision="fp32"),
    refining=FEW,
)


def stored(method: Any, first: int = 2**44) -> tuple[torch.Tensor, torch.Tensor]:
    given = method, RECIPE, FEW.num_trajectories, FEW.num_frames, first
    return embedded_trajectories(*given), told_trajectories(*given)


def missed(method: Any, z: torch.Tensor, told: torch.Tensor) -> float:
    with torch.no_grad():
        return float(method.objective.energy(method.ahead(z, told)).mean())


def test_refining_foresees_held_out_trajectories_better_and_changes_the_predictor_alone() -> None:
    method = METHOD.build(seed=0, num_steps=1)
    before = {name: tensor.clone() for name, tensor in method.state_dict().items()}
    others = stored(method, first=2**45)
    bad = missed(method, *others)
    refine(method, *stored(method), FEW, seed=0)
    assert missed(method, *others) < 0.7 * bad
    for name, tensor in method.state_dict().items():
        assert torch.equal(tensor, before[name]) != name.startswith("predictor."), name


def test_refining_learns_what_actions_do() -> None:
    method = METHOD.build(seed=0, num_steps=1)
    told, moves = torch.randn(60, 7, 2), torch.randn(2, 16)
    z = [method.encoder.norm(torch.randn(60, 16)).detach()]
    for done in told.unbind(1):
        z.append(method.encoder.norm(z[-1] + done @ moves).detach())
    trajectories = torch.stack(z, dim=1)
    refine(method, trajectories[:40], told[:40], replace(FEW, num_steps=400), seed=0)
    others = trajectories[40:], told[40:]
    assert missed(method, *others) < 0.3 * missed(method, others[0], torch.zeros_like(others[1]))


def test_stored_embeddings_are_those_of_the_frames_that_were_seen() -> None:
    method = METHOD.build(seed=0, num_steps=1).eval()
    z, told = stored(method)
    walked = Wandering()(TwoRooms(seed=RECIPE.seed), torch.arange(2**44, 2**44 + FEW.num_trajectories), 7)
    torch.testing.assert_close(z[3:5], method.embed(walked.between(3, 5).render(TwoRooms())))
    torch.testing.assert_close(told, method.config.told(walked.action))


def test_a_refined_predictor_is_what_the_run_loads_and_is_not_refined_again(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    method = train(RECIPE, run.path).method.eval()
    refine_predictor(method, RECIPE, run)
    kept = load(run.path).method.state_dict()
    for name, tensor in method.state_dict().items():
        assert torch.equal(tensor, kept[name]), name
    again = train(RECIPE, run.path).method.eval()
    refine_predictor(again, replace(RECIPE, refining=replace(FEW, learning_rate=1.0)), run)
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, kept[name]), name


@pytest.mark.parametrize(
    ("method", "num_frames", "words"),
    [(replace(METHOD, latent_dim=2), 8, "latent"), (replace(METHOD, rollout_steps=9), 8, "9 frames ahead")],
)
def test_what_cannot_be_refined_is_one_sentence(method: Any, num_frames: int, words: str) -> None:
    built = method.build(seed=0, num_steps=1)
    z, told = torch.zeros(4, num_frames, 16), torch.zeros(4, num_frames - 1, 2)
    with pytest.raises(UserError, match=words):
        refine(built, z, told, FEW, seed=0)
