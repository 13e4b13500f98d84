"""Every method keeps the contract: what is hidden stays hidden, targets get no gradient, draws depend on ids alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_methods import CONFIGS, MASKED_NAMES, batch, build
from tiny_runs import tiny_series

from jepakit.jepa import JEPA, EncodeThenIndex
from jepakit.types import Method, StepOutput, UserError

NAMES = tuple(CONFIGS)


@pytest.mark.parametrize("name", NAMES)
def test_step_follows_the_protocol(name: str) -> None:
    method = build(name)
    assert isinstance(method, Method)
    output = method(batch(), 0)
    assert isinstance(output, StepOutput)
    assert output.loss.shape == () and output.loss.requires_grad
    assert all(not term.requires_grad and torch.isfinite(term) for term in output.terms.values())
    assert output.energy.shape == (12,)
    assert not output.energy.requires_grad


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_the_weighted_sum_of_its_logged_terms(name: str) -> None:
    method = build(name)
    output = method(batch(), 3)
    objective = method.objective
    expected = objective.prediction_weight * output.terms["prediction"]
    for term_name, term in objective.terms.items():
        expected = expected + term.weight * output.terms[term_name]
    torch.testing.assert_close(output.loss, expected)


@pytest.mark.parametrize("name", NAMES)
def test_every_trained_weight_gets_gradient_and_only_those(name: str) -> None:
    method = build(name)
    method(batch(), 0).loss.backward()
    for parameter_name, parameter in method.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, parameter_name


@pytest.mark.parametrize("name", NAMES)
def test_param_groups_hold_each_trained_weight_once(name: str) -> None:
    method = build(name)
    groups = method.param_groups()
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in method.parameters() if p.requires_grad)
    without = [n for group in groups if not group["decay"] for n in group["names"]]
    assert all(p.ndim == 1 or n.endswith("_token") for n, p in method.named_parameters() if n in without)
    assert all(n.endswith((".bias", "_token")) or "norm" in n or p.ndim == 1
               for n, p in method.named_parameters() if n in without)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_draws_depend_on_the_id_and_not_on_the_batch(name: str) -> None:
    method = build(name).eval()
    whole, part = batch(12), batch(6, start=6)
    with torch.no_grad():
        energy = method(whole, 5).energy
        energy_part = method(part, 5).energy
    if name == "lejepa" or name in MASKED_NAMES or name in ("vicreg", "transform_jepa"):
        torch.testing.assert_close(energy[6:], energy_part, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ("ijepa", "ijepa_whitened", "ijepa_sigreg"))
def test_a_non_target_patch_changes_the_target_embedding(name: str) -> None:
    method = build(name).eval()
    x, ids = torch.randn(2, 3, 16, 16), torch.arange(2)
    hidden = method.hide(ids, 0)
    seen = int(hidden.context_idx[0, 0])
    changed = x.clone()
    row, column = divmod(seen, 4)
    changed[0, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 1.0
    before, after = (method.questions(images, ids, 0).z for images in (x, changed))
    of_first = method.questions(x, ids, 0).sample == 0
    assert (before[of_first] - after[of_first]).abs().amax(dim=1).min() > 1e-5
    torch.testing.assert_close(before[~of_first], after[~of_first])


@pytest.mark.parametrize("name", MASKED_NAMES)
def test_a_target_patch_never_changes_what_the_context_encoder_sees(name: str) -> None:
    method = build(name).eval()
    x, ids = torch.randn(2, 3, 16, 16), torch.arange(2)
    hidden = method.hide(ids, 0)
    changed = x.clone()
    for target in hidden.target_idx[0].flatten().tolist():
        row, column = divmod(target, 4)
        changed[0, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 9.0
    s_x, s_x_changed = (method.encoder(images, hidden.context_idx) for images in (x, changed))
    assert torch.equal(s_x, s_x_changed)
    z_hat, z_hat_changed = (method.questions(images, ids, 0).z_hat for images in (x, changed))
    assert torch.equal(z_hat, z_hat_changed)


SERIES = ("series-ijepa", "series-ijepa-sigreg", "series-values")


def series_method(name: str) -> Any:
    """Return a small method of windows of 3 channels x 24 moments, 6 patches a channel."""
    config: Any = tiny_series(Path("record.csv"), name).method
    encoder, preprocess = replace(config.encoder, image_size=(3, 24)), replace(config.preprocess, signal_channels=3)
    return replace(config, encoder=encoder, preprocess=preprocess).build(seed=0, num_steps=20).eval()


def with_patch(x: torch.Tensor, patch: int) -> torch.Tensor:
    """Return windows of which one patch of the first holds other values."""
    channel, column = divmod(patch, 6)
    changed = x.clone()
    changed[0, 0, channel, 4 * column : 4 * column + 4] += torch.tensor([1.0, -2.0, 3.0, -1.0])
    return changed


@pytest.mark.parametrize("name", SERIES[:2])
def test_other_moments_of_a_series_change_what_is_to_be_predicted(name: str) -> None:
    method = series_method(name)
    x, ids = method.preprocess(torch.randn(2, 3, 24)), torch.arange(2)
    seen = int(method.hide(ids, 0).context_idx[0, 0])
    before, after = (method.questions(windows, ids, 0) for windows in (x, with_patch(x, seen)))
    of_first = before.sample == 0
    assert (before.z[of_first] - after.z[of_first]).abs().amax(dim=1).min() > 1e-5
    torch.testing.assert_close(before.z[~of_first], after.z[~of_first])


@pytest.mark.parametrize("name", SERIES)
def test_hidden_moments_of_a_series_never_reach_the_context_encoder(name: str) -> None:
    method = series_method(name)
    x, ids = method.preprocess(torch.randn(2, 3, 24)), torch.arange(2)
    hidden = method.hide(ids, 0)
    changed = x
    for target in hidden.target_idx[0].flatten().tolist():
        changed = with_patch(changed, target)
    s_x, s_x_changed = (method.encoder(windows, hidden.context_idx) for windows in (x, changed))
    assert torch.equal(s_x, s_x_changed)
    before, after = (method.questions(windows, ids, 0) for windows in (x, changed))
    assert torch.equal(before.z_hat, after.z_hat)
    assert float((before.z - after.z).detach().abs().max()) > 1e-3


@pytest.mark.parametrize("name", ("lejepa", "vicreg", "transform_jepa"))
def test_the_other_view_never_changes_what_the_first_one_encodes(name: str) -> None:
    method = build(name).eval()
    images = batch(4)
    views = method.make_views(images.image, images.id, 0)
    z = method.embed(views)
    other = [*views[:-1], type(views[-1])(image=views[-1].image + 1.0, params=views[-1].params)]
    torch.testing.assert_close(z[:, :-1], method.embed(other)[:, :-1])
    assert (z[:, -1] - method.embed(other)[:, -1]).abs().max() > 1e-4


def test_no_gradient_reaches_a_moving_target() -> None:
    method = build("ijepa")
    output = method(batch(), 0)
    output.loss.backward()
    assert all(p.grad is None and not p.requires_grad for p in method.target.parameters())
    x = torch.randn(2, 3, 16, 16, requires_grad=True)
    assert not method.target(x).requires_grad


def test_the_moving_target_follows_after_a_step() -> None:
    method = build("ijepa")
    before = [p.clone() for p in method.target.parameters()]
    with torch.no_grad():
        for p in method.encoder.parameters():
            p.add_(1.0)
    method.after_step(0)
    for p, old, live in zip(method.target.parameters(), before, method.encoder.parameters(), strict=True):
        torch.testing.assert_close(p, 0.9 * old + 0.1 * live.detach())


@pytest.mark.parametrize("name", ("ijepa", "ijepa_sigreg", "pixels", "transform_jepa"))
def test_energy_is_one_number_per_input_and_ignores_its_neighbours(name: str) -> None:
    method = build(name).eval()
    x = torch.randn(5, 3, 16, 16)
    energy = method.energy(x)
    assert energy.shape == (5,) and bool((energy > 0).all())
    torch.testing.assert_close(energy[3:4], method.energy(x[3:4]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ("lejepa", "vicreg"))
def test_methods_without_a_predictor_refuse_an_energy(name: str) -> None:
    with pytest.raises(UserError, match="has no predictor"):
        build(name).energy(torch.randn(2, 3, 16, 16))


@pytest.mark.parametrize("name", NAMES)
def test_save_pretrained_round_trip_is_exact(name: str, tmp_path: object) -> None:
    method = build(name).eval()
    method.save_pretrained(tmp_path)
    again = type(method).from_pretrained(tmp_path)
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(method.encode(x), again.encode(x))
    assert method.config == again.config


def test_from_pretrained_of_another_method_says_so(tmp_path: object) -> None:
    build("ijepa").save_pretrained(tmp_path)
    with pytest.raises(UserError, match="IJEPAConfig, not a PixelsConfig"):
        type(build("pixels")).from_pretrained(tmp_path)


@pytest.mark.parametrize("cls", [JEPA, EncodeThenIndex])
def test_from_pretrained_of_no_method_names_what_loads_any(cls: type[JEPA], tmp_path: object) -> None:
    build("ijepa").save_pretrained(tmp_path)
    with pytest.raises(UserError, match=rf"{cls.__name__} is no method of its own; .*jepakit\.load\('{tmp_path}'\)"):
        cls.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_encode_gives_pooled_and_token_embeddings(name: str) -> None:
    method = build(name).eval()
    x = torch.randn(3, 3, 16, 16)
    tokens = method.encode(x, tokens=True)
    assert tokens.ndim == 3
    torch.testing.assert_close(tokens.mean(dim=1), method.encode(x))
    spaces = method.spaces(x)
    assert "encoder" in spaces and all(space.ndim == 3 for space in spaces.values())


def test_health_reads_the_targets_before_they_are_whitened() -> None:
    method = build("ijepa_whitened")
    method(batch(), 0)
    method.eval()
    x = torch.randn(8, 3, 16, 16)
    torch.testing.assert_close(method.spaces(x)["target"], method.target.encoder(x))
    assert float((method.target(x) - method.target.tokens(x)).abs().max()) > 0.1
