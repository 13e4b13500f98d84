"""Models that step from the last embedding do so for planners too, which then move states and actions at once."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_worlds import ROOMS, WORLDS, clips, shake

from jepakit.methods import EBJEPAWorldConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.planning import GRASP, Control, LatentDistance, StepModel
from jepakit.planning.holding import Held
from jepakit.types import UserError
from jepakit.worlds import TwoRooms, Wandering
from jepakit.worlds.stream import ClipStream


def build(name: str, **changes: Any) -> Any:
    model = replace(WORLDS[name], **changes).build(seed=0, num_steps=1).double().eval()
    shake(model)
    return model


@pytest.mark.parametrize("name", ["ebjepa", "pixel_world"])
@pytest.mark.parametrize("skip", [1, 3])
def test_an_advance_is_a_rollout_of_one_action_held_for_a_block(name: str, skip: int) -> None:
    model, frames = build(name, frame_skip=skip), clips("ebjepa").frames[:, 0]
    assert isinstance(model, StepModel)
    action = torch.randn(6, 2, 2).double()
    with torch.no_grad():
        state = model.observe(frames)
        z = model.encode_goal(frames)[:, None].expand(-1, 2, -1, -1)
        held = Held(model, 2 * skip)
        ahead = held.rollout(state.expand(2), action[:, :, None])
        torch.testing.assert_close(model.advance(z, action), ahead[:, :, 0])
        torch.testing.assert_close(held.advance(z, action), ahead[:, :, 1])


@pytest.mark.parametrize("name", ["lewm", "dino_wm"])
def test_a_model_with_a_memory_cannot_step_from_any_embedding(name: str) -> None:
    with pytest.raises(UserError, match="CausalDynamics predicts from more than the last embedding"):
        build(name).advance(torch.zeros(1, 1, 16).double(), torch.zeros(1, 2).double())


def trained() -> Any:
    """Train a small world model for as long as a test may take."""
    config = EBJEPAWorldConfig(
        encoder=FrameNetConfig(width=16, dim=16),
        dynamics=ResidualDynamicsConfig(hidden_dim=32, depth=1),
        preprocess=ROOMS,
        action_low=(-1.4, -1.4),
        action_high=(1.4, 1.4),
        frame_skip=4,
        rollout_steps=3,
        inverse_dim=32,
        inverse_gaps=(1, 3),
    )
    model = config.build(seed=0, num_steps=1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    for step, batch in ClipStream(TwoRooms(), Wandering(), 24, 4, 4).from_step(0):
        if step == 160:
            return model.eval().requires_grad_(False)
        optimizer.zero_grad()
        torch.autograd.backward(model(batch, step).loss)
        optimizer.step()
    raise AssertionError


def test_grasp_plans_with_a_trained_model() -> None:
    model, world, ids = trained(), TwoRooms(seed=9), torch.arange(8)
    start = world.start(ids)
    goal = replace(start, position=start.position + torch.tensor([0.0, 8.0]) * (32.0 - start.position).sign())
    planner = GRASP(horizon=6, num_samples=4, num_iterations=40, cost=LatentDistance(over="last"))
    act, state = Control(planner, model, world.render(goal), ids, every=2, hold=4), start
    far = (start.position - goal.position).norm(dim=1)
    for _ in range(16):
        state = world.step(state, act(world.render(state)))
    near = (state.position - goal.position).norm(dim=1)
    assert float((near / far).mean()) < 0.6
