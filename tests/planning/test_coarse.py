"""Macro-actions are learned with what they lead to, stay within what was met, and lead a hierarchical search."""

from typing import Any

import pytest
import torch
from toy_worlds import Walk

from jepakit.nn.coarse_dynamics import CoarseDynamics, CoarseDynamicsConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.planning import CEM, Control, Hierarchical, WorldModel
from jepakit.planning.coarse import Coarse, learn_coarse
from jepakit.random import Stream, seeded_init
from jepakit.types import UserError

BLOCKS = 4


def fresh(**changes: int) -> CoarseDynamics:
    config = CoarseDynamicsConfig(**({"told_dim": 2, "num_blocks": BLOCKS, "macro_dim": 2, "hidden_dim": 32} | changes))
    with seeded_init(0, "test/coarse"):
        predictor = ResidualDynamicsConfig(hidden_dim=32, depth=1).build(2, config.macro_dim, torch.nn.Identity())
        return CoarseDynamics(config, predictor)


def walks(num: int = 300, num_frames: int = 13) -> tuple[Any, Any]:
    """Walk from anywhere by steps that go on in one direction."""
    ids = torch.arange(num)
    drawn = Stream(0, "test/walks").normal(0, ids, 2 * num_frames).view(num, num_frames, 2)
    actions = (0.1 * drawn[:, 1:] + 0.3 * drawn[:, :1]).clamp(-0.5, 0.5)
    start = Stream(0, "test/starts").normal(0, ids, 2)[:, None]
    return torch.cat((start, start + actions.cumsum(dim=1)), dim=1), actions


@pytest.fixture(scope="module")
def learned() -> CoarseDynamics:
    dynamics = fresh()
    learn_coarse(*walks(), dynamics, num_steps=400, batch_size=64, learning_rate=5e-3)
    return dynamics


def test_a_macro_action_leads_where_its_actions_would(learned: CoarseDynamics) -> None:
    z, actions = walks(400)
    z, actions = z[300:], actions[300:]
    macros = learned.macro(actions[:, : 2 * BLOCKS].unflatten(1, (2, BLOCKS)))
    ahead = learned.rollout(z[:, 0], macros)
    wanted = z[:, [BLOCKS, 2 * BLOCKS]]
    missed, moved = (ahead - wanted).square().mean(), (z[:, :1] - wanted).square().mean()
    assert float(missed) < 0.05 * float(moved)


def test_macro_actions_are_searched_within_what_was_met(learned: CoarseDynamics) -> None:
    space = Coarse(Walk(), learned).action_space
    met = learned.macro(walks()[1].unflatten(1, (3, BLOCKS))).flatten(0, 1)
    is_inside = ((met >= torch.from_numpy(space.low)) & (met <= torch.from_numpy(space.high))).float().mean(0)
    assert bool((is_inside > 0.95).all()) and bool((is_inside < 1.0).all())
    assert bool((torch.from_numpy(space.high - space.low) > 0.5).all())  # noise makes a range worth using
    assert abs(space.low).max() <= 1.0 and abs(space.high).max() <= 1.0


def test_a_coarse_level_leads_a_search_farther_than_it_sees(learned: CoarseDynamics) -> None:
    world, goal, ids = Walk(reach=0.5), torch.tensor([[3.0, 3.0], [-3.0, 2.0]]), torch.arange(2)
    coarse_model = Coarse(world, learned)
    assert isinstance(coarse_model, WorldModel)
    route = CEM(horizon=3, num_samples=64, num_elites=8, num_iterations=4)
    fine = CEM(horizon=BLOCKS, num_samples=64, num_elites=8, num_iterations=4)
    planner = Hierarchical(coarse_model=coarse_model, coarse=route, fine=fine)
    place = torch.zeros(2, 2)
    act = Control(planner, world, goal, ids, every=2)
    for _ in range(16):
        place = world.moved(place, act(place))
    assert float((place - goal).norm(dim=-1).max()) < 0.5


def test_what_cannot_be_learned_from_is_refused() -> None:
    z, actions = walks(10)
    with pytest.raises(UserError, match="longer trajectories than 8 frames"):
        learn_coarse(z[:, :8], actions[:, :7], fresh())
    with pytest.raises(UserError, match=r"actions of shape \(10, 12, 2\), got \(10, 12, 1\)"):
        learn_coarse(z, actions[..., :1], fresh())
    with pytest.raises(UserError, match="at least 1"):
        CoarseDynamicsConfig(told_dim=2, macro_dim=0)
