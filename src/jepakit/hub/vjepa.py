"""Know V-JEPA and V-JEPA 2 in the forms in which others keep them: Meta's files, and Hugging Face's `VJEPA2Model`.

    V-JEPA     a fixed table over moments, rows and columns; two mask tokens; as many predictor heads as the encoder's
    V-JEPA 2   rotations, of which files may hold an unused table; ten mask tokens; twelve predictor heads

Hugging Face has no V-JEPA; of V-JEPA 2 it holds one encoder, the predictor, and on task models an attentive probe.

Source: the released code of Bardes et al. 2024, V-JEPA (arXiv 2404.08471), and Assran et al. 2025, V-JEPA 2 (arXiv
2506.09985), and transformers; the names are facts of these files.
"""

import math
from collections.abc import Mapping
from typing import Any

from jepakit.hub.foreign import Renaming
from jepakit.hub.ijepa import HEADS, IMAGENET, sizes_of_blocks
from jepakit.hub.layout import BlockNames, Held, Layout, blocks, layer
from jepakit.hub.vit_names import Untold, patches, require_setting, told_positions
from jepakit.methods.vjepa import LONG_RANGE, SHORT_RANGE, VJEPAConfig
from jepakit.nn import MaskedPredictorConfig, ViTConfig
from jepakit.nn.position import Grid
from jepakit.types import UserError
from jepakit.views import Augment, ClipPreprocess, ClipViews

HEADS_2 = HEADS | {1408: 22, 1664: 26}
"""Heads of V-JEPA 2's encoders by their width: its giant has other heads than I-JEPA's."""
PREDICTOR_HEADS_2 = 12
MASK_KIND_2 = 1
"""Which of V-JEPA 2's mask tokens asks: what Meta's hub code and transformers take."""
IMAGE_SIZE, NUM_FRAMES = 256, 16
"""Size of V-JEPA 2's clips unless another is said: its weights do not tell, and the encoder takes any."""
CLIPS = ClipPreprocess(num_frames=1, frame=IMAGENET)
"""The normalisation; a configuration gives it its size."""

BLOCK_IN_HUGGINGFACE: BlockNames = {
    "norm1": "norm1",
    "attn.qkv": ("attention.query", "attention.key", "attention.value"),
    "attn.proj": "attention.proj",
    "norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
EARLY = "attention.attention."
"""What early conversions write in place of `attention.`."""


def is_rotary_in_meta(encoder: Renaming, predictor: Renaming | None) -> bool:
    """Return whether clips are V-JEPA 2's: no table, or one beside more mask tokens than V-JEPA has."""
    return "pos_embed" not in encoder.left or (predictor is not None and predictor.count("mask_tokens.") > 2)


def encoder_in_meta(source: Renaming, untold: Untold, rotary: bool) -> ViTConfig:
    """Read the sizes of Meta's encoder of clips from its weights, and what they do not tell from `untold`.

    Raises:
        UserError: A weight is missing or misshapen, the table of positions is none of V-JEPA's, or the heads of such a
            width are not known.
    """
    patch = source.look("patch_embed.proj.weight", 5)
    dim, tubelet, side = patch.shape[0], patch.shape[2], patch.shape[3]
    if rotary:
        size, num_frames = untold.image_size or IMAGE_SIZE, untold.num_frames or NUM_FRAMES
    else:
        moments, rows, _ = _grid_of_table(source, dim)
        size, num_frames = rows * side, moments * tubelet
        untold.check(source.origin, image_size=size, num_frames=num_frames)
    return ViTConfig(
        image_size=size,
        patch_size=(side, patch.shape[4]),
        num_frames=num_frames,
        tubelet_size=tubelet,
        in_channels=patch.shape[1],
        positions="rotary-released" if rotary else "sincos",
        other_sizes="regenerate",
        num_heads=untold.heads_of(dim, HEADS_2 if rotary else HEADS, source.origin),
        **sizes_of_blocks(source, dim),
    )


def _grid_of_table(source: Renaming, dim: int) -> Grid:
    """Return moments, rows and columns of a fixed table, of which its length alone tells only the product.

    Raises:
        UserError: It is no fixed table of any grid of squares.
    """
    num_places = source.look("pos_embed", 3).shape[1]
    for side in range(math.isqrt(num_places), 0, -1):
        if num_places % side**2 == 0:
            grid = (num_places // side**2, side, side)
            if told_positions(source, "pos_embed", grid, dim) == "sincos":
                return grid
    raise UserError(
        f"{source.origin}: {source.called('pos_embed')!r} is not the table of sines and cosines that V-JEPA is trained "
        "with, so what it tells of moments, rows and columns is not known."
    )


def vjepa_config(encoder: ViTConfig, predictor: Renaming) -> VJEPAConfig:
    """Describe the V-JEPA whose encoder and predictor these are; masks and views are the published ones, unbiased.

    Raises:
        UserError: A weight of the predictor is missing or misshapen.
    """
    rotary = encoder.positions == "rotary-released"
    num_tokens = predictor.count("mask_tokens.")
    return VJEPAConfig(
        encoder=encoder,
        augment=ClipViews(frame=Augment(image_size=1, crop_scale=(0.3, 1.0))),
        preprocess=CLIPS,
        predictor_dim=predictor.look("mask_tokens.0", 3).shape[2],
        predictor_depth=predictor.count("predictor_blocks."),
        predictor_heads=PREDICTOR_HEADS_2 if rotary else encoder.num_heads,
        mask_tokens=num_tokens,
        mask_kinds=(MASK_KIND_2,) * 2 if rotary else (),
    )


def huggingface_encoder(config: ViTConfig, ours: str = "encoder.") -> Layout:
    """Return how Hugging Face holds an encoder of clips."""
    return (
        patches(f"{ours}patch_embed", "encoder.embeddings.patch_embeddings.proj", config)
        | blocks(f"{ours}blocks.", "encoder.layer.", config.depth, BLOCK_IN_HUGGINGFACE)
        | layer(f"{ours}norm", "encoder.layernorm")
    )


def huggingface_predictor(config: MaskedPredictorConfig) -> Layout:
    """Return how Hugging Face holds the predictor, its mask tokens stacked."""
    tokens = Held(("predictor.embeddings.mask_tokens",), (config.num_mask_tokens, 1, 1, config.dim))
    return (
        layer("predictor.embed", "predictor.embeddings.predictor_embeddings")
        | {"predictor.mask_token": tokens}
        | blocks("predictor.blocks.", "predictor.layer.", config.depth, BLOCK_IN_HUGGINGFACE)
        | layer("predictor.norm", "predictor.layernorm")
        | layer("predictor.proj", "predictor.proj")
    )


def encoder_in_huggingface(settings: Mapping[str, Any], source: Renaming, origin: object) -> ViTConfig:
    """Read the sizes of Hugging Face's encoder of clips from its config.json.

    The width inside the MLPs is the weights', since its ratio in JSON may be rounded: int(1408 * 4.363636) is 6143.

    Raises:
        UserError: A setting asks for what this encoder does not do, or the ratio is another than the weights'.
    """
    require_setting(settings, "hidden_act", ("gelu",), "gelu", origin)
    require_setting(settings, "layer_norm_eps", (1e-6,), 1e-6, origin)
    require_setting(settings, "qkv_bias", (True,), True, origin)
    dim, ratio = settings.get("hidden_size", 1024), settings.get("mlp_ratio", 4.0)
    mlp_dim = source.look("encoder.layer.0.mlp.fc1.weight", 2).shape[0]
    if abs(dim * ratio - mlp_dim) > 1:
        raise UserError(
            f"{origin} says mlp_ratio={ratio}, {dim * ratio:.0f} numbers inside each MLP, but "
            f"{source.called('encoder.layer.0.mlp.fc1.weight')!r} has {mlp_dim}."
        )
    size = settings.get("crop_size", 256)
    return ViTConfig(
        image_size=size,
        patch_size=settings.get("patch_size", 16),
        num_frames=settings.get("frames_per_clip", 64),
        tubelet_size=settings.get("tubelet_size", 2),
        dim=dim,
        depth=settings.get("num_hidden_layers", 24),
        num_heads=settings.get("num_attention_heads", 16),
        mlp_dim=mlp_dim,
        in_channels=settings.get("in_chans", 3),
        positions="rotary-released",
        other_sizes="regenerate",
    )


def predictor_in_huggingface(settings: Mapping[str, Any], encoder: ViTConfig) -> MaskedPredictorConfig:
    """Read the sizes of Hugging Face's predictor from its config.json."""
    dim = settings.get("pred_hidden_size", 384)
    return MaskedPredictorConfig(
        embedding_dim=encoder.dim,
        grid=encoder.grid,
        dim=dim,
        depth=settings.get("pred_num_hidden_layers", 12),
        num_heads=settings.get("pred_num_attention_heads", 12),
        mlp_dim=round(dim * settings.get("pred_mlp_ratio", 4.0)),
        positions="rotary-released",
        num_mask_tokens=settings.get("pred_num_mask_tokens", 10),
    )


MASKS = (SHORT_RANGE, LONG_RANGE)
"""What is asked about a clip; a configuration gives them their grid."""
