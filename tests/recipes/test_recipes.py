"""Every recipe can be built, written down and read back; the published ones have the published sizes and schedules."""

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from jepakit.hub import build_method
from jepakit.nn import Linear
from jepakit.recipes import RECIPES, SignalRecipe, VideoRecipe, WorldRecipe, find_recipe
from jepakit.storage import config_from_dict, config_to_dict
from jepakit.types import ImageBatch, SignalBatch, UserError, VideoBatch

PUBLISHED = ("cifar10-ebjepa", "ijepa-vith14", "ijepa-vitg16", "lejepa-vitl14")
WORLDS = tuple(name for name, build in RECIPES.items() if isinstance(build(), WorldRecipe))
SIGNALS = tuple(name for name, build in RECIPES.items() if isinstance(build(), SignalRecipe))
SMALL = tuple(name for name in RECIPES if name not in PUBLISHED + WORLDS)


def on_meta(name: str) -> Any:
    """Build a recipe's method without memory for its weights."""
    recipe = RECIPES[name]()
    with torch.device("meta"):
        return build_method(config_to_dict(recipe.method), seed=0, num_steps=recipe.training.num_steps)


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_carries_its_name_and_survives_json(name: str) -> None:
    recipe = RECIPES[name]()
    assert recipe.recipe == name
    text = json.dumps(config_to_dict(recipe), allow_nan=False)
    assert config_from_dict(type(recipe), json.loads(text)) == recipe
    assert RECIPES[name].__doc__


@pytest.mark.parametrize("name", list(RECIPES))
def test_a_recipe_s_method_can_be_built_from_what_its_run_stores(name: str) -> None:
    method = on_meta(name)
    assert method.config == RECIPES[name]().method
    assert all(parameter.is_meta for parameter in method.parameters())
    grouped = [n for group in method.param_groups() for n in group["names"]]
    assert sorted(grouped) == sorted(n for n, p in method.named_parameters() if p.requires_grad)


def four_samples(recipe: Any, preprocess: Any) -> ImageBatch | SignalBatch | VideoBatch:
    generator, ids = torch.Generator().manual_seed(0), torch.arange(4)
    if isinstance(recipe, SignalRecipe):
        return SignalBatch(torch.randn(4, preprocess.signal_channels, preprocess.length, generator=generator), ids)
    side = recipe.data.stored_size
    if isinstance(recipe, VideoRecipe):
        video = torch.randint(0, 256, (4, recipe.data.num_frames, 1, side, side), generator=generator)
        return VideoBatch(video.to(torch.uint8), ids)
    shape = (4, preprocess.channels, side, side)
    return ImageBatch(torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator), ids)


@pytest.mark.parametrize("name", SMALL)
def test_a_small_recipe_takes_two_steps(name: str) -> None:
    recipe = RECIPES[name]()
    method = recipe.method.build(seed=0, num_steps=2)
    batch = four_samples(recipe, method.preprocess)
    optimizer = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], lr=1e-2)
    before = method.encode(method.preprocess(batch.content)).detach()
    for step in range(2):
        output = method(batch, step)
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        method.after_step(step)
        assert bool(torch.isfinite(output.loss)), name
        assert all(bool(torch.isfinite(term)) for term in output.terms.values())
    after = method.encode(method.preprocess(batch.content)).detach()
    assert float((after - before).abs().max()) > 0
    assert bool(torch.isfinite(after).all())


def test_arms_that_are_compared_share_data_and_number_of_images() -> None:
    for family in ("digits-", "small-"):
        recipes = [RECIPES[name]() for name in SMALL if name.startswith(family)]
        assert len(recipes) == 6
        assert len({type(recipe.method) for recipe in recipes}) == 6
        assert len({recipe.data for recipe in recipes}) == 1
        seen = {recipe.training.num_steps * recipe.training.batch_size for recipe in recipes}
        assert len(seen) == 1, f"{family}: {seen}"


def test_arms_of_sounds_differ_in_what_they_predict_or_see_alone() -> None:
    embeddings, values, wave, views = (RECIPES[f"audio-{arm}"]() for arm in ("ijepa", "values", "wave", "transform"))
    for part in ("encoder", "mask", "augment", "preprocess", "predictor_dim", "predictor_depth"):
        assert getattr(embeddings.method, part) == getattr(values.method, part), part
    assert embeddings.training == values.training == wave.training
    assert embeddings.data == values.data == wave.data == views.data
    assert embeddings.method.encoder.dim == wave.method.encoder.dim  # type: ignore[union-attr]
    assert embeddings.method.encoder.depth == wave.method.encoder.depth  # type: ignore[union-attr]


def test_what_a_world_model_is_measured_against_differs_in_what_it_learns_alone() -> None:
    ours = RECIPES["two-rooms-fixed"]()
    for name in ("two-rooms-fixed-pixels", "two-rooms-fixed-random-encoder"):
        other = RECIPES[name]()
        assert (other.data, other.training, other.planning) == (ours.data, ours.training, ours.planning)  # type: ignore[union-attr]
        for part in ("encoder", "dynamics", "preprocess", "frame_skip", "rollout_steps", "action_low", "action_high"):
            assert getattr(other.method, part) == getattr(ours.method, part), (name, part)
    fresh, frozen = on_meta("two-rooms-fixed"), on_meta("two-rooms-fixed-random-encoder")
    assert not any(parameter.requires_grad for parameter in frozen.encoder.parameters())
    assert all(parameter.requires_grad for parameter in fresh.encoder.parameters())


@pytest.mark.parametrize(
    ("name", "encoder", "predictor"),
    [
        # depth x (12 dim^2 + 13 dim) + embedding of patches + final norm; the predictor has two projections and a token
        ("ijepa-vith14", 630_434_560, 22_279_424),
        ("ijepa-vitg16", 1_011_092_608, 29_475_712),
    ],
)
def test_i_jepa_s_published_sizes(name: str, encoder: int, predictor: int) -> None:
    method = on_meta(name)
    assert size(method.encoder) == size(method.target) == encoder
    assert size(method.predictor) == predictor
    assert not any(parameter.requires_grad for parameter in method.target.parameters())


def transformer_size(dim: int, mlp_dim: int, depth: int) -> int:
    """Count the weights of pre-norm blocks by hand: two norms, queries, keys, values, projection, two layers."""
    return depth * (4 * dim + 4 * dim * dim + 4 * dim + 2 * dim * mlp_dim + mlp_dim + dim)


def test_sizes_follow_from_widths_and_depths() -> None:
    def encoder(dim: int, mlp_dim: int, depth: int, patch: int) -> int:
        return transformer_size(dim, mlp_dim, depth) + (3 * patch * patch + 1) * dim + 2 * dim

    assert encoder(1280, 5120, 32, 14) == 630_434_560
    assert encoder(1408, 6144, 40, 16) == 1_011_092_608
    assert size(on_meta("lejepa-vitl14").encoder) == encoder(1024, 4096, 24, 14)
    blocks = transformer_size(384, 1536, 12)
    assert size(on_meta("ijepa-vith14").predictor) == blocks + 1281 * 384 + 384 + 2 * 384 + 385 * 1280


@pytest.mark.parametrize(
    ("name", "depth", "epochs", "warmup_epochs", "steps_an_epoch"),
    [("ijepa-vith14", 12, 300, 40, 1_281_167 // 2048), ("ijepa-vitg16", 16, 44, 3, 14_197_122 // 2048)],
)
def test_i_jepa_s_published_settings(
    name: str, depth: int, epochs: int, warmup_epochs: int, steps_an_epoch: int
) -> None:
    recipe = RECIPES[name]()
    method: Any = recipe.method
    training = recipe.training
    assert (method.predictor_dim, method.predictor_depth, method.predictor_heads) == (384, depth, 16)
    assert method.encoder.num_heads == 16
    assert method.distance == "smooth_l1"
    mask = method.mask
    assert (mask.mode, mask.num_targets, mask.target_scale, mask.aspect) == ("paper", 4, (0.15, 0.2), (0.75, 1.5))
    assert (mask.context_scale, mask.min_keep, mask.grid) == ((0.85, 1.0), 10, method.encoder.grid)
    augment = method.augment
    assert augment.crop_scale == (0.3, 1.0)
    switched_on = {f.name for f in fields(augment) if f.name.endswith("_prob") and getattr(augment, f.name) > 0}
    assert switched_on == set()
    assert (training.batch_size, training.betas, training.clip_norm) == (2048, (0.9, 0.999), None)
    assert (training.num_steps, training.warmup_steps) == (epochs * steps_an_epoch, warmup_epochs * steps_an_epoch)


@pytest.mark.parametrize("step", [0, 1, 12_499, 24_998, 24_999, 25_000, 60_000, 106_249, 187_498, 187_499])
def test_i_jepa_s_schedules_equal_the_published_closed_forms(step: int) -> None:
    training = RECIPES["ijepa-vith14"]().training
    assert (training.warmup_steps, training.num_steps) == (25_000, 187_500)  # 40 and 300 epochs of 625 steps
    k, w, t = step + 1, 25_000, 187_500  # the published counter is 1 on the first step
    if k < w:
        expected = 2e-4 + (k / w) * (1e-3 - 2e-4)
    else:
        expected = max(1e-6, 1e-6 + (1e-3 - 1e-6) * (1 + math.cos(math.pi * (k - w) / (t - w))) / 2)
    assert training.learning_rate_schedule()(step) == pytest.approx(expected, rel=1e-12)
    decay = min(0.4, 0.4 + (0.04 - 0.4) * (1 + math.cos(math.pi * k / t)) / 2)
    assert training.weight_decay_schedule()(step) == pytest.approx(decay, rel=1e-12)


def test_i_jepa_s_momentum_rises_in_a_line_over_all_steps() -> None:
    schedule = on_meta("ijepa-vith14").target.schedule
    assert schedule == Linear(start=0.996, end=1.0, num_steps=187_500)
    for step in (0, 1, 93_750, 187_499):
        assert schedule(step) == pytest.approx(0.996 + step * 0.004 / 187_500, rel=1e-12)


def test_lejepa_s_published_settings() -> None:
    recipe = RECIPES["lejepa-vitl14"]()
    method: Any = recipe.method
    views = method.views
    assert (views.num_global, views.num_local, views.local.image_size) == (2, 6, 98)
    assert (views.global_.crop_scale, views.local.crop_scale) == ((0.3, 1.0), (0.05, 0.3))
    for augment in (views.global_, views.local):
        assert augment.jitter == (0.4, 0.4, 0.2, 0.1)
        assert (augment.jitter_prob, augment.gray_prob, augment.blur_prob, augment.solarize_prob) == (
            0.8,
            0.2,
            0.5,
            0.2,
        )
    assert method.num_slices == 1024
    # the paper minimises 0.95 * prediction + 0.05 * N * statistic, N = 512
    assert method.sigreg_weight == pytest.approx(0.05 * 512 / 0.95)
    schedule = recipe.training.learning_rate_schedule()
    assert (recipe.training.learning_rate, recipe.training.weight_decay) == (5e-4, 0.05)
    assert schedule(recipe.training.num_steps - 1) == pytest.approx(5e-7)
    assert recipe.training.batch_size >= 128


def test_eb_jepa_s_published_settings() -> None:
    recipe = RECIPES["cifar10-ebjepa"]()
    assert recipe.training.num_steps == 300 * (50_000 // recipe.training.batch_size)
    method = on_meta("cifar10-ebjepa")
    # torchvision's ResNet-18 has 11,176,512 weights without its last layer; a 3x3 stem has 7,680 fewer than a 7x7 one
    assert size(method.encoder) == 11_176_512 - 64 * 3 * (49 - 9)
    assert method.encoder.embedding_dim == 512
    # its loss is mse + 1 * (var_1 + var_2) + 80 * (cov_1 + cov_2), each cov a mean over d (d - 1) pairs; ours a sum over d
    config = recipe.method
    assert config.variance_weight / config.invariance_weight == pytest.approx(2.0)
    assert config.covariance_weight / config.invariance_weight == pytest.approx(2 * 80 / (2048 - 1))


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UserError, match="no recipe 'digits-ijepaa'; did you mean 'digits-ijepa'"):
        find_recipe("digits-ijepaa")
    with pytest.raises(UserError, match="no recipe 'qqqq'; known are digits-transform, "):
        find_recipe("qqqq")


OWN = """
from __future__ import annotations
from dataclasses import dataclass, replace

from jepakit.recipes import ImageRecipe, find_recipe
from jepakit.methods import IJEPAConfig

@dataclass(frozen=True, kw_only=True)
class MyConfig(IJEPAConfig):
    extra: int = 3

def recipe() -> ImageRecipe:
    return replace(find_recipe("digits-ijepa")(), recipe="mine")

def nothing():
    return 3
"""


def test_a_recipe_of_one_s_own_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "torch.py"  # a name that must not hide the library
    path.write_text(OWN)
    assert find_recipe(f"{path}:recipe")().recipe == "mine"
    import torch as still_torch

    assert hasattr(still_torch, "nn")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.py:recipe", "missing.py does not exist"),
        ("own.py:recipes", "defines no function 'recipes'; did you mean 'recipe'?"),
        ("own.py:zzz", "defines no function 'zzz'."),
    ],
)
def test_a_file_without_that_recipe_is_one_sentence(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "own.py").write_text(OWN)
    with pytest.raises(UserError) as error:
        find_recipe(f"{tmp_path}/{name}")
    assert sentence in str(error.value)


def test_a_function_that_returns_no_recipe_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    with pytest.raises(
        UserError,
        match=r"nothing of .* must return an ImageRecipe, a SignalRecipe, a VideoRecipe or a WorldRecipe, got int",
    ):
        find_recipe(f"{tmp_path}/own.py:nothing")()
