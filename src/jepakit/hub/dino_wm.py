"""Import DINO-WM's predictor, in the layout of JEPA-WMs' files: a state_dict for each part.

    predictor         pos_embedding, transformer.norm, transformer.layers.N.0.{norm, to_qkv, to_out.0},
                      transformer.layers.N.1.net.{0, 1, 4}
    action_encoder    patch_embed
    proprio_encoder   patch_embed, where the model feels

The layout was read from public code; it is tested on files made by the tests, and unverified against a released file.
DINO-WM's own files hold pickled modules, which are not executed here: save each module's state_dict() under these names
first. JEPA-WMs' other predictors (AdaLN with rotary positions, V-JEPA 2-AC) are other architectures, and refused.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from jepakit.hub.foreign import Renaming, read_foreign, tensors_in
from jepakit.hub.lewm import plain_block
from jepakit.methods.dino_wm import DINOWM, DINOWMConfig
from jepakit.methods.perceiving import FrameEncoderConfig
from jepakit.nn.window_dynamics import WindowDynamicsConfig
from jepakit.types import UserError
from jepakit.views import Preprocess

PARTS = ("predictor", "action_encoder", "proprio_encoder")
_HEAD_DIM = 64


def import_dino_wm(
    path: Path | str,
    encoder: nn.Module,
    *,
    encoder_config: FrameEncoderConfig,
    preprocess: Preprocess,
    action_low: tuple[float, ...],
    action_high: tuple[float, ...],
    frame_skip: int = 5,
    head_dim: int = _HEAD_DIM,
) -> DINOWM:
    """Build a DINO-WM from a file of its predictor and the frozen encoder, in eval mode.

    Args:
        path: A file with the parts above.
        encoder: The frozen network, with its weights; it returns the patch tokens that the predictor was trained on.
        encoder_config: What describes it, written down with the model.
        preprocess: What is done to a frame.
        action_low: Lowest action of one step; the file does not say.
        action_high: Highest action.
        frame_skip: Actions of a block.
        head_dim: Width of a head, which the weights do not tell.

    Raises:
        UserError: The file cannot be read without executing it, or a weight is missing, unknown or misshapen; the
            sentence names it.

    Source: Zhou et al. 2024, DINO-WM (arXiv 2411.04983); JEPA-WMs (arXiv 2512.24497). Deviations: none.
    """
    source = Renaming(_parts(read_foreign(path), path), path)
    actions = source.look("action_encoder.patch_embed.weight", 3)
    felt = source.left.get("proprio_encoder.patch_embed.weight")
    inner = source.look("predictor.transformer.layers.0.0.to_qkv.weight", 2).shape[0] // 3
    depth = source.count("predictor.transformer.layers.")
    base = DINOWMConfig(
        encoder=encoder_config,
        preprocess=preprocess,
        proprio_dim=0 if felt is None else felt.shape[1],
        proprio_embedding_dim=10 if felt is None else felt.shape[0],
        action_low=action_low,
        action_high=action_high,
        frame_skip=frame_skip,
        dynamics=WindowDynamicsConfig(
            depth=depth,
            num_heads=max(1, inner // head_dim),
            head_dim=head_dim,
            mlp_dim=source.look("predictor.transformer.layers.0.1.net.1.weight", 2).shape[0],
            window=_window(source, encoder, preprocess),
            conditioning="concatenate",
            action_dim=actions.shape[0],
            head="none",
        ),
    )
    model = base.build(seed=0, num_steps=1, encoder=encoder)
    for name, weight in model.encoder.state_dict().items():
        source.put(name, f"encoder.{name}", weight)
    for number in range(depth):
        theirs = f"predictor.transformer.layers.{number}"
        plain_block(source, f"{theirs}.0", f"{theirs}.1", f"predictor.blocks.{number}")
    source.layer("predictor.transformer.norm", "predictor.norm")
    source.put("predictor.pos_embedding", "predictor.window_position", source.take("predictor.pos_embedding")[0])
    for theirs, ours in (("action_encoder", "predictor.action"), ("proprio_encoder", "proprio")):
        if theirs == "action_encoder" or felt is not None:
            _embedding(source, theirs, ours)
    source.fill(model)
    return model.eval()


def _parts(held: dict[str, object], path: Path | str) -> dict[str, Tensor]:
    """Return the weights of all parts, each under its part's name."""
    weights: dict[str, Tensor] = {}
    for part in PARTS:
        if isinstance(inner := held.get(part), dict):
            weights |= {f"{part}.{name}": weight for name, weight in tensors_in(inner, path, ()).items()}
    if not weights:
        raise UserError(f"{path} has none of the parts {', '.join(PARTS)}, so it is no such checkpoint.")
    return weights


def _window(source: Renaming, encoder: nn.Module, preprocess: Preprocess) -> int:
    """Return how many frames the predictor sees: its positions, divided by the encoder's tokens.

    Raises:
        UserError: They do not divide.
    """
    side = preprocess.image_size
    with torch.no_grad():
        num_tokens = encoder(torch.zeros(1, preprocess.channels, side, side)).shape[1]
    places = source.look("predictor.pos_embedding", 3).shape[1]
    if places % num_tokens:
        raise UserError(
            f"{source.origin}: 'predictor.pos_embedding' has {places} places, no multiple of the {num_tokens} tokens "
            "that this encoder gives."
        )
    return places // num_tokens


def _embedding(source: Renaming, theirs: str, ours: str) -> None:
    """Rename a convolution over one step as the linear map that it is.

    Raises:
        UserError: It is over several steps.
    """
    weight = source.take(f"{theirs}.patch_embed.weight")
    if weight.shape[-1] != 1:
        raise UserError(f"{source.origin}: '{theirs}.patch_embed.weight' covers {weight.shape[-1]} steps, not 1.")
    source.put(f"{theirs}.patch_embed.weight", f"{ours}.weight", weight[..., 0])
    source.move(f"{theirs}.patch_embed.bias", f"{ours}.bias")
