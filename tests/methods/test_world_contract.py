"""Every world model keeps one contract: questions, rollouts, gradients, planners, files and time's arrow."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
from small_worlds import WORLDS, clips, shake

from jepakit.nn.dynamics import Dynamics
from jepakit.planning import CEM, WorldModel
from jepakit.types import ClipBatch, Method, UserError

NAMES = tuple(WORLDS)
CONTINUOUS = tuple(name for name in NAMES if name != "lewm_choices")


def build(name: str) -> Any:
    model = WORLDS[name].build(seed=0, num_steps=1).double().eval()
    shake(model)
    return model


def cut(clip: ClipBatch, first: int, frames: int) -> ClipBatch:
    """Return part of a clip: so many frames from one on, and the actions between them."""
    last = first + frames
    proprio = None if clip.proprio is None else clip.proprio[:, first:last]
    return ClipBatch(clip.frames[:, first:last], clip.action[:, first : last - 1], clip.id, proprio)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_follows_the_protocol_and_its_loss_is_the_sum_of_its_terms(name: str) -> None:
    model, batch = WORLDS[name].build(seed=0, num_steps=1), clips(name)
    assert isinstance(model, Method) and isinstance(model.predictor, Dynamics)
    output = model(batch, 0)
    assert output.energy.shape == (6,) and not output.energy.requires_grad
    objective, terms = model.objective, output.terms
    weights = {key: term.weight for key, term in objective.terms.items()} | {"prediction": 1.0}
    expected = sum(weights.get(key, objective.aux_weights.get(key, 1.0)) * value for key, value in terms.items())
    torch.testing.assert_close(output.loss, expected)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "pixel_world"])
def test_questions_asked_in_parallel_are_answered_by_rollouts(name: str) -> None:
    model, batch = build(name), clips(name)
    skip = model.frame_skip
    thin = model.thinned(batch)
    asked = model.ahead(model.embed(thin.frames, thin.proprio), model.told(thin.action))
    num_frames, q = thin.frames.shape[1], len(asked.group) // 6
    true, predicted = asked.z.view(6, q, -1), asked.z_hat.view(6, q, -1)
    place = 0
    for k in range(1, min(model.rollout_steps, num_frames - 1) + 1):
        for t in range(num_frames - k):
            state = model.observe(cut(batch, 0, t * skip + 1))
            plan = torch.stack((batch.action[:, t * skip : (t + k) * skip],) * 2, dim=1).double()
            rolled = model.rollout(state.expand(2), plan)
            assert rolled.shape[:3] == (6, 2, k)
            n = rolled.shape[3]
            torch.testing.assert_close(predicted[:, place : place + n], rolled[:, 1, -1])
            goal = model.encode_goal(cut(batch, (t + k) * skip, 1))
            torch.testing.assert_close(true[:, place : place + n], goal)
            assert asked.group.view(6, q)[:, place : place + n].eq(k).all()
            place += n
    assert place == q


@pytest.mark.parametrize("name", NAMES)
def test_every_trained_weight_gets_gradient_and_only_those(name: str) -> None:
    model = WORLDS[name].build(seed=0, num_steps=1)
    shake(model)
    model(clips(name), 0).loss.backward()
    for parameter_name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, parameter_name
        is_frozen = name == "dino_wm" and parameter_name.startswith("encoder.")
        assert parameter.requires_grad != is_frozen, parameter_name


@pytest.mark.parametrize("name", NAMES)
def test_a_later_frame_changes_no_earlier_answer(name: str) -> None:
    model, batch = build(name), clips(name)
    changed = replace(batch, frames=batch.frames.clone())
    changed.frames[:, -1] = 255 - changed.frames[:, -1]
    before, after = (model.predict(clip, 0) for clip in (batch, changed))
    asks = before.group > 0  # the drawing of a frame from itself is no prediction
    torch.testing.assert_close(before.z_hat[asks], after.z_hat[asks], rtol=0, atol=0)
    assert not torch.equal(before.z, after.z)
    changed = replace(batch, frames=batch.frames.clone())
    changed.frames[:, 2 * model.frame_skip] = 255 - changed.frames[:, 2 * model.frame_skip]
    after = model.predict(changed, 0)
    for k in range(1, int(before.group.max()) + 1):
        one, other = (part.z_hat[part.group == k].unflatten(0, (6, -1)) for part in (before, after))
        num_starts = model.thinned(batch).frames.shape[1] - k
        earlier = 2 * one.shape[1] // num_starts  # rows of the starts before the frame that was changed
        torch.testing.assert_close(one[:, :earlier], other[:, :earlier], rtol=1e-12, atol=1e-12)
        assert num_starts <= 2 or not torch.equal(one[:, earlier:], other[:, earlier:])


@pytest.mark.parametrize("name", NAMES)
def test_an_action_changes_what_follows_it_and_nothing_before(name: str) -> None:
    model, batch = build(name), clips(name)
    state = model.observe(cut(batch, 0, 1)).expand(2)
    plan = torch.stack((batch.action[:, :6], batch.action[:, :6]), dim=1).double()
    plan[:, 1, 4] = (plan[:, 1, 4] + 1) % 4 if name == "lewm_choices" else -plan[:, 1, 4]
    one, other = model.rollout(state, plan).unbind(1)
    first = 4 // model.frame_skip
    torch.testing.assert_close(one[:, :first], other[:, :first], rtol=0, atol=0)
    assert (one[:, first:] - other[:, first:]).abs().flatten(2).amax(-1).min() > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_is_the_same(name: str, tmp_path: Path) -> None:
    model = WORLDS[name].build(seed=0, num_steps=1)
    shake(model)
    model(clips(name), 0)  # BatchNorms have seen something
    model.eval().save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert again.config == model.config
    first, second = (m.predict(clips(name, step=1), 0).z_hat for m in (model, again))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_a_planner_takes_it_with_and_without_a_past(name: str) -> None:
    model, batch = WORLDS[name].build(seed=0, num_steps=1).eval(), clips(name)
    assert isinstance(model, WorldModel)
    planner = CEM(horizon=4, num_samples=6, num_elites=3, num_iterations=2)
    for past in (1, 3):
        plan = planner(model, cut(batch, 0, past), cut(batch, 6, 1))
        assert plan.actions.shape == (6, 4, 2)
        alone = planner(
            model, *(replace_batch(cut(batch, *part), 2) for part in ((0, past), (6, 1))), ids=torch.tensor([2])
        )
        torch.testing.assert_close(plan.actions[2:3], alone.actions, rtol=1e-3, atol=1e-3)


def replace_batch(clip: ClipBatch, index: int) -> ClipBatch:
    at = slice(index, index + 1)
    return ClipBatch(clip.frames[at], clip.action[at], clip.id[at], None if clip.proprio is None else clip.proprio[at])


@pytest.mark.parametrize("name", NAMES)
def test_states_are_chosen_and_shared(name: str) -> None:
    model, batch = build(name), clips(name)
    state = model.observe(cut(batch, 0, 5))
    plan = batch.action[:, None, :4].double()
    chosen = torch.tensor([4, 1])
    whole = model.rollout(state.expand(1), plan)
    torch.testing.assert_close(model.rollout(state.select(chosen).expand(1), plan[chosen]), whole[chosen])
    many = state.expand(3)
    assert many.z.untyped_storage().data_ptr() == state.z.untyped_storage().data_ptr()


def test_choices_are_told_as_one_hot_vectors() -> None:
    model = build("lewm_choices")
    assert model.action_space == gymnasium.spaces.Discrete(4)
    told = model.told(torch.tensor([[[2.0], [0.0]]]))
    assert told.tolist() == [[[0, 0, 1, 0], [1, 0, 0, 0]]]


def test_blocks_of_actions_stand_side_by_side_and_frames_between_them_are_not_looked_at() -> None:
    model, batch = build("lewm_all"), clips("lewm_all")
    thin = model.thinned(batch)
    assert torch.equal(thin.frames, batch.frames[:, ::2]) and torch.equal(thin.proprio, batch.proprio[:, ::2])
    assert torch.equal(model.told(batch.action), batch.action.reshape(6, 3, 4))
    assert model.thinned(thin) == thin  # already without them
    changed = replace(batch, frames=batch.frames.clone())
    changed.frames[:, 1::2] = 0
    assert torch.equal(model.predict(batch, 0).z_hat, model.predict(changed, 0).z_hat)


@pytest.mark.parametrize("name", ("lewm_all", "dino_wm"))
def test_what_is_felt_is_part_of_the_embedding(name: str) -> None:
    model, batch = build(name), clips(name)
    felt = replace(batch, proprio=batch.proprio + 1)  # type: ignore[operator]
    assert not torch.equal(model.predict(batch, 0).z_hat, model.predict(felt, 0).z_hat)
    with pytest.raises(UserError, match="takes 3 numbers of proprioception a frame, got 0"):
        model.predict(replace(batch, proprio=None), 0)
    with pytest.raises(UserError, match="takes 3 numbers of proprioception a frame, got 0"):
        model.observe(batch.frames[:, 0])


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("lewm", (6, 1, 4, 3), "actions of 2 numbers in blocks of 1 .*, got 4 of 3"),
        ("lewm_all", (6, 1, 3, 2), "in blocks of 2 .*, got 3 of 2"),
        ("lewm", (6, 1, 200, 2), "sequences of 128 frames .* asked for 201"),
        ("lewm_prefix", (6, 1, 200, 2), "plans of 128 actions, got 200"),
    ],
)
def test_plans_that_do_not_fit_are_refused(name: str, shape: tuple[int, ...], sentence: str) -> None:
    model, batch = build(name), clips(name)
    with pytest.raises(UserError, match=sentence):
        model.rollout(model.observe(cut(batch, 0, 1)).expand(1), torch.zeros(shape, dtype=torch.float64))


def test_frames_and_actions_that_do_not_fit_are_refused() -> None:
    batch = clips("lewm")
    with pytest.raises(UserError, match="7 frames and 5 actions are no clip"):
        build("lewm").predict(replace(batch, action=batch.action[:, 1:]), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"action_low": (), "action_high": ()},
        {"num_actions": 3},
        {"num_actions": 1, "action_low": (), "action_high": ()},
        {"action_low": (float("nan"), 0.0)},
        {"frame_skip": 0},
        {"proprio_dim": -1},
    ],
)
def test_settings_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        replace(WORLDS["lewm"], **wrong)
