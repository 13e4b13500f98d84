"""A step is the present embedding and what the network adds, in training as in planning; nonsense sizes are refused."""

import pytest
import torch
from torch import nn

from jepakit.nn.dynamics import LatentState
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.types import UserError


def dynamics(norm: nn.Module | None = None, sees_start: bool = False) -> nn.Module:
    torch.manual_seed(0)
    config = ResidualDynamicsConfig(hidden_dim=8, depth=2, sees_start=sees_start)
    return config.build(5, 3, norm or nn.Identity()).double()


def test_a_step_adds_what_two_hidden_layers_say_of_embedding_and_action() -> None:
    model, z, action = dynamics(), torch.randn(4, 5).double(), torch.randn(4, 3).double()
    first = torch.relu(z @ model.state.weight.T + action @ model.action.weight.T + model.state.bias)
    second = torch.relu(model.hidden[0](first))
    torch.testing.assert_close(model(z, action), z + model.step(second))


def test_predictions_are_normalised_by_the_encoders_layer_which_stays_the_encoders() -> None:
    norm = nn.LayerNorm(5).double()
    model = dynamics(norm)
    z, action = torch.randn(4, 5).double(), torch.randn(4, 3).double()
    ahead = model(z, action)
    torch.testing.assert_close(ahead.mean(-1), torch.zeros(4).double())
    assert not any(p is norm.weight for p in model.parameters())


def test_every_step_may_look_at_the_start_again() -> None:
    model, z, action = dynamics(sees_start=True), torch.randn(4, 5).double(), torch.randn(4, 2, 3).double()
    seen, now = model.start(z), z
    for done in action.unbind(1):
        first = torch.relu(model.state(now) + model.action(done) + seen)
        now = now + model.step(torch.relu(model.hidden[0](first)))
    torch.testing.assert_close(model.rollout(z, action)[:, -1], now)


@pytest.mark.parametrize("sees_start", [False, True])
def test_all_starts_at_once_are_rollouts_from_each(sees_start: bool) -> None:
    model, z, action = dynamics(sees_start=sees_start), torch.randn(2, 6, 5).double(), torch.randn(2, 5, 3).double()
    ahead = model.ahead(z, action, 3)
    for k, predicted in enumerate(ahead, start=1):
        assert predicted.shape == (2, 6 - k, 5)
        for t in range(6 - k):
            one_by_one = model.rollout(z[:, t], action[:, t : t + k])[:, -1]
            torch.testing.assert_close(predicted[:, t], one_by_one)


def test_candidates_start_from_the_last_embedding() -> None:
    model, z, action = dynamics(), torch.randn(2, 3, 5).double(), torch.randn(2, 4, 6, 3).double()
    state = model.begin(z, torch.zeros(2, 2, 3).double())
    assert isinstance(state, LatentState)
    ahead = model.rollout(state.expand(4), action)
    torch.testing.assert_close(ahead[1, 2], model.rollout(z[1, -1], action[1, 2]))


@pytest.mark.parametrize("wrong", [{"hidden_dim": 0}, {"depth": 0}])
def test_a_predictor_without_a_hidden_layer_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match="at least one hidden layer"):
        ResidualDynamicsConfig(**wrong)
