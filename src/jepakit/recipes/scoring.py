"""Score a trained method beside its floors: random initial weights, the raw input, chance."""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from jepakit.evaluation import (
    Arm,
    Evaluation,
    EvaluationConfig,
    Inputs,
    augmented_pixels_arm,
    corrupt_pixels,
    encoder_arm,
    evaluate_arms,
    pixels,
    pixels_arm,
)
from jepakit.evaluation.robustness import CorruptSource
from jepakit.nn import ViT
from jepakit.recipes.clip_floors import clip_arms
from jepakit.recipes.divided import Probing
from jepakit.recipes.signal_floors import signal_arms
from jepakit.recipes.table_floors import table_arms
from jepakit.types import Content
from jepakit.views import (
    CORRUPTIONS,
    SERIES_CORRUPTIONS,
    SOUND_CORRUPTIONS,
    TABLE_CORRUPTIONS,
    Augment,
    ClipPreprocess,
    Preprocess,
    SoundPreprocess,
    TablePreprocess,
    corrupt,
    corrupt_series,
    corrupt_sounds,
    corrupt_table,
    kept_patches,
)

LAYER = "last layer, after the final norm"
POOLING = "mean of tokens"
MAX_PIXEL_SIZE = 32
"""Side in pixels above which the floors of raw pixels see smaller images: no probe is fitted to 150,000 numbers."""


def score(method: Any, probing: Probing, config: EvaluationConfig, num_pixel_copies: int = 4) -> Evaluation:
    """Run every probe over the method and its floors by one rule.

    Args:
        method: The trained method, in eval mode.
        probing: Labelled samples; its split must be the one that `config` names.
        config: The rule; shots for which a class has too few images are left out.
        num_pixel_copies: Augmented copies of each training image that the floor of augmented pixels sees.
    """
    config = feasible(config, probing)
    inputs = probe_inputs(method, probing, config)
    untrained = method.config.build(seed=method.seed, num_steps=1).eval()
    arms = {
        "jepa": network_arm(method, inputs, config),
        "random init": network_arm(untrained.to(device_of(method)), inputs, config, is_floor=True),
    } | raw_arms(method, inputs, num_pixel_copies)
    return evaluate_arms(arms, probing.train.labels, probing.test.labels, len(probing.train.class_names), config)


def raw_arms(method: Any, inputs: Inputs, num_pixel_copies: int) -> dict[str, Arm]:
    """Return the floors that see the input itself: pixels, or signals as they are laid out and their statistics."""
    if isinstance(method.preprocess, TablePreprocess):
        return table_arms(method.preprocess, inputs)
    if isinstance(method.preprocess, ClipPreprocess):
        return clip_arms(method.preprocess, inputs)
    if not isinstance(method.preprocess, Preprocess):
        return signal_arms(method.preprocess, inputs)
    size = min(method.preprocess.image_size, MAX_PIXEL_SIZE)
    plain = replace(method.preprocess, image_size=size)
    return {
        "raw pixels": raw_pixels_arm(inputs),
        "augmented raw pixels": augmented_pixels_arm(inputs, pixel_augment(method, size), plain, num_pixel_copies),
    }


def corruptions_of(method: Any) -> tuple[str, ...]:
    """Return the kinds of corruption under which a method is scored; none of clips."""
    if isinstance(method.preprocess, ClipPreprocess):
        return ()
    for kind, corruptions in ((TablePreprocess, TABLE_CORRUPTIONS), (SoundPreprocess, SOUND_CORRUPTIONS)):
        if isinstance(method.preprocess, kind):
            return corruptions
    return CORRUPTIONS if isinstance(method.preprocess, Preprocess) else SERIES_CORRUPTIONS


def feasible(config: EvaluationConfig, probing: Probing) -> EvaluationConfig:
    """Return the rule without the shots for which some class has too few labelled images."""
    labels, num_classes = probing.train.labels, len(probing.train.class_names)
    smallest = int(torch.bincount(labels, minlength=num_classes).min())
    shots = tuple(k for k in config.shots if k <= smallest)
    return replace(config, shots=shots, probes=tuple(p for p in config.probes if shots or p != "kshot"))


def probe_inputs(method: Any, probing: Probing, config: EvaluationConfig) -> Inputs:
    """Return the labelled samples that a method takes, in the form that every arm of an evaluation takes."""
    if isinstance(method.preprocess, Preprocess):
        return probe_images(probing, config, patch_grid(method, probing.train.content.shape[-1]))
    if isinstance(method.preprocess, TablePreprocess):
        return _inputs(probing, config, partial(corrupt_table, method.preprocess))
    if isinstance(method.preprocess, ClipPreprocess):
        return _inputs(probing, config, None)
    is_sound = isinstance(method.preprocess, SoundPreprocess)
    return _inputs(probing, config, corrupt_sounds if is_sound else corrupt_series)


def probe_images(probing: Probing, config: EvaluationConfig, grid: tuple[int, int] = (8, 8)) -> Inputs:
    """Return labelled images in the form that every arm of an evaluation takes.

    Args:
        probing: Labelled images.
        config: The rule; without corruptions none are prepared.
        grid: Rows and columns of the patches that the corruption `patch_drop` drops.
    """
    return _inputs(probing, config, partial(corrupt_pixels, partial(corrupt, grid=grid)))


def _inputs(probing: Probing, config: EvaluationConfig, by: CorruptSource | None) -> Inputs:
    return Inputs(
        train=probing.train.content,
        test=probing.test.content,
        train_ids=torch.arange(len(probing.train)),
        test_ids=torch.arange(len(probing.test)),
        corrupt=by if config.corruptions else None,
        seed=config.seed,
    )


def patch_grid(method: Any, size: int) -> tuple[int, int]:
    """Return the patches that are dropped from images of this side: a ViT's own where they fit, else about 8 by 8."""
    if isinstance(method.encoder, ViT) and all(size % side == 0 for side in method.encoder.grid):
        rows, columns = method.encoder.grid
        return rows, columns
    side = next(side for side in (8, 7, 6, 5, 4, 3, 2, size) if size % side == 0)
    return side, side


def network_arm(method: Any, inputs: Inputs, config: EvaluationConfig, is_floor: bool = False) -> Arm:
    """Return a network's arm: pooled features, tokens where an attentive probe is asked for, dropped patches."""
    device = device_of(method)

    def prepare(content: Content) -> Float[Tensor, "b *t c h w"]:
        prepared: Tensor = method.preprocess(content.to(device))
        return prepared.to(method.dtype)

    return encoder_arm(
        inputs,
        method.encode,
        prepare,
        LAYER,
        POOLING,
        is_floor,
        encode_tokens=partial(method.encode, tokens=True) if "attentive" in config.probes else None,
        drop_tokens=_drop_tokens(method, config.seed)
        if isinstance(method.encoder, ViT) and len(method.encoder.grid) == 2
        else None,
    )


def device_of(method: Any) -> torch.device:
    """Return where a method's weights are."""
    device: torch.device = next(method.parameters()).device
    return device


def _drop_tokens(method: Any, seed: int) -> Any:
    """Return how a ViT encodes images of which it is given only some patches."""

    def encode(x: Float[Tensor, "b c h w"], ids: Int[Tensor, " b"], severity: int) -> Float[Tensor, "b d"]:
        kept = kept_patches(severity, ids.to(x.device), method.encoder.grid, seed)
        tokens: Tensor = method.encoder(x, kept)
        return tokens.mean(dim=1)

    return encode


def raw_pixels_arm(images: Inputs) -> Arm:
    """Return the floor of raw pixels, of images made smaller where they are larger than `MAX_PIXEL_SIZE`."""
    if images.train.shape[-1] <= MAX_PIXEL_SIZE:
        return pixels_arm(images)
    return Arm(
        train=pixels(_smaller(images.train))[:, None],
        test=pixels(_smaller(images.test)),
        layer="raw pixels",
        pooling=f"none; resized to {MAX_PIXEL_SIZE}x{MAX_PIXEL_SIZE}",
        is_floor=True,
        corrupted=None
        if images.corrupt is None
        else lambda kind, severity: pixels(_smaller(images.corrupted(kind, severity))),
    )


def _smaller(images: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n c s s"]:
    side = (MAX_PIXEL_SIZE, MAX_PIXEL_SIZE)
    parts = [F.interpolate(part.float(), side, mode="bilinear", antialias=True) for part in images.split(256)]
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts])


def pixel_augment(method: Any, image_size: int) -> Any:
    """Return the method's own augmentation of training images, at another size; a random crop where it has none."""
    views = getattr(method, "views", None)
    own = views.global_ if views is not None else getattr(method, "augment", None)
    look = method.preprocess
    plain = Augment(image_size=image_size, channels=look.channels, mean=look.mean, std=look.std)
    augment: Augment = plain if own is None else replace(own, image_size=image_size)

    def copies(image: UInt8[Tensor, "n c h w"], ids: Int[Tensor, " n"], copy: int) -> Float[Tensor, "n _ s s"]:
        return augment(image, ids, copy).image

    return copies
