"""Know I-JEPA in the forms in which others keep it: Meta's files, and Hugging Face's `IJepaModel` of both generations.

Meta's file holds an encoder, its moving average and a predictor; Hugging Face's holds an encoder alone. Both keep the
table of positions as a weight; where it is the fixed table that I-JEPA is trained with, it is computed here, and where
it was changed it stays a weight.

Source: the released code of Assran et al. 2023, I-JEPA (arXiv 2301.08243), and transformers; the names are facts of
these files.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jepakit.hub.foreign import Renaming
from jepakit.hub.layout import BlockNames, Held, Layout, blocks, layer
from jepakit.hub.vit_names import (
    META_BLOCK,
    Untold,
    patches,
    require_setting,
    stored_table,
    told_positions,
)
from jepakit.masking import MultiBlock
from jepakit.methods import IJEPAConfig
from jepakit.nn import ViTConfig
from jepakit.types import UserError
from jepakit.views import IMAGENET_MEAN, IMAGENET_STD, Augment, Preprocess

HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16, 1664: 16}
"""Heads of the encoders by their width; weights do not tell them."""

IMAGENET = Preprocess(image_size=1, mean=IMAGENET_MEAN, std=IMAGENET_STD)
"""The normalisation of everything of Meta's; a configuration gives it its size."""

_ON_DISK: BlockNames = {
    "norm1": "layernorm_before",
    "attn.qkv": ("attention.attention.query", "attention.attention.key", "attention.attention.value"),
    "attn.proj": "attention.output.dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}
"""What transformers writes, and what lies on the Hub."""

_IN_MEMORY: BlockNames = {
    "norm1": "layernorm_before",
    "attn.qkv": ("attention.q_proj", "attention.k_proj", "attention.v_proj"),
    "attn.proj": "attention.o_proj",
    "norm2": "layernorm_after",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
"""What `state_dict()` gives in transformers 5."""


def meta_predictor(config: IJEPAConfig) -> Layout:
    """Return how Meta holds the predictor of images or clips, which has its mask tokens one by one."""
    tokens = (
        [f"mask_tokens.{kind}" for kind in range(config.mask_tokens)] if config.encoder.num_frames else ["mask_token"]
    )
    return (
        layer("predictor.embed", "predictor_embed")
        | {"predictor.mask_token": Held(tuple(tokens))}
        | blocks("predictor.blocks.", "predictor_blocks.", config.predictor_depth, META_BLOCK)
        | layer("predictor.norm", "predictor_norm")
        | layer("predictor.proj", "predictor_proj")
        | stored_table("predictor.position_table", "predictor_pos_embed", config.encoder, config.predictor_dim)
    )


def huggingface_encoder(config: ViTConfig, on_disk: bool = True) -> Layout:
    """Return how Hugging Face holds an encoder, in the names on disk or in those of memory."""
    theirs, names = ("encoder.layer.", _ON_DISK) if on_disk else ("layers.", _IN_MEMORY)
    return (
        patches("encoder.patch_embed", "embeddings.patch_embeddings.projection", config)
        | blocks("encoder.blocks.", theirs, config.depth, names, config.qkv_bias)
        | layer("encoder.norm", "layernorm")
        | stored_table("encoder.position_table", "embeddings.position_embeddings", config, config.dim)
    )


def encoder_in_meta(source: Renaming, untold: Untold) -> ViTConfig:
    """Read the sizes of Meta's encoder from its weights, and what they do not tell from `untold`.

    Raises:
        UserError: A weight is missing or misshapen, or the heads of such a width are not known.
    """
    patch = source.look("patch_embed.proj.weight", 4)
    num_places = source.look("pos_embed", 3).shape[1]
    dim, side = patch.shape[0], math.isqrt(num_places)
    if side**2 != num_places:
        raise UserError(
            f"{source.origin}: {source.called('pos_embed')!r} has {num_places} places, which are no square of patches."
        )
    untold.check(source.origin, image_size=side * patch.shape[2], num_frames=0)
    return ViTConfig(
        image_size=(side * patch.shape[2], side * patch.shape[3]),
        patch_size=(patch.shape[2], patch.shape[3]),
        in_channels=patch.shape[1],
        positions=told_positions(source, "pos_embed", (side, side), dim),
        num_heads=untold.heads_of(dim, HEADS, source.origin),
        **sizes_of_blocks(source, dim),
    )


def sizes_of_blocks(source: Renaming, dim: int) -> dict[str, Any]:
    """Return width, depth and what else Meta's weights tell of an encoder's blocks."""
    return {
        "dim": dim,
        "depth": source.count("blocks."),
        "mlp_dim": source.look("blocks.0.mlp.fc1.weight", 2).shape[0],
        "qkv_bias": "blocks.0.attn.qkv.bias" in source.left,
    }


def ijepa_config(encoder: ViTConfig, predictor: Renaming) -> IJEPAConfig:
    """Describe the I-JEPA whose encoder and predictor these are; masks and views are the published ones, unbiased.

    Raises:
        UserError: A weight of the predictor is missing or misshapen.
    """
    return IJEPAConfig(
        encoder=encoder,
        mask=MultiBlock(grid=encoder.grid, min_keep=1),
        augment=Augment(image_size=1, crop_scale=(0.3, 1.0)),
        preprocess=IMAGENET,
        predictor_dim=predictor.look("mask_token", 3).shape[2],
        predictor_depth=predictor.count("predictor_blocks."),
        predictor_heads=encoder.num_heads,
    )


def encoder_in_huggingface(settings: Mapping[str, Any], source: Renaming, origin: object) -> ViTConfig:
    """Read the sizes of Hugging Face's encoder from its config.json; what is absent has transformers' default.

    Raises:
        UserError: A setting asks for what this encoder does not do, or the table of positions does not fit.
    """
    require_setting(settings, "hidden_act", ("gelu",), "gelu", origin)
    require_setting(settings, "layer_norm_eps", (1e-6,), 1e-12, origin)
    size, patch = settings.get("image_size", 224), settings.get("patch_size", 16)
    described = ViTConfig(
        image_size=tuple(size) if isinstance(size, list) else size,
        patch_size=tuple(patch) if isinstance(patch, list) else patch,
        dim=settings.get("hidden_size", 768),
        depth=settings.get("num_hidden_layers", 12),
        num_heads=settings.get("num_attention_heads", 12),
        mlp_dim=settings.get("intermediate_size", 3072),
        in_channels=settings.get("num_channels", 3),
        qkv_bias=settings.get("qkv_bias", True),
    )
    told = told_positions(source, "embeddings.position_embeddings", described.grid, described.dim)
    return replace(described, positions=told)
