"""Every world model gives energies of the same form, its own objective's, so that one calibration serves all."""

import pytest
import torch
from small_worlds import WORLDS, clips, shake

from jepakit.evaluation.energies import foreseen, measured, persisted
from jepakit.evaluation.surprise import calibrate, surprise
from jepakit.types import ClipBatch


@pytest.mark.parametrize("name", WORLDS)
def test_each_model_says_how_surprised_it_is(name: str) -> None:
    model = WORLDS[name].build(seed=0, num_steps=1)
    shake(model)
    clip = model.thinned(clips(name, num=12))
    found = measured(foreseen(model), clip)
    num_frames = clip.frames.shape[1]
    horizons = min(model.rollout_steps, num_frames - 1)
    assert found.shape == (12, horizons, num_frames)
    for k in range(1, horizons + 1):
        assert bool(found[:, k - 1, :k].isnan().all())
        assert bool(found[:, k - 1, k:].isfinite().all())
    model.eval()
    with torch.no_grad():
        whole = model(clip, 0).energy
    if name != "pixel_world":  # which is also asked to draw the present frame
        torch.testing.assert_close(found.nanmean(dim=2).mean(dim=1), whole, rtol=1e-4, atol=1e-5)
    assert measured(persisted(model, 2), clip).shape == (12, min(2, num_frames - 1), num_frames)
    said = surprise(foreseen(model), calibrate(foreseen(model), clip), clip, rate=0.2)
    assert said.score.shape == (12, num_frames)


def test_a_later_frame_surprises_nobody_before_it() -> None:
    model = WORLDS["lewm"].build(seed=0, num_steps=1)
    shake(model)
    clip = clips("lewm")
    frames = clip.frames.clone()
    frames[:, 4] = 255 - frames[:, 4]
    one, other = (measured(foreseen(model), ClipBatch(seen, clip.action, clip.id)) for seen in (clip.frames, frames))
    assert torch.equal(one[:, :, 1:4].nan_to_num(), other[:, :, 1:4].nan_to_num())
    assert bool((one[:, 0, 4] != other[:, 0, 4]).all())
