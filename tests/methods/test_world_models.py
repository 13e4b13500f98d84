"""World models ask about every step ahead from every start, by the published losses, and answer planners."""

from dataclasses import replace

import pytest
import torch
from einops import rearrange

from jepakit.jepa import energy_per_sample
from jepakit.methods.ebjepa_world import EBJEPAWorld, EBJEPAWorldConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.planning import CEM, WorldModel
from jepakit.types import ClipBatch, UserError
from jepakit.views import Preprocess
from jepakit.worlds import TwoRooms
from jepakit.worlds.stream import ClipStream
from jepakit.worlds.wandering import Wandering

CONFIG = EBJEPAWorldConfig(
    encoder=FrameNetConfig(patch_size=16, width=8, dim=16),
    preprocess=Preprocess(image_size=65, channels=2, mean=(0.01, 0.1), std=(0.04, 0.3)),
    action_low=(-2.45, -2.45),
    action_high=(2.45, 2.45),
    rollout_steps=4,
    inverse_dim=16,
)
STREAM = ClipStream(TwoRooms("random"), Wandering(), batch_size=6, num_frames=7)


def model(config: EBJEPAWorldConfig = CONFIG) -> EBJEPAWorld:
    return config.build(seed=0, num_steps=1).double()


def test_every_step_ahead_is_asked_from_every_start_and_answered_by_a_rollout() -> None:
    world, batch = model(), STREAM.batch(0)
    z = world.embed(batch.frames)
    asked = world.ahead(z, batch.action)
    starts = [(k, t) for k in range(1, 5) for t in range(7 - k)]
    assert len(asked.group) == 6 * len(starts)
    predicted = rearrange(asked.z_hat, "(b q) d -> b q d", b=6)
    true = rearrange(asked.z, "(b q) d -> b q d", b=6)
    for place, (k, t) in enumerate(starts):
        one_by_one = world.predictor.rollout(z[:, t], batch.action[:, t : t + k])[:, -1]
        torch.testing.assert_close(predicted[:, place], one_by_one)
        assert torch.equal(true[:, place], z[:, t + k])
    assert asked.group[: len(starts)].tolist() == [k for k, _ in starts]


def test_the_loss_is_the_published_one_by_hand() -> None:
    world, batch = model(), STREAM.batch(1)
    output = world(batch, 0)
    z = world.embed(batch.frames)
    by_step = []
    for k in range(1, 5):
        ahead = [
            world.predictor.rollout(z[:, t], batch.action[:, t : t + k])[:, -1] - z[:, t + k] for t in range(7 - k)
        ]
        by_step.append(torch.stack(ahead).square().mean())
    prediction = torch.stack(by_step).mean()
    frames = z.flatten(0, 1)
    variance = torch.relu(1 - torch.sqrt(frames.var(dim=0) + 1e-4)).mean()
    covariance = _off_diagonal(frames)
    slowness = (z[:, 1:] - z[:, :-1]).square().mean()
    told = world.inverse[0](torch.cat((z[:, :-1], 4 * (z[:, 1:] - z[:, :-1])), dim=-1))
    inverse = (told - batch.action).square().mean()
    loss = prediction + 16 * variance + 8 * covariance + 12 * slowness + inverse
    torch.testing.assert_close(output.loss, loss.to(output.loss.dtype))
    expected = {"prediction": prediction, "variance": variance, "covariance": covariance, "inverse": inverse}
    for name, value in expected.items():
        torch.testing.assert_close(output.terms[name], value.detach().to(output.terms[name].dtype), msg=name)


def test_inverse_dynamics_over_a_gap_is_told_the_sum_of_what_was_done() -> None:
    config = replace(CONFIG, inverse_gaps=(1, 3), frame_skip=2)
    world = model(config)
    stream = ClipStream(TwoRooms("random"), Wandering(), batch_size=6, num_frames=5, frame_skip=2)
    batch = stream.batch(1)
    z = world.embed(batch.frames)
    missed = 0.0
    for gap, inverse in zip((1, 3), world.inverse, strict=True):
        errors = []
        for t in range(5 - gap):
            done = batch.action[:, 2 * t : 2 * (t + gap)].sum(dim=1) / (2 * gap) ** 0.5
            errors.append(inverse(torch.cat((z[:, t], 4 * (z[:, t + gap] - z[:, t])), dim=-1)) - done)
        missed = missed + torch.stack(errors).square().mean()
    torch.testing.assert_close(world(batch, 0).terms["inverse"], torch.as_tensor(missed).float(), check_dtype=False)


def test_numbers_that_are_to_stay_have_a_slowness_of_their_own() -> None:
    plain, world, batch = model(), model(replace(CONFIG, still_dim=3, still_weight=20.0)), STREAM.batch(1)
    world.load_state_dict(plain.state_dict())
    z = world.embed(batch.frames)
    moved = (z[:, 1:] - z[:, :-1]).square()
    slow, still = moved[..., 3:].mean(), moved[..., :3].mean()
    output = world(batch, 0)
    torch.testing.assert_close(output.terms["stillness"], still.detach().float(), check_dtype=False)
    expected = plain(batch, 0).loss - 12 * moved.mean() + 12 * slow + 20 * still
    torch.testing.assert_close(output.loss, expected.to(output.loss.dtype))


@pytest.mark.parametrize("wrong", [{"still_dim": -1}, {"still_dim": 10**6}])
def test_an_embedding_that_would_not_move_at_all_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UserError, match="still_dim"):
        model(replace(CONFIG, **wrong))


@pytest.mark.parametrize("gaps", [(), (0,), (2, -1)])
def test_gaps_without_a_meaning_are_refused(gaps: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="inverse_gaps"):
        replace(CONFIG, inverse_gaps=gaps)


def _off_diagonal(z: torch.Tensor) -> torch.Tensor:
    matrix = torch.cov(z.T)
    return (matrix - torch.diag(matrix.diagonal())).square().sum() / z.shape[1]


def test_a_later_frame_changes_no_earlier_answer() -> None:
    world, batch = model().eval(), STREAM.batch(2)
    changed = replace(batch, frames=batch.frames.clone())
    changed.frames[:, -1] = 255 - changed.frames[:, -1]
    before, after = (world.ahead(world.embed(clip.frames), clip.action) for clip in (batch, changed))
    assert torch.equal(before.z_hat, after.z_hat)  # the last frame is nobody's start
    assert not torch.equal(before.z, after.z)


def test_the_energy_of_a_clip_is_that_of_its_questions() -> None:
    world, batch = model(), STREAM.batch(3)
    prediction = world.predict(batch, 0)
    energy = energy_per_sample(world.objective.energy(prediction), prediction, 6)
    torch.testing.assert_close(world(batch, 0).energy, energy.detach())
    torch.testing.assert_close(energy.mean(), world(batch, 0).terms["prediction"])


def test_a_planner_takes_it() -> None:
    world, batch = CONFIG.build(seed=0, num_steps=1), STREAM.batch(4)
    assert isinstance(world, WorldModel)
    plan = CEM(horizon=3, num_samples=8, num_elites=3, num_iterations=2)(world, batch.frames[:, 0], batch.frames[:, -1])
    assert plan.actions.shape == (6, 3, 2)
    state = world.observe(batch.frames[:, 0])
    shared = state.expand(5)
    assert shared.z.data_ptr() == state.z.data_ptr()  # memory is shared by candidates
    assert torch.equal(state.select(torch.tensor([4, 1])).z, state.z[[4, 1]])


def test_a_single_frame_has_no_energy() -> None:
    with pytest.raises(UserError, match="predicts what follows actions"):
        model().energy(torch.zeros(2, 2, 65, 65, dtype=torch.float64))


@pytest.mark.parametrize("bounds", [((), ()), ((1.0,), (1.0,)), ((-1.0, -1.0), (1.0,)), ((-float("inf"),), (1.0,))])
def test_bounds_without_a_meaning_are_refused(bounds: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    with pytest.raises(UserError, match="finite bounds"):
        replace(CONFIG, action_low=bounds[0], action_high=bounds[1])


def test_clips_are_a_function_of_the_step_and_never_repeat() -> None:
    later = dict(zip(range(3), (batch for _, batch in STREAM.from_step(5)), strict=False))
    assert torch.equal(later[2].frames, STREAM.batch(7).frames)
    assert later[0].id.tolist() == list(range(30, 36))
    parts = later[0].parts(4)
    assert [len(part) for part in parts] == [2, 2, 1, 1]
    assert torch.equal(torch.cat([part.action for part in parts]), later[0].action)
    assert isinstance(parts[0], ClipBatch)
    with pytest.raises(UserError, match="at least 2 frames"):
        replace(STREAM, num_frames=1)


def test_frames_that_are_skipped_are_those_of_the_whole_clip() -> None:
    thin, whole = replace(STREAM, num_frames=4, frame_skip=2).batch(3), STREAM.batch(3)
    assert torch.equal(thin.frames, whole.frames[:, ::2])
    assert torch.equal(thin.action, whole.action)
