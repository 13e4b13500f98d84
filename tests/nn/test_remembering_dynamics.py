"""A predictor that remembers: all starts at once are rollouts from each, and what came before matters."""

import pytest
import torch
from torch import Tensor, nn

from jepakit.nn.remembering_dynamics import RememberingDynamicsConfig
from jepakit.types import UserError


def dynamics(norm: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(0)
    return RememberingDynamicsConfig(hidden_dim=8).build(5, 3, norm or nn.Identity()).double()


def given(num_frames: int = 6) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(2, num_frames, 5).double(), torch.randn(2, num_frames - 1, 3).double()


def test_a_step_adds_what_memory_embedding_and_action_tell() -> None:
    model, (z, action) = dynamics(), given()
    memory = torch.zeros(2, 8).double()
    for t in range(3):
        memory = model.cell(torch.cat((z[:, t], action[:, t]), dim=1), memory)
    told = torch.cat((z[:, 2], action[:, 2], memory), dim=1)
    expected = z[:, 2] + model.step(torch.relu(model.seen(told)))
    torch.testing.assert_close(model.ahead(z, action, 1)[0][:, 2], expected)


def test_all_starts_at_once_are_rollouts_from_each() -> None:
    model, (z, action) = dynamics(), given()
    for k, predicted in enumerate(model.ahead(z, action, 3), start=1):
        assert predicted.shape == (2, 6 - k, 5)
        for t in range(6 - k):
            state = model.begin(z[:, : t + 1], action[:, :t])
            torch.testing.assert_close(predicted[:, t], model.rollout(state, action[:, t : t + k])[:, -1])


def test_candidates_share_the_memory_of_what_was_seen() -> None:
    model, (z, action) = dynamics(), given(4)
    plans = torch.randn(2, 7, 3, 3).double()
    state = model.begin(z, action)
    ahead = model.rollout(state.expand(7), plans)
    assert ahead.shape == (2, 7, 3, 5)
    torch.testing.assert_close(ahead[1, 4], model.rollout(state.select(torch.tensor([1])), plans[1:, 4])[0])


def test_what_was_before_the_last_frame_is_remembered_and_what_comes_after_is_not_seen() -> None:
    model, (z, action) = dynamics(), given()
    other = z.clone()
    other[:, 0] += 1.0
    early, late = (model.ahead(each, action, 1)[0] for each in (z, other))
    assert bool((early != late).any(dim=2).all())
    other = z.clone()
    other[:, 4] += 1.0
    torch.testing.assert_close(model.ahead(other, action, 1)[0][:, :4], early[:, :4])


def test_predictions_are_normalised_by_the_encoders_layer_which_stays_the_encoders() -> None:
    norm = nn.LayerNorm(5).double()
    model, (z, action) = dynamics(norm), given()
    assert bool((model.ahead(z, action, 1)[0].mean(-1).abs() < 1e-9).all())
    assert not any(p is norm.weight for p in model.parameters())


def test_a_memory_without_a_unit_and_actions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="at least one unit"):
        RememberingDynamicsConfig(hidden_dim=0)
    model, (z, action) = dynamics(), given()
    with pytest.raises(UserError, match="5 actions"):
        model.ahead(z, action[:, :-1], 1)
