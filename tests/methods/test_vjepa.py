import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from small_clips import CLIPS, ENCODER, SHARED, batch

from jepakit.masking import BandMask, RandomMask, TubeMask
from jepakit.methods import VJEPA, PixelsConfig, VJEPAConfig
from jepakit.storage import config_from_dict, config_to_dict
from jepakit.types import UserError
from jepakit.views import Preprocess

CONFIG = CLIPS["vjepa"]


@pytest.mark.parametrize("positions", ["sincos", "rotary", "rotary-released", "stored"])
def test_one_step_trains_every_weight_but_the_target(positions: str) -> None:
    method = replace(CONFIG, encoder=replace(ENCODER, positions=positions)).build(seed=0, num_steps=10)
    output = method(batch(), 0)
    assert output.energy.shape == (3,) and torch.isfinite(output.loss)
    output.loss.backward()
    for name, parameter in method.named_parameters():
        assert (parameter.grad is not None) == (not name.startswith("target.")), name
    without = {name for group in method.param_groups() if not group["decay"] for name in group["names"]}
    assert ("encoder.position_table" in without) == (positions == "stored")


def test_the_loss_is_the_mean_of_both_masks_and_each_asks_with_its_own_token() -> None:
    method = CONFIG.build(seed=0, num_steps=10).eval()
    with torch.no_grad():
        method.predictor.mask_token[1, 0, 0] += 2.0
    x, ids = method.preprocess(batch().video), torch.arange(3)
    target = F.layer_norm(method.target.encoder(x), (24,))
    means = []
    for kind, hidden in enumerate(method.hides(ids, 4)):
        s_x = method.encoder(x, hidden.context_idx)
        z_hat = method.predictor(s_x, hidden.context_idx, hidden.target_idx, kind=kind)[:, 0]
        z = target.gather(1, hidden.target_idx[:, 0, :, None].expand(-1, -1, 24))
        means.append((z_hat - z).abs().mean())
    prediction = method.questions(x, ids, 4)
    loss = method.objective(prediction, 4, 3).loss
    torch.testing.assert_close(loss, torch.stack(means).mean())
    assert abs(float((means[0] - means[1]).detach())) > 1e-4
    with torch.no_grad():
        method.predictor.mask_token[1, 0, 0] -= 2.0
    assert abs(float(method.objective(method.questions(x, ids, 4), 4, 3).loss.detach() - loss.detach())) > 1e-6


def test_one_pass_of_the_target_serves_all_masks(monkeypatch) -> None:
    method = CONFIG.build(seed=0, num_steps=10)
    calls = []
    tokens = method.target.tokens
    monkeypatch.setattr(method.target, "tokens", lambda x: calls.append(1) or tokens(x))
    assert len(method.hides(torch.arange(3), 0)) == 2
    method(batch(), 0)
    assert len(calls) == 1


def test_what_is_hidden_stays_hidden_and_the_target_sees_everything() -> None:
    method = CONFIG.build(seed=0, num_steps=10).eval()
    x, ids = method.preprocess(batch().video), torch.arange(3)
    for hidden in method.hides(ids, 1):
        place = int(hidden.target_idx[0, 0, 0])  # in the first moment: frames 0 and 1
        row, column = divmod(place, 4)
        changed = x.clone()
        changed[0, :2, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 1.0
        torch.testing.assert_close(
            method.encoder(changed, hidden.context_idx), method.encoder(x, hidden.context_idx), rtol=0, atol=0
        )
        other = int(hidden.target_idx[0, 0, -1])
        assert (method.target(changed)[0, other] - method.target(x)[0, other]).abs().max() > 1e-4


def test_masks_draw_for_themselves_though_they_are_alike() -> None:
    alike = RandomMask(grid=(2, 4, 4), target_fraction=0.5)
    config = replace(CONFIG, mask=alike, further_masks=(alike, alike), mask_tokens=1, mask_kinds=())
    method = config.build(seed=1, num_steps=10)
    first, second, third = (hidden.target_idx for hidden in method.hides(torch.arange(3), 0))
    assert not torch.equal(first, second) and not torch.equal(second, third)
    assert config.mask_kinds == (0, 0, 0)


def test_the_config_follows_the_encoder_and_survives_json() -> None:
    assert CONFIG.mask.grid == CONFIG.further_masks[0].grid == (2, 4, 4)
    assert CONFIG.mask_kinds == (0, 1)
    assert CONFIG.preprocess.num_frames == 4 and CONFIG.preprocess.shape == (16, 16)
    assert CONFIG.augment.frame.image_size == 16 and CONFIG.augment.frame.channels == 1
    assert config_from_dict(VJEPAConfig, json.loads(json.dumps(config_to_dict(CONFIG)))) == CONFIG


def test_a_saved_model_gives_the_same_energy_and_refuses_other_sizes(tmp_path: Path) -> None:
    method = CONFIG.build(seed=0, num_steps=10).eval()
    method.save_pretrained(tmp_path)
    x = method.preprocess(batch().video)
    torch.testing.assert_close(VJEPA.from_pretrained(tmp_path).energy(x), method.energy(x))
    assert method.encode(x).shape == (3, 24)
    with pytest.raises(UserError, match="energy takes inputs of 16x16"):
        method.energy(x[..., :12, :])
    with pytest.raises(UserError, match="energy takes clips of 4 frames, as in training, got 2"):
        method.energy(x[:, :2])


def test_pixels_of_tubelets_are_predicted_by_the_same_masks() -> None:
    config = PixelsConfig(**SHARED, mask=TubeMask(grid=(2, 4, 4)), standardise=False)
    method = config.build(seed=0, num_steps=10)
    x = method.preprocess(batch().video)
    tokens = method.target(x)
    assert tokens.shape == (3, 32, 1 * 2 * 4 * 4)
    torch.testing.assert_close(tokens[1, 16 + 5], x[1, 2:4, 0, 4:8, 4:8].flatten())
    method(batch(), 0).loss.backward()


def test_what_does_not_fit_together_is_one_sentence() -> None:
    with pytest.raises(UserError, match="hides patches of images and signals"):
        replace(CONFIG, mask=BandMask(grid=(4, 4)))
    with pytest.raises(UserError, match="encoder takes images; set its num_frames"):
        replace(CONFIG, encoder=replace(ENCODER, num_frames=0), mask=RandomMask(grid=(4, 4)), further_masks=())
    with pytest.raises(UserError, match="encoder takes clips; give ClipPreprocess"):
        replace(CONFIG, preprocess=Preprocess(image_size=16))
    with pytest.raises(UserError, match="names one of 2 mask token"):
        replace(CONFIG, mask_kinds=(0, 2))
