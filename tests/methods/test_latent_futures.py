"""A coin is tossed in every step: whoever knows no chance foresees the mean of both sides, a latent foresees each."""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from small_worlds import CAUSAL, NET, ROOMS, WORLDS, clips, shake
from torch import Tensor

from jepakit.evaluation.energies import foreseen, measured, supposed
from jepakit.methods.lewm import LeWM, LeWMConfig
from jepakit.random import Stream, seeded_init
from jepakit.types import ClipBatch, UserError

COIN = LeWMConfig(
    encoder=NET,
    preprocess=ROOMS,
    dynamics=replace(CAUSAL, depth=1, head="linear"),
    dim=4,
    projector_dim=8,
    num_slices=4,
    sigreg_weight=0.0,
    action_low=(-1.0,),
    action_high=(1.0,),
    latent_dim=1,
    latent_weight=3e-3,
)


class Tossed(LeWM):
    """A world model that is given where things are: a frame's first pixels, in eighths."""

    def embed(self, frames: Tensor, proprio: Tensor | None = None) -> Tensor:
        return frames[..., 0, 0, :4].to(self.dtype) / 8.0 - 16.0


NUM_STEPS = 300


def tosses(step: int, num: int = 64) -> ClipBatch:
    """Walk along the first axis as told, and along the second up or down as a coin says."""
    ids = step * num + torch.arange(num)
    drawn = Stream(0, "test/coins").uniform(0, ids, 3)
    return walked(drawn[:, 2:] * 2 - 1, drawn[:, :1, None] * 2 - 1, (drawn[:, 1:2] < 0.5) * 2.0 - 1.0, ids)


def walked(first: Tensor, action: Tensor, coin: Tensor, ids: Tensor) -> ClipBatch:
    place = torch.stack((action[..., 0], coin), dim=-1).cumsum(1)
    place = torch.cat((torch.zeros(len(ids), 1, 2), place), dim=1)
    place = torch.cat((place, first[:, None].expand(-1, 2, -1), torch.zeros(len(ids), 2, 1)), dim=-1)
    frames = torch.zeros(len(ids), 2, 2, 65, 65, dtype=torch.uint8)
    frames[..., 0, 0, :4] = ((place + 16.0) * 8.0).round().to(torch.uint8)
    return ClipBatch(frames, action, ids)


@lru_cache
def learned(latent_dim: int, weight: float = 3e-3) -> Any:
    config = replace(COIN, latent_dim=latent_dim, latent_weight=weight)
    with seeded_init(0, "weights"):
        model = Tossed(config, 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(NUM_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / NUM_STEPS)
        optimizer.zero_grad()
        model(tosses(step), step).loss.backward()
        optimizer.step()
    return model.eval()


def sides(model: Any) -> tuple[ClipBatch, Tensor]:
    """Return clips never seen, and where both sides of the first coin lead, (b, 2, d)."""
    clip = tosses(10**6)
    after = [walked(clip.frames[:, 0, 0, 0, 2:3] / 8.0 - 16.0, clip.action, side, clip.id) for side in (_UP, -_UP)]
    return clip, torch.stack([model.embed(each.frames)[:, 1] for each in after], dim=1)


_UP = torch.ones(64, 1)


def test_futures_are_both_sides_and_the_mean_is_neither() -> None:
    model, known = learned(1), learned(0)
    clip, both = sides(model)
    with torch.no_grad():
        futures = model.futures(model.observe(clip.frames[:, 0]), clip.action[:, :1], clip.id, 32)[:, :, 0, 0]
        one = known.rollout(known.observe(clip.frames[:, 0]).expand(1), clip.action[:, None, :1])[:, :, 0, 0]
    apart = torch.cdist(futures, both)
    assert apart.amin(1).mean() < 0.25, "some future is at each side"
    assert 0.35 < (apart[:, :, 0] < apart[:, :, 1]).float().mean() < 0.65, "as often as the coin falls"
    assert torch.cdist(one, both).amin(2).mean() > 0.7, "one answer is at neither"
    assert (one[:, 0, 1].abs() < 0.3).all(), "it is the mean"


def test_a_side_of_the_coin_surprises_nobody_who_supposes_several_futures() -> None:
    model = learned(1)
    clip = tosses(10**6)
    wrong = replace(clip, frames=clip.frames.clone())
    wrong.frames[:, 1:, 0, 0, 0] += 16  # two steps further than told, which no coin explains
    mean, lawful, unlawful = (
        measured(measure, each)[:, 0, 1]
        for measure, each in ((foreseen(model), clip), (supposed(model, 16), clip), (supposed(model, 16), wrong))
    )
    assert lawful.median() < 0.2 * mean.median()
    assert (lawful[:, None] < unlawful).float().mean() > 0.95


def test_a_channel_closed_by_its_price_tells_nothing_of_the_frame_to_come() -> None:
    closed, opened = learned(1, 100.0).train(), learned(1).train()
    clip = tosses(10**6)
    changed = replace(clip, frames=clip.frames.clone())
    changed.frames[:, 1, 0, 0, 1] += 16
    told = []
    for model in (closed, opened):
        with torch.no_grad():
            before, after = (model.predict(each, 0) for each in (clip, changed))
        told.append(float((before.z_hat - after.z_hat).abs().max()))
        model.eval()
        assert torch.equal(*(model.predict(each, 0).z_hat for each in (clip, changed))), "in use it tells nothing"
    assert closed.predict(clip, 0).aux == {}
    assert told[0] < 0.02 < 0.5 < told[1], "open it tells, which is what makes this a test"


@pytest.mark.parametrize("name", ["ebjepa_latent", "lewm_latent"])
def test_chance_is_a_function_of_seed_step_and_id(name: str) -> None:
    model, batch = WORLDS[name].build(seed=0, num_steps=1).double(), clips(name)
    shake(model)
    for module in model.modules():  # so that a batch holds what its clips would do alone
        module.train(not isinstance(module, torch.nn.modules.batchnorm._NormBase))
    at = slice(2, 3)
    alone = ClipBatch(batch.frames[at], batch.action[at], batch.id[at])
    thin = [model.thinned(each) for each in (batch, alone)]
    z, few = (model.embed(each.frames) for each in thin)
    whole, part = model.heard(z, thin[0], 5)[0], model.heard(few, thin[1], 5)[0]
    torch.testing.assert_close(whole[at], part)
    assert not torch.equal(whole, model.heard(z, thin[0], 6)[0])
    model.eval()
    one, two = (model.supposing(batch, draw).z_hat for draw in (0, 1))
    assert torch.equal(one, model.supposing(batch, 0).z_hat) and not torch.equal(one, two)


def test_a_model_that_knows_no_chance_says_so() -> None:
    model, batch = WORLDS["lewm"].build(seed=0, num_steps=1).eval(), clips("lewm")
    with pytest.raises(UserError, match="train it with latent_dim"):
        model.supposing(batch, 0)
    with pytest.raises(UserError, match="latent_dim is a number of numbers"):
        replace(WORLDS["lewm"], latent_dim=-1)
