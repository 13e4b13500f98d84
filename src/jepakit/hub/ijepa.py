"""Know I-JEPA in the forms in which others keep it: Meta's files, and Hugging Face's `IJepaModel` of both generations.

Meta's file holds an encoder, its moving average and a predictor; Hugging Face's holds an encoder alone. Both keep the
table of positions as a weight, which here must be the sine and cosine table that I-JEPA is trained with.

Source: the released code of Assran et al. 2023, I-JEPA (arXiv 2301.08243), and transformers; the names are facts of
these files.
"""

import math
from typing import Any

import torch
from torch import Tensor

from jepakit.hub.foreign import Renaming
from jepakit.hub.layout import BlockNames, Held, Layout, blocks, layer
from jepakit.masking import MultiBlock
from jepakit.methods import IJEPAConfig
from jepakit.nn import ViTConfig
from jepakit.nn.position import Grid, sincos_table
from jepakit.types import UserError
from jepakit.views import IMAGENET_MEAN, IMAGENET_STD, Augment, Preprocess

META_BLOCK: BlockNames = {name: name for name in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")}
"""Meta calls the parts of a block as we do, in every JEPA of theirs."""

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

HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16, 1664: 16}
"""Heads of Meta's I-JEPA and V-JEPA encoders by their width; weights do not tell them."""

_SAME_TABLE = 1e-6  # float32 tables of sines differ in the last digit between libraries


def patches(ours: str, theirs: str, config: ViTConfig) -> Layout:
    """Return the layout of the patch embedding, a convolution in their files."""
    assert isinstance(config.patch_size, tuple)
    weight = Held((f"{theirs}.weight",), (config.dim, config.in_channels, *config.patch_size))
    return {f"{ours}.weight": weight, f"{ours}.bias": Held((f"{theirs}.bias",))}


def meta_encoder(ours: str, config: ViTConfig) -> Layout:
    """Return how Meta holds an encoder, by our names that begin with `ours`."""
    return (
        patches(f"{ours}patch_embed", "patch_embed.proj", config)
        | blocks(f"{ours}blocks.", "blocks.", config.depth, META_BLOCK, config.qkv_bias)
        | layer(f"{ours}norm", "norm")
    )


def meta_predictor(config: IJEPAConfig) -> Layout:
    """Return how Meta holds the predictor."""
    return (
        layer("predictor.embed", "predictor_embed")
        | {"predictor.mask_token": Held(("mask_token",))}
        | blocks("predictor.blocks.", "predictor_blocks.", config.predictor_depth, META_BLOCK)
        | layer("predictor.norm", "predictor_norm")
        | layer("predictor.proj", "predictor_proj")
    )


def huggingface_encoder(config: ViTConfig, on_disk: bool = True) -> Layout:
    """Return how Hugging Face holds an encoder, in the names on disk or in those of memory."""
    theirs, names = ("encoder.layer.", _ON_DISK) if on_disk else ("layers.", _IN_MEMORY)
    return (
        patches("encoder.patch_embed", "embeddings.patch_embeddings.projection", config)
        | blocks("encoder.blocks.", theirs, config.depth, names, config.qkv_bias)
        | layer("encoder.norm", "layernorm")
    )


def encoder_in_meta(source: Renaming, num_heads: int | None) -> ViTConfig:
    """Read the sizes of Meta's encoder from its weights.

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
    return ViTConfig(
        image_size=(side * patch.shape[2], side * patch.shape[3]),
        patch_size=(patch.shape[2], patch.shape[3]),
        dim=dim,
        depth=source.count("blocks."),
        num_heads=heads_of(dim, num_heads, source.origin),
        mlp_dim=source.look("blocks.0.mlp.fc1.weight", 2).shape[0],
        in_channels=patch.shape[1],
        qkv_bias="blocks.0.attn.qkv.bias" in source.left,
    )


def heads_of(dim: int, num_heads: int | None, origin: object) -> int:
    """Return the number of heads that was given, or that Meta's encoders of this width have.

    Raises:
        UserError: None was given and no encoder of this width was released.
    """
    if num_heads is None and dim not in HEADS:
        raise UserError(
            f"{origin} holds an encoder of width {dim}, of which the number of heads is not known, and weights do not "
            "tell it; say it: jepakit import ... --num-heads N."
        )
    return num_heads or HEADS[dim]


def ijepa_config(encoder: ViTConfig, predictor: Renaming) -> IJEPAConfig:
    """Describe the I-JEPA whose encoder and predictor these are; masks and views are the published ones, unbiased.

    Raises:
        UserError: A weight of the predictor is missing or misshapen.
    """
    preprocess = Preprocess(image_size=1, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return IJEPAConfig(
        encoder=encoder,
        mask=MultiBlock(grid=encoder.grid, min_keep=1),
        augment=Augment(image_size=1, crop_scale=(0.3, 1.0)),
        preprocess=preprocess,
        predictor_dim=predictor.look("mask_token", 3).shape[2],
        predictor_depth=predictor.count("predictor_blocks."),
        predictor_heads=encoder.num_heads,
    )


def encoder_in_huggingface(settings: dict[str, Any], origin: object) -> ViTConfig:
    """Read the sizes of Hugging Face's encoder from its config.json; what is absent has transformers' default.

    Raises:
        UserError: A setting asks for what this encoder does not do.
    """
    require_setting(settings, "hidden_act", ("gelu",), "gelu", origin)
    require_setting(settings, "layer_norm_eps", (1e-6,), 1e-12, origin)
    size, patch = settings.get("image_size", 224), settings.get("patch_size", 16)
    return ViTConfig(
        image_size=tuple(size) if isinstance(size, list) else size,
        patch_size=tuple(patch) if isinstance(patch, list) else patch,
        dim=settings.get("hidden_size", 768),
        depth=settings.get("num_hidden_layers", 12),
        num_heads=settings.get("num_attention_heads", 12),
        mlp_dim=settings.get("intermediate_size", 3072),
        in_channels=settings.get("num_channels", 3),
        qkv_bias=settings.get("qkv_bias", True),
    )


def require_setting(
    settings: dict[str, Any], name: str, accepted: tuple[Any, ...], default: Any, origin: object
) -> None:
    """Check that a setting is one of those that can be imported.

    Raises:
        UserError: It is not.
    """
    if settings.get(name, default) not in accepted:
        raise UserError(
            f"{origin} says {name}={settings.get(name, default)!r}, but only {' or '.join(map(repr, accepted))} is "
            "imported; another value would change what the model computes."
        )


def take_table(source: Renaming, theirs: str, grid: Grid, dim: int) -> None:
    """Take a table of positions, which must be the fixed one.

    Raises:
        UserError: It is missing, misshapen or another one.
    """
    table = source.take(theirs)
    ours = sincos_table(grid, dim)[None]
    if table.shape != ours.shape:
        raise UserError(
            f"{source.origin}: {source.called(theirs)!r} has shape {tuple(table.shape)}, where the sizes of the others "
            f"ask for {tuple(ours.shape)}."
        )
    if not torch.allclose(table.to(ours.dtype), ours, rtol=0, atol=_SAME_TABLE):
        raise UserError(
            f"{source.origin}: {source.called(theirs)!r} is not the table of sines and cosines that I-JEPA is trained "
            "with."
        )


def table_of(grid: Grid, dim: int) -> Tensor:
    """Return the table of positions as their files hold it."""
    return sincos_table(grid, dim)[None]
