"""The causal predictor is its own formula, a rollout is its own banded pass, and candidates share what was seen."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from scripts import script

from jepakit.nn.causal_dynamics import CausalDynamics, CausalDynamicsConfig, attend, band_mask
from jepakit.nn.dynamics import GRUDynamics, LatentState
from jepakit.nn.position import time_table, turn
from jepakit.nn.prefix_dynamics import PrefixDynamicsConfig
from jepakit.nn.window_dynamics import WindowDynamicsConfig
from jepakit.types import UserError

SMALL: dict[str, Any] = {"depth": 3, "num_heads": 2, "head_dim": 4, "mlp_dim": 16, "head_dim_hidden": 8}
FORMS: dict[str, Any] = {
    "vector": CausalDynamicsConfig(**SMALL),
    "narrow": CausalDynamicsConfig(**SMALL, window=1),
    "wide": CausalDynamicsConfig(**SMALL, window=20),
    "tokens": CausalDynamicsConfig(**SMALL, num_tokens=3, head="linear"),
    "appended": CausalDynamicsConfig(**SMALL, num_tokens=3, conditioning="concatenate", head="none"),
    "window": WindowDynamicsConfig(**SMALL),
    "window of tokens": WindowDynamicsConfig(**SMALL, num_tokens=3, conditioning="concatenate", head="none"),
    "prefix": PrefixDynamicsConfig(depth=2, num_heads=2, head_dim=4, mlp_dim=16),
}


def build(form: str) -> Any:
    model = FORMS[form].build(6, 2).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def clip(form: str, frames: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    num_tokens = getattr(FORMS[form], "num_tokens", 1)
    shape = (2, frames, 6) if num_tokens == 1 else (2, frames, num_tokens, 6)
    return torch.randn(shape, dtype=torch.float64), torch.randn(2, frames - 1, 2, dtype=torch.float64)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_asked_ahead_in_parallel_a_rollout_answers(form: str) -> None:
    model, (z, action) = build(form), clip(form)
    num_steps = 1 if form.startswith("window") else 5
    for k, asked in enumerate(model.ahead(z, action, num_steps), start=1):
        for t in range(9 - k):
            state = model.begin(z[:, : t + 1], action[:, :t]).expand(3)
            plan = torch.randn(2, 3, k, 2, dtype=torch.float64)
            plan[:, 1] = action[:, t : t + k]
            torch.testing.assert_close(asked[:, t], model.rollout(state, plan)[:, 1, -1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", ["vector", "wide", "tokens", "appended"])
def test_a_rollout_is_the_banded_pass_over_what_was_seen_and_imagined(form: str) -> None:
    model, (z, action) = build(form), clip(form, 5)
    plan = torch.randn(2, 4, 7, 2, dtype=torch.float64)
    rolled = model.rollout(model.begin(z, action).expand(4), plan)
    for candidate in range(4):
        whole = torch.cat((z, rolled[:, candidate]), dim=1)
        told = torch.cat((action, plan[:, candidate]), dim=1)
        again = model.ahead(whole, told, 1)[0][:, 4:]
        torch.testing.assert_close(again, rolled[:, candidate], rtol=1e-6, atol=1e-6)


def test_the_prediction_is_the_textbook_s() -> None:
    config = replace(FORMS["vector"], num_heads=2, head_dim=4)
    benchmark = script("benchmarks/planner_speed.py")
    model = CausalDynamics(config, 6, 2).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    z, action = clip("vector")
    textbook = benchmark.plain_pass(model, z[:, :-1], action)
    torch.testing.assert_close(model.ahead(z, action, 1)[0], textbook, rtol=1e-6, atol=1e-6)  # angles in float32
    plan = torch.randn(2, 3, 6, 2, dtype=torch.float64)
    plain = benchmark.plain_rollout(model, benchmark.Past(z, action), plan)
    torch.testing.assert_close(model.rollout(model.begin(z, action).expand(3), plan), plain, rtol=1e-5, atol=1e-6)


def test_a_prediction_depends_on_depth_times_window_frames_and_no_more() -> None:
    model, (z, action) = build("vector"), clip("vector", 12)
    reach = 3 * (3 - 1) + 1  # depth, window
    before = model.ahead(z, action, 1)[0][:, -1]
    for frame in range(11):
        changed = z.clone()
        changed[:, frame] += torch.randn(6, dtype=torch.float64)
        is_seen = not torch.equal(before, model.ahead(changed, action, 1)[0][:, -1])
        assert is_seen == (frame >= 11 - reach), frame
    state = model.begin(z, action)
    assert state.keys.shape[2] == 2  # of all frames before the last only those in its band are kept


def test_candidates_read_the_past_where_it_lies() -> None:
    model, (z, action) = build("vector"), clip("vector")
    state = model.begin(z, action)
    many = state.expand(1000)
    assert many.keys is state.keys and many.values is state.values
    chosen = torch.tensor([1, 0])
    plan = torch.randn(2, 1, 3, 2, dtype=torch.float64)
    whole = model.rollout(state.expand(1), plan)
    torch.testing.assert_close(model.rollout(state.select(chosen).expand(1), plan[chosen]), whole[chosen])


@pytest.mark.parametrize("form", ["vector", "tokens", "prefix"])
def test_gradients_reach_the_actions_of_a_plan(form: str) -> None:
    model, (z, action) = build(form), clip(form, 3)
    plan = torch.randn(2, 2, 4, 2, dtype=torch.float64, requires_grad=True)
    model.rollout(model.begin(z, action).expand(2), plan)[:, :, -1].sum().backward()
    assert plan.grad is not None and (plan.grad.abs().amax(-1) > 0).all()


@pytest.mark.parametrize("num_tokens", [1, 3])
def test_attention_over_parts_is_attention_over_all(num_tokens: int) -> None:
    query, *parts = torch.randn(6, 2, 5, num_tokens, 3, 4, dtype=torch.float64)
    own = [(parts[0], parts[1]), (parts[2], parts[3])]
    shared = torch.randn(2, 2, 4, num_tokens, 3, 4, dtype=torch.float64)
    mask = torch.rand(5, 4) < 0.6
    found = attend(query, own, (shared[0], shared[1]), mask)
    for s in range(5):
        seen = shared[:, :, mask[s]].flatten(2, 3)
        key, value = (torch.cat((own[0][side][:, s], own[1][side][:, s], seen[side]), dim=1) for side in (0, 1))
        share = torch.einsum("bnhc,bmhc->bhnm", query[:, s], key).div(math.sqrt(4)).softmax(-1)
        torch.testing.assert_close(found[:, s], torch.einsum("bhnm,bmhc->bnhc", share, value))


def test_a_band_holds_a_frame_and_those_before_it() -> None:
    assert band_mask(torch.tensor([0, 0, 1, 2]), 2).tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [False, False, True, True],
    ]


def test_turned_products_depend_on_how_far_apart_frames_are() -> None:
    table = time_table(30, 8)
    x, y = torch.randn(2, 8)
    products = [turn(x, table[t]) @ turn(y, table[t + 4]) for t in (0, 5, 25)]
    torch.testing.assert_close(products[1:], products[:1] * 2, rtol=1e-4, atol=1e-5)
    assert (turn(x, table[3]) @ turn(y, table[4]) - products[0]).abs() > 1e-3
    torch.testing.assert_close(turn(x, table[7]).norm(), x.norm())


def test_without_training_nothing_is_told_by_actions() -> None:
    model = FORMS["vector"].build(6, 2).eval()
    z, action = (part.float() for part in clip("vector"))
    assert torch.equal(model.ahead(z, action, 1)[0], model.ahead(z, -action, 1)[0])  # zero shifts, scales and gates
    prefix = FORMS["prefix"].build(6, 2)
    assert torch.equal(prefix.ahead(z, action, 2)[1], z[:, :-2])  # no change


def test_the_embedding_itself_is_a_gru_s_state() -> None:
    gru = GRUDynamics(6, 2, torch.nn.LayerNorm(6))
    z, plan = torch.randn(2, 6), torch.randn(2, 3, 2)
    assert torch.equal(gru.rollout(z, plan), gru.rollout(LatentState(z), plan))
    assert not [name for name, _ in gru.named_parameters() if "norm" in name]  # the encoder's, registered there


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"depth": 0}, "sizes of at least 1"),
        ({"max_frames": 1}, "and 2 frames"),
    ],
)
def test_sizes_without_a_meaning_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        replace(FORMS["vector"], **change)


def test_what_does_not_fit_is_one_sentence() -> None:
    model, (z, action) = build("vector"), clip("vector")
    with pytest.raises(UserError, match="takes 1 tokens of 6 numbers a frame"):
        model.begin(torch.zeros(2, 3, 5, dtype=torch.float64), action[:, :2])
    with pytest.raises(UserError, match="Between 9 frames there are 8 actions, got 7"):
        model.ahead(z, action[:, 1:], 1)
    with pytest.raises(UserError, match=r"sequences of 128 frames .* asked for 139"):
        model.rollout(model.begin(z, action).expand(1), torch.zeros(2, 1, 130, 2))
    with pytest.raises(UserError, match="rollout_steps=1"):
        build("window").ahead(z, action, 2)
    prefix = build("prefix")
    with pytest.raises(UserError, match="plans of 128 actions, got 130"):
        prefix.rollout(prefix.begin(z, action).expand(1), torch.zeros(2, 1, 130, 2))
