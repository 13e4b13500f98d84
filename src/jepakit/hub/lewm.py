"""Import LeWM's weights: names and forward pass as in its public code, sizes read from the weights' own shapes.

The layout was read from public code that loads such files (`encoder.embeddings.*`, `encoder.encoder.layer.N.*`,
`projector.net.*`, `action_encoder.*`, `predictor.transformer.layers.N.*`, `pred_proj.net.*`); it is tested on files
made by the tests, and unverified against a released file.
"""

import math
from pathlib import Path

import torch

from jepakit.hub.foreign import Renaming, read_foreign, tensors_in
from jepakit.methods.lewm import LeWM, LeWMConfig
from jepakit.nn.classvit import ClassViTConfig
from jepakit.nn.window_dynamics import WindowDynamicsConfig
from jepakit.types import UserError
from jepakit.views import Preprocess
from jepakit.views.preprocess import IMAGENET_MEAN, IMAGENET_STD

_HEAD_DIM = 64


def import_lewm(
    path: Path | str,
    *,
    action_low: tuple[float, ...],
    action_high: tuple[float, ...],
    frame_skip: int = 5,
    encoder_heads: int = 3,
) -> LeWM:
    """Build a LeWM from a file of weights, in eval mode.

    Args:
        path: A state_dict, at the top of the file or under `state_dict` or `model`, names with or without `model.`.
        action_low: Lowest action of one step; the file does not say.
        action_high: Highest action.
        frame_skip: Actions of a block.
        encoder_heads: Heads of the encoder's attention, which its weights do not tell; 3 in a ViT-tiny.

    Raises:
        UserError: The file cannot be read without executing it, or a weight is missing, unknown or misshapen; the
            sentence names it.

    Source: Maes et al. 2026, LeWM (arXiv 2603.19312). Deviation: the two linear maps that begin the action encoder are
    multiplied into one, which is the same function.
    """
    source = Renaming(tensors_in(read_foreign(path), path, ("state_dict", "model"), "model."), path)
    config = _config(source, action_low, action_high, frame_skip, encoder_heads)
    model = config.build(seed=0, num_steps=1)
    told = source.look("action_encoder.patch_embed.weight", 3).shape[1]
    if told != config.told_dim:
        raise UserError(
            f"{path} was trained on blocks of {told} numbers, but {len(action_low)} numbers an action and "
            f"frame_skip={frame_skip} make {config.told_dim}."
        )
    _encoder(source, config.encoder.depth)  # type: ignore[union-attr]
    _predictor(source, config.dynamics.depth)  # type: ignore[union-attr]
    for theirs, ours in (("projector.net", "projector"), ("pred_proj.net", "predictor.head")):
        source.layer(f"{theirs}.0", f"{ours}.0")
        source.batchnorm(f"{theirs}.1", f"{ours}.1")
        source.layer(f"{theirs}.3", f"{ours}.3")
    source.fill(model)
    return model.eval()


def _config(
    source: Renaming, low: tuple[float, ...], high: tuple[float, ...], frame_skip: int, encoder_heads: int
) -> LeWMConfig:
    """Read the sizes from the shapes of weights."""
    patches = source.look("encoder.embeddings.patch_embeddings.projection.weight", 4)
    num_patches = source.look("encoder.embeddings.position_embeddings", 3).shape[1] - 1
    encoder = ClassViTConfig(
        image_size=math.isqrt(num_patches) * patches.shape[2],
        patch_size=patches.shape[2],
        dim=patches.shape[0],
        depth=source.count("encoder.encoder.layer."),
        num_heads=encoder_heads,
        mlp_dim=source.look("encoder.encoder.layer.0.intermediate.dense.weight", 2).shape[0],
        in_channels=patches.shape[1],
    )
    inner = source.look("predictor.transformer.layers.0.attn.to_qkv.weight", 2).shape[0] // 3
    dynamics = WindowDynamicsConfig(
        depth=source.count("predictor.transformer.layers."),
        num_heads=inner // _HEAD_DIM if inner % _HEAD_DIM == 0 else 1,
        head_dim=_HEAD_DIM if inner % _HEAD_DIM == 0 else inner,
        mlp_dim=source.look("predictor.transformer.layers.0.mlp.net.1.weight", 2).shape[0],
        window=source.look("predictor.pos_embedding", 3).shape[1],
        head_dim_hidden=source.look("pred_proj.net.0.weight", 2).shape[0],
        action_hidden=source.look("action_encoder.embed.0.weight", 2).shape[0],
    )
    return LeWMConfig(
        encoder=encoder,
        preprocess=Preprocess(image_size=encoder.image_size, mean=IMAGENET_MEAN, std=IMAGENET_STD),
        pool="first",
        dynamics=dynamics,
        dim=source.look("projector.net.3.weight", 2).shape[0],
        projector_dim=source.look("projector.net.0.weight", 2).shape[0],
        action_low=low,
        action_high=high,
        frame_skip=frame_skip,
    )


def _encoder(source: Renaming, depth: int) -> None:
    """Rename the encoder, a ViT as Hugging Face's transformers wrote it until version 4."""
    source.move("encoder.embeddings.cls_token", "encoder.class_token")
    source.move("encoder.embeddings.position_embeddings", "encoder.token_position")
    source.layer("encoder.embeddings.patch_embeddings.projection", "encoder.patch_embed")
    for number in range(depth):
        theirs, ours = f"encoder.encoder.layer.{number}", f"encoder.blocks.{number}"
        for part in ("weight", "bias"):
            names = [f"{theirs}.attention.attention.{name}.{part}" for name in ("query", "key", "value")]
            source.put(names[0], f"{ours}.attn.qkv.{part}", torch.cat([source.take(name) for name in names]))
        source.layer(f"{theirs}.attention.output.dense", f"{ours}.attn.proj")
        source.layer(f"{theirs}.intermediate.dense", f"{ours}.mlp.fc1")
        source.layer(f"{theirs}.output.dense", f"{ours}.mlp.fc2")
        source.layer(f"{theirs}.layernorm_before", f"{ours}.norm1")
        source.layer(f"{theirs}.layernorm_after", f"{ours}.norm2")
    source.layer("encoder.layernorm", "encoder.norm")


def _predictor(source: Renaming, depth: int) -> None:
    """Rename the predictor and the action encoder."""
    smooth, shift = (source.take(f"action_encoder.patch_embed.{part}") for part in ("weight", "bias"))
    first, bias = (source.take(f"action_encoder.embed.0.{part}") for part in ("weight", "bias"))
    if first.ndim != 2 or first.shape[1] != smooth.shape[0] or smooth.shape[2] != 1 or shift.shape != smooth.shape[:1]:
        raise UserError(
            f"{source.origin}: 'action_encoder.patch_embed.weight' {tuple(smooth.shape)} does not lead into "
            f"'action_encoder.embed.0.weight' {tuple(first.shape)}."
        )
    source.put("action_encoder.embed.0.weight", "predictor.action.fc1.weight", first @ smooth[..., 0])
    source.put("action_encoder.embed.0.bias", "predictor.action.fc1.bias", first @ shift + bias)
    source.layer("action_encoder.embed.2", "predictor.action.fc2")
    source.put("predictor.pos_embedding", "predictor.window_position", source.take("predictor.pos_embedding")[0])
    modulations: dict[str, list[torch.Tensor]] = {"weight": [], "bias": []}
    for number in range(depth):
        theirs, ours = f"predictor.transformer.layers.{number}", f"predictor.blocks.{number}"
        for part, parts in modulations.items():
            parts.append(source.take(f"{theirs}.adaLN_modulation.1.{part}"))
        plain_block(source, f"{theirs}.attn", f"{theirs}.mlp", ours)
    for part, parts in modulations.items():
        source.put(
            f"predictor.transformer.layers.*.adaLN_modulation.1.{part}",
            f"predictor.modulation.{part}",
            torch.cat(parts),
        )
    source.layer("predictor.transformer.norm", "predictor.norm")


def plain_block(source: Renaming, attention: str, mlp: str, ours: str) -> None:
    """Rename one block's attention and MLP, each of which begins with its LayerNorm."""
    source.layer(f"{attention}.norm", f"{ours}.norm1")
    source.move(f"{attention}.to_qkv.weight", f"{ours}.qkv.weight")
    source.layer(f"{attention}.to_out.0", f"{ours}.proj")
    source.layer(f"{mlp}.net.0", f"{ours}.norm2")
    source.layer(f"{mlp}.net.1", f"{ours}.fc1")
    source.layer(f"{mlp}.net.4", f"{ours}.fc2")
