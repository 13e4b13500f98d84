"""The losses of the world models are the published ones, by hand; seconds of training teach them something."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from losses_by_hand import sigreg
from small_worlds import CAUSAL, NET, ROOMS, WORLDS, clips, shake

from jepakit.methods.dino_wm import DINOWM
from jepakit.methods.lewm import LeWMConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.random import seeded_init
from jepakit.worlds import TwoRooms
from jepakit.worlds.stream import ClipStream
from jepakit.worlds.wandering import Wandering

SEED, STEP = 3, 5


def build(name: str, **changes: Any) -> Any:
    model = replace(WORLDS[name], **changes).build(seed=SEED, num_steps=1).double().eval()
    shake(model)
    return model


def test_lewm_predicts_the_next_embedding_and_keeps_each_time_step_gaussian() -> None:
    model, batch = build("lewm"), clips("lewm", num=8)
    x = ROOMS(batch.frames.flatten(0, 1)).double()
    z = model.projector(model.encoder(x).mean(dim=1)).unflatten(0, (8, 7))
    told = [
        model.predictor.rollout(
            model.predictor.begin(z[:, : t + 1], batch.action[:, :t]), batch.action[:, None, t : t + 1]
        )
        for t in range(6)
    ]
    ahead = torch.stack([part[:, 0, 0] for part in told], dim=1)
    gaussian = torch.stack([sigreg(z[:, t], 16) for t in range(7)]).mean()
    expected = (ahead - z[:, 1:]).square().mean() + 0.09 * 128 * gaussian
    torch.testing.assert_close(model(batch, STEP).loss, expected, rtol=1e-6, atol=0)


def test_motion_asks_that_what_moves_within_clips_is_gaussian_too() -> None:
    model, batch = build("lewm", motion_weight=3.0), clips("lewm", num=8)
    z = model.embed(batch.frames)
    within = 2**0.5 * (z - z.mean(dim=1, keepdim=True))
    output = model(batch, STEP)
    expected = torch.stack([sigreg(within[:, t], 16) for t in range(7)]).mean().detach()
    torch.testing.assert_close(output.terms["motion"], expected, rtol=1e-6, atol=0)
    whole = output.terms["prediction"] + 11.52 * output.terms["sigreg"] + 3.0 * expected
    torch.testing.assert_close(output.loss.detach(), whole)


def test_straightening_and_inverse_dynamics_are_added_as_written() -> None:
    changes = {"straightening_weight": 0.3, "inverse_weight": 2.0}
    model, batch = build("lewm", **changes), clips("lewm")
    z = model.embed(batch.frames)
    speed = z[:, 1:] - z[:, :-1]
    cosine = (speed[:, :-1] * speed[:, 1:]).sum(-1) / (speed[:, :-1].norm(dim=-1) * speed[:, 1:].norm(dim=-1))
    told = model.inverse(torch.cat((z[:, :-1], z[:, 1:]), dim=-1))
    output = model(batch, STEP)
    torch.testing.assert_close(output.terms["straightening"], (1 - cosine).mean().detach())
    torch.testing.assert_close(output.terms["inverse"], (told - batch.action).square().mean().detach())
    plain = output.terms["prediction"] + 11.52 * output.terms["sigreg"]
    expected = plain + 0.3 * output.terms["straightening"] + 2.0 * output.terms["inverse"]
    torch.testing.assert_close(output.loss.detach(), expected)


def test_dino_wm_is_the_error_of_the_next_frames_tokens() -> None:
    model, batch = build("dino_wm"), clips("dino_wm")
    assert batch.proprio is not None
    tokens = model.encoder(ROOMS(batch.frames.flatten(0, 1)).double()).unflatten(0, (6, 7))
    felt = model.proprio(batch.proprio.double())[:, :, None].expand(-1, -1, 25, -1)
    z = torch.cat((tokens, felt), dim=-1)
    errors = []
    for t in range(6):
        state = model.predictor.begin(z[:, : t + 1], batch.action[:, :t])
        ahead = model.predictor.rollout(state, batch.action[:, None, t : t + 1])[:, 0, 0]
        errors.append((ahead - z[:, t + 1]).square().mean())
    torch.testing.assert_close(model(batch, STEP).loss, torch.stack(errors).mean(), rtol=1e-6, atol=0)


def test_what_dino_wm_predicts_carries_no_gradient() -> None:
    prediction = build("dino_wm").predict(clips("dino_wm"), STEP)
    assert prediction.z_hat.requires_grad and not prediction.z.requires_grad


def test_dino_wm_freezes_what_it_is_given() -> None:
    config = WORLDS["dino_wm"]
    with seeded_init(9, "another"):
        trained = config.encoder.build()
    model = config.build(seed=0, num_steps=1, encoder=trained)
    assert isinstance(model, DINOWM)
    before = [p.clone() for p in model.encoder.parameters()]
    for ours, theirs in zip(before, trained.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert all(p.requires_grad for p in trained.parameters())  # a copy is frozen
    assert not model.train().encoder.training
    learn(model, clips("dino_wm"), 2)
    assert all(torch.equal(a, b) for a, b in zip(before, model.encoder.parameters(), strict=True))


def test_pixels_are_drawn_at_every_step_ahead_and_nothing_else_counts() -> None:
    model, batch = build("pixel_world"), clips("pixel_world")
    x = ROOMS(batch.frames.flatten(0, 1)).double()
    pixels, z = x.unflatten(0, (6, 7)), model.encoder(x)[:, 0].unflatten(0, (6, 7))
    errors = [(model.decoder(z.flatten(0, 1)) - x).square().mean()]
    for k in (1, 2):
        rolled = [model.predictor.rollout(z[:, t], batch.action[:, t : t + k])[:, -1] for t in range(7 - k)]
        drawn = torch.stack([model.decoder(part) for part in rolled], dim=1)
        errors.append((drawn - pixels[:, k:]).square().mean())
    torch.testing.assert_close(model(batch, STEP).loss, torch.stack(errors).mean(), rtol=1e-6, atol=0)
    assert model.imagine(z[:, 0]).dtype == torch.uint8


def test_pixels_drawn_from_a_few_starts_are_the_same_loss_in_the_mean() -> None:
    config = replace(WORLDS["pixel_world"], num_starts=1, dynamics=ResidualDynamicsConfig(hidden_dim=16, depth=1))
    model, batch = config.build(seed=0, num_steps=1).double(), clips("pixel_world")
    whole = model.eval().predict(batch, 0)
    model.train()
    asked = [model.predict(batch, step) for step in range(40)]
    assert [len(few.z) for few in asked] == 40 * [6 * 3]  # of 6 clips one start for each of 0, 1 and 2 steps ahead
    drawn = torch.stack([few.z.view(6, 3, -1) for few in asked])
    for k in range(3):
        known = [whole.z[(whole.sample == clip) & (whole.group == k)] for clip in range(6)]
        chosen = [
            [int((frames == row).all(1).nonzero()[0]) for row in drawn[:, i, k]] for i, frames in enumerate(known)
        ]
        assert all(set(starts) == set(range(7 - k)) for starts in chosen)  # every start has its turn
        assert len({tuple(starts) for starts in chosen}) == 6  # each clip its own
    of_each_step = torch.stack([model.objective(few, 0, 6).loss.detach() for few in asked])
    truth = model.objective(whole, 0, 6).loss.detach()
    assert abs(float(of_each_step.mean() - truth)) < 4 * float(of_each_step.std()) / 40**0.5
    assert len(model.eval().predict(batch, 0).z) == len(whole.z)


def test_an_encoder_that_stays_as_it_was_drawn_lets_the_predictor_learn() -> None:
    config = replace(WORLDS["ebjepa"], freeze_encoder=True)
    model, open_ = config.build(seed=0, num_steps=1), WORLDS["ebjepa"].build(seed=0, num_steps=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert all(torch.equal(value, before[name]) for name, value in open_.state_dict().items())  # the same draws
    losses = learn(model, clips("ebjepa"), 60, rate=1e-2)
    assert losses[-1] < 0.5 * losses[0]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) == name.startswith("encoder."), name


def learn(model: Any, batch: Any, num_steps: int, rate: float = 3e-3) -> list[float]:
    """Train on one batch after another, and return the prediction's share of the loss at each."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], rate)
    seen = []
    for step in range(num_steps):
        output = model(batch(step) if callable(batch) else batch, step)
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        seen.append(float(output.terms["prediction"]))
    return seen


FIXED = ClipStream(TwoRooms("fixed"), Wandering(), batch_size=32, num_frames=4)


@pytest.mark.parametrize("name", ["lewm", "lewm_prefix"])
def test_seconds_of_lewm_teach_where_the_dot_is_without_collapse(name: str) -> None:
    torch.manual_seed(0)
    model = replace(WORLDS[name], rollout_steps=1, num_slices=64).build(seed=0, num_steps=1)
    stream = dict(zip(range(80), (clip for _, clip in FIXED.from_step(0)), strict=False))
    learn(model.train(), stream.__getitem__, 80)
    model.eval()
    world, fit = FIXED.world, []
    for start in (2000, 4000):
        state = world.start(torch.arange(start, start + 200))
        with torch.no_grad():
            z = model.encode(model.preprocess(world.render(state)))
        fit.append((torch.cat((z, torch.ones(200, 1)), dim=1), state.position))
    (x, y), (x_held, y_held) = fit
    missed = (x_held @ torch.linalg.lstsq(x, y).solution - y_held).norm(dim=1).mean()
    assert missed < 0.7 * (y_held - y.mean(dim=0)).norm(dim=1).mean()
    assert x_held[:, :-1].std(dim=0).mean() > 0.3


def test_seconds_of_dino_wm_halve_the_error() -> None:
    torch.manual_seed(0)
    losses = learn(replace(WORLDS["dino_wm"], proprio_dim=0).build(seed=0, num_steps=1), FIXED.batch(0), 25)
    assert losses[-1] < 0.5 * losses[0]


def test_seconds_of_pixels_draw_better_than_the_mean_frame() -> None:
    torch.manual_seed(0)
    batch = FIXED.batch(0).parts(4)[0]
    losses = learn(WORLDS["pixel_world"].build(seed=0, num_steps=1), batch, 50, rate=1e-2)
    pixels = ROOMS(batch.frames.flatten(0, 1))
    assert losses[-1] < 0.6 * losses[0]
    assert losses[-1] < float((pixels - pixels.mean()).square().mean())


def test_a_batch_norm_head_and_the_paper_s_sizes_make_the_published_predictor() -> None:
    config = LeWMConfig(encoder=NET, preprocess=ROOMS, action_low=(-1.0,) * 2, action_high=(1.0,) * 2, frame_skip=5)
    model = config.build(seed=0, num_steps=1)
    without_head = sum(p.numel() for n, p in model.predictor.named_parameters() if not n.startswith("head"))
    assert abs(without_head / 1e6 - 10.8) < 0.2  # the predictor of 10.8M weights
    assert CAUSAL.window == 3
