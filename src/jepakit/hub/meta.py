"""Import the files that Meta released: encoder, moving average and predictor beside the state of their training.

    encoder  predictor  target_encoder      a state_dict each, names behind `module.` (and `backbone.`)
    opt  scaler  epoch  loss  ...           left out

The branch that embeds is chosen: by default the moving average, which the papers evaluate.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jepakit.hub import ijepa, vjepa
from jepakit.hub.empty import build_empty
from jepakit.hub.foreign import Renaming
from jepakit.hub.imported import Imported
from jepakit.hub.vit_names import Untold, drop_table, meta_encoder, part_of, told_positions
from jepakit.methods import IJEPAConfig, ReleasedConfig
from jepakit.nn import ViTConfig
from jepakit.types import UserError

BRANCHES = ("target_encoder", "encoder")
"""Encoders of a file, the one that embeds unless another is asked for first."""
_SHOWN = 6


def import_meta(held: Mapping[str, Any], path: Path, untold: Untold, branch: str | None = None) -> Imported:
    """Import a file of Meta's, in eval mode.

    With the branch `encoder` the method is as training left it: encoder, predictor, and the moving average as target.
    With `target_encoder` the average takes the encoder's place too, so that it embeds.

    Args:
        held: What the file holds.
        path: The file.
        untold: What the weights do not tell.
        branch: Which encoder embeds; None for the moving average where there is one.

    Raises:
        UserError: It is no file of Meta's, lacks the branch, or holds a weight too many, too few or misshapen; the
            sentence names it.
    """
    found = [name for name in BRANCHES if isinstance(held.get(name), dict)]
    if not found:
        names = ", ".join(map(repr, list(held)[:_SHOWN])) or "nothing"
        raise UserError(f"{path} has no 'encoder' and no 'target_encoder', so it is no file of Meta's; it has {names}.")
    branch = branch or found[0]
    if branch not in found:
        raise UserError(f"{path} has no {branch!r}; of encoders it has {' and '.join(map(repr, found))}.")
    encoder, predictor = part_of(held, branch, path), _predictor_of(held, path)
    described, family = _describe(encoder, predictor, untold)
    if predictor is None:
        method, used = _encoder_alone(encoder, described), {branch}
    else:
        target = part_of(held, found[0], path) if branch != found[0] else None
        method, used = _method(encoder, described, predictor, target), {branch, found[0], "predictor"}
    left_out = [str(name) for name in held if name not in used]
    return Imported(method.eval(), f"Meta's file of {family}", (path,), branch, left_out)


def _predictor_of(held: Mapping[str, Any], path: Path) -> Renaming | None:
    """Return the predictor of hidden tokens; one that is told actions is left out."""
    if not isinstance(held.get("predictor"), dict):
        return None
    predictor = part_of(held, "predictor", path)
    return None if "action_encoder.weight" in predictor.left else predictor


def _describe(encoder: Renaming, predictor: Renaming | None, untold: Untold) -> tuple[ViTConfig, str]:
    """Describe the encoder, and say of which family it is.

    Raises:
        UserError: It is of none that is imported.
    """
    if "norms_block.0.weight" in encoder.left:
        raise UserError(f"{encoder.origin} holds a V-JEPA 2.1, whose encoder is not imported.")
    if encoder.look("patch_embed.proj.weight").ndim != 5:
        described = ijepa.encoder_in_meta(encoder, untold)
        return _with_predictor_table(described, predictor), "an I-JEPA"
    rotary = vjepa.is_rotary_in_meta(encoder, predictor)
    return vjepa.encoder_in_meta(encoder, untold, rotary), "a V-JEPA 2" if rotary else "a V-JEPA"


def _with_predictor_table(described: ViTConfig, predictor: Renaming | None) -> ViTConfig:
    """Return the encoder with stored positions where the predictor's table is not the fixed one: both are alike."""
    if predictor is None:
        return described
    dim = predictor.look("predictor_pos_embed", 3).shape[2]
    told = told_positions(predictor, "predictor_pos_embed", described.grid, dim)
    return replace(described, positions="stored") if told == "stored" else described


def _encoder_alone(encoder: Renaming, described: ViTConfig) -> Any:
    """Build an encoder from a file that holds no predictor."""
    preprocess = vjepa.CLIPS if described.num_frames else ijepa.IMAGENET
    method = build_empty(ReleasedConfig(encoder=described, preprocess=preprocess))
    encoder.follow(meta_encoder("encoder.", described), method.state_dict())
    drop_table(encoder, "pos_embed", described, described.dim)
    encoder.fill(method)
    return method


def _method(encoder: Renaming, described: ViTConfig, predictor: Renaming, target: Renaming | None) -> Any:
    """Build an I-JEPA or a V-JEPA; without a target of its own the encoder is the target too."""
    config: IJEPAConfig = (vjepa.vjepa_config if described.num_frames else ijepa.ijepa_config)(described, predictor)
    method = build_empty(config)
    expected = method.state_dict()
    encoder.follow(meta_encoder("encoder.", described), expected)
    predictor.follow(ijepa.meta_predictor(config), expected)
    drop_table(encoder, "pos_embed", described, described.dim)
    drop_table(predictor, "predictor_pos_embed", described, config.predictor_dim)
    if target is None:
        for ours, (theirs, weight) in list(encoder.given.items()):
            encoder.put(theirs, f"target.{ours}", weight.clone())  # each is trained on its own
    else:
        target.follow(meta_encoder("target.encoder.", described), expected)
        drop_table(target, "pos_embed", described, described.dim)
        encoder.join(target)
    encoder.join(predictor)
    encoder.fill(method)
    return method
