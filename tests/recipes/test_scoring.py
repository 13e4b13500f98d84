"""A method is scored beside floors that saw the same images, by a rule that the labels at hand allow."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from small_methods import build

from jepakit.data import Labelled
from jepakit.evaluation import EvaluationConfig, evaluate_arms
from jepakit.random import Stream
from jepakit.recipes import scoring
from jepakit.recipes.divided import Probing
from jepakit.recipes.scoring import (
    MAX_PIXEL_SIZE,
    feasible,
    network_arm,
    patch_grid,
    pixel_augment,
    probe_images,
    raw_pixels_arm,
    score,
)

RULE = EvaluationConfig(probes=("ridge", "kshot"), num_draws=3, corruptions=("patch_drop",), severities=(2,))


def labelled(num: int, size: int, classes: int = 3, channels: int = 3) -> Labelled:
    """Return noisy images with a bright stripe at a place that tells their class."""
    labels = torch.arange(num) % classes
    noise = Stream(num, "test/labelled").integers(0, torch.arange(num), channels * size * size, 64)
    stripe = torch.arange(size) * classes // size
    pixels = noise.view(num, channels, size, size) + 120 * (stripe == labels[:, None])[:, None, None]
    return Labelled(pixels.to(torch.uint8), labels, tuple(map(str, range(classes))))


def probing(size: int = 16, num: int = 45) -> Probing:
    return Probing(labelled(num, size), labelled(21, size), "dev", [])


@pytest.mark.parametrize("name", ["ijepa", "lejepa"])
def test_all_arms_are_scored_and_a_plain_task_is_solved(name: str) -> None:
    evaluation = score(build(name).eval(), probing(), RULE)
    values = {(s.arm, s.name): s.value for s in evaluation.scores}
    assert values["raw pixels", "ridge"] == 1.0
    assert values["jepa", "ridge"] > 0.6 > values["chance", "ridge"]
    assert {arm for arm, _ in values} == {"jepa", "random init", "raw pixels", "augmented raw pixels", "chance"}


def test_the_random_floor_has_the_weights_that_training_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def note(arms: dict[str, Any], *rest: Any) -> Any:
        seen.update(arms)
        return evaluate_arms(arms, *rest)

    monkeypatch.setattr(scoring, "evaluate_arms", note)
    score(build("ijepa", seed=5).eval(), probing(), replace(RULE, probes=("ridge",), corruptions=()))
    assert torch.equal(seen["jepa"].test, seen["random init"].test)  # not one step was taken
    assert torch.equal(seen["jepa"].train, seen["random init"].train)
    assert seen["random init"].is_floor
    assert not seen["jepa"].is_floor


def test_shots_that_the_labels_do_not_allow_are_left_out() -> None:
    few = Probing(labelled(21, 16), labelled(21, 16), "dev", [])
    assert feasible(RULE, few).shots == (1, 5)
    assert feasible(RULE, few).probes == ("ridge", "kshot")
    missing = replace(few.train, class_names=("0", "1", "2", "never seen"))
    assert feasible(RULE, replace(few, train=missing)).probes == ("ridge",)
    evaluation = score(build("transform_jepa").eval(), few, replace(RULE, corruptions=()))
    assert {s.name for s in evaluation.scores} == {"ridge", "kshot_1", "kshot_5"}


def test_dropped_patches_are_the_encoder_s_own_where_they_fit() -> None:
    vit, conv = build("ijepa").eval(), build("transform_jepa").eval()
    assert patch_grid(vit, 16) == patch_grid(vit, 32) == (4, 4)
    assert patch_grid(vit, 18) == (6, 6)
    assert [patch_grid(conv, size) for size in (8, 28, 30, 224, 29)] == [(8, 8), (7, 7), (6, 6), (8, 8), (29, 29)]


@pytest.mark.parametrize("size", [15, 20])
def test_every_image_size_can_be_scored_under_dropped_patches(size: int) -> None:
    evaluation = score(build("transform_jepa").eval(), probing(size), replace(RULE, probes=("ridge",)))
    assert {curve.arm for curve in evaluation.robustness} >= {"jepa", "raw pixels"}


def test_a_vit_loses_tokens_and_not_colours() -> None:
    method = build("ijepa").eval()
    images = probe_images(probing(), RULE, (4, 4))
    arm = network_arm(method, images, RULE)
    assert arm.corrupted is not None
    x = method.preprocess(images.test)
    from jepakit.views import kept_patches

    expected = method.encoder(x, kept_patches(2, images.test_ids, (4, 4), RULE.seed)).mean(dim=1)
    torch.testing.assert_close(arm.corrupted("patch_drop", 2), expected.detach())
    assert float((arm.corrupted("noise", 1) - arm.test).abs().max()) > 0


def test_raw_pixels_of_large_images_are_made_smaller() -> None:
    large, small = (probe_images(probing(size), RULE) for size in (2 * MAX_PIXEL_SIZE, MAX_PIXEL_SIZE))
    arm = raw_pixels_arm(large)
    assert arm.test.shape == (21, 3 * MAX_PIXEL_SIZE**2)
    assert arm.pooling == "none; resized to 32x32"
    blocks = large.test.float().unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(-1, -2))  # antialiased, it is near the mean
    assert float((arm.test.view(21, 3, 32, 32) * 255 - blocks).abs().mean()) < 12
    assert arm.corrupted is not None
    assert arm.corrupted("noise", 3).shape == arm.test.shape
    assert raw_pixels_arm(small).pooling == "none"


def test_augmented_pixels_have_the_size_of_plain_ones() -> None:
    method: Any = build("lejepa")
    method.views = replace(method.views, global_=replace(method.views.global_, image_size=24))
    copies = pixel_augment(method, 16)(labelled(4, 20).content, torch.arange(4), 0)
    assert copies.shape == (4, 3, 16, 16)
    assert float((copies - pixel_augment(method, 16)(labelled(4, 20).content, torch.arange(4), 1)).abs().max()) > 0.1
