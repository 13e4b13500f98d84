"""Score a trained method beside its floors: random initial weights, raw pixels, augmented raw pixels, chance."""

from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.evaluation import (
    Arm,
    Evaluation,
    EvaluationConfig,
    Images,
    augmented_pixels_arm,
    encoder_arm,
    evaluate_arms,
    pixels_arm,
)
from jepakit.hub import build_method
from jepakit.nn import ViT
from jepakit.recipes.splits import Probing
from jepakit.storage import config_to_dict
from jepakit.views import Augment, corrupt, kept_patches

LAYER = "last layer, after the final norm"
POOLING = "mean of tokens"


def score(method: Any, probing: Probing, config: EvaluationConfig, num_pixel_copies: int = 4) -> Evaluation:
    """Run every probe over the method and its floors by one rule.

    Args:
        method: The trained method, in eval mode.
        probing: Labelled images; its split must be the one that `config` names.
        config: The rule.
        num_pixel_copies: Augmented copies of each training image that the floor of augmented pixels sees.
    """
    images = probe_images(probing, config)
    untrained = build_method(config_to_dict(method.config), seed=method.seed, num_steps=1).eval()
    arms = {
        "jepa": network_arm(method, images, config),
        "random init": network_arm(untrained, images, config, is_floor=True),
        "raw pixels": pixels_arm(images),
        "augmented raw pixels": augmented_pixels_arm(
            images, pixel_augment(method), method.preprocess, num_pixel_copies
        ),
    }
    return evaluate_arms(arms, probing.train.labels, probing.test.labels, len(probing.train.class_names), config)


def probe_images(probing: Probing, config: EvaluationConfig) -> Images:
    """Return the labelled images in the form that every arm of an evaluation takes."""
    return Images(
        train=probing.train.images,
        test=probing.test.images,
        train_ids=torch.arange(len(probing.train)),
        test_ids=torch.arange(len(probing.test)),
        corrupt=corrupt if config.corruptions else None,
        seed=config.seed,
    )


def network_arm(method: Any, images: Images, config: EvaluationConfig, is_floor: bool = False) -> Arm:
    """Return a network's arm: pooled features, tokens where an attentive probe is asked for, dropped patches."""
    return encoder_arm(
        images,
        method.encode,
        method.preprocess,
        LAYER,
        POOLING,
        is_floor,
        encode_tokens=(lambda x: method.encode(x, tokens=True)) if "attentive" in config.probes else None,
        drop_tokens=_drop_tokens(method) if isinstance(method.encoder, ViT) else None,
    )


def _drop_tokens(method: Any) -> Any:
    """Return how a ViT encodes images of which it is given only some patches."""

    def encode(x: Float[Tensor, "b c h w"], ids: Int[Tensor, " b"], severity: int) -> Float[Tensor, "b d"]:
        tokens: Tensor = method.encoder(x, kept_patches(severity, ids, method.encoder.grid))
        return tokens.mean(dim=1)

    return encode


def pixel_augment(method: Any) -> Any:
    """Return the method's own augmentation of training images, at the size of its preprocessing."""
    views = getattr(method, "views", None)
    augment: Augment = views.global_ if views is not None else method.augment

    def copies(image: UInt8[Tensor, "n c h w"], ids: Int[Tensor, " n"], copy: int) -> Float[Tensor, "n c h w"]:
        return augment(image, ids, copy).image

    return copies
