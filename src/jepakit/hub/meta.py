"""Import the files that Meta released: encoder, moving average and predictor beside the state of their training.

    encoder  predictor  target_encoder      a state_dict each, names behind `module.` (and `backbone.`)
    opt  scaler  epoch  loss  ...           left out

The branch that embeds is chosen: by default the moving average, which the papers evaluate.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from jepakit.hub.foreign import Renaming, read_foreign
from jepakit.hub.ijepa import encoder_in_meta, ijepa_config, meta_encoder, meta_predictor, take_table
from jepakit.hub.imported import Imported
from jepakit.methods import EncoderOnlyConfig
from jepakit.nn import ViTConfig
from jepakit.types import UserError
from jepakit.views import IMAGENET_MEAN, IMAGENET_STD, Preprocess

BRANCHES = ("target_encoder", "encoder")
"""Encoders of a file, the one that embeds unless another is asked for first."""
_WRAPPERS = ("module.", "backbone.")
_SIZES = "the sizes of the others"
_SHOWN = 6


def import_meta(path: Path, *, branch: str | None = None, num_heads: int | None = None) -> Imported:
    """Import a file of Meta's, in eval mode.

    With the branch `encoder` the method is as training left it: encoder, predictor, and the moving average as target.
    With `target_encoder` the average takes the encoder's place too, so that it embeds.

    Args:
        path: The file: `.pth.tar` or `.pt`.
        branch: Which encoder embeds; None for the moving average where there is one.
        num_heads: Heads of the encoder, where its width is none of Meta's.

    Raises:
        UserError: The file cannot be read without executing it, is no file of Meta's, lacks the branch, or holds a
            weight too many, too few or misshapen; the sentence names it.
    """
    held = read_foreign(path)
    found = [name for name in BRANCHES if isinstance(held.get(name), dict)]
    if not found:
        names = ", ".join(map(repr, list(held)[:_SHOWN])) or "nothing"
        raise UserError(f"{path} has no 'encoder' and no 'target_encoder', so it is no file of Meta's; it has {names}.")
    branch = branch or found[0]
    if branch not in found:
        raise UserError(f"{path} has no {branch!r}; of encoders it has {' and '.join(map(repr, found))}.")
    encoder = part_of(held, branch, path)
    _refuse_video(encoder, path)
    described = encoder_in_meta(encoder, num_heads)
    if not isinstance(held.get("predictor"), dict):
        method = _encoder_alone(encoder, described)
        used = {branch}
    else:
        target = part_of(held, found[0], path) if branch != found[0] else None
        method = _ijepa(encoder, described, part_of(held, "predictor", path), target)
        used = {branch, found[0], "predictor"}
    left_out = [str(name) for name in held if name not in used]
    return Imported(method.eval(), "Meta's file of an I-JEPA", (path,), branch, left_out)


def part_of(held: Mapping[str, Any], name: str, path: Path) -> Renaming:
    """Return the weights of one part of a file, without the wrappers that their names begin with.

    Raises:
        UserError: It holds what is no tensor, or some names begin otherwise than others.
    """
    part: dict[str, Any] = held[name]
    first = str(next(iter(part), ""))
    prefix = ""
    while first.removeprefix(prefix).startswith(_WRAPPERS):
        prefix += next(wrapper for wrapper in _WRAPPERS if first.removeprefix(prefix).startswith(wrapper))
    weights: dict[str, Tensor] = {}
    for key, value in part.items():
        if not isinstance(value, Tensor):
            raise UserError(f"{path}: {key!r} in {name!r} holds a {type(value).__name__}, not a tensor.")
        if not str(key).startswith(prefix):
            raise UserError(f"{path}: {key!r} in {name!r} does not begin with {prefix!r} as the first one does.")
        weights[str(key).removeprefix(prefix)] = value
    return Renaming(weights, f"{path} ({name})", prefix)


def _refuse_video(encoder: Renaming, path: Path) -> None:
    """Refuse what is no I-JEPA."""
    patch = encoder.look("patch_embed.proj.weight")
    if patch.ndim == 5:
        raise UserError(f"{path} holds a V-JEPA, which looks at video and is not imported yet.")


def _encoder_alone(encoder: Renaming, described: ViTConfig) -> Any:
    """Build an encoder from a file that holds no predictor."""
    preprocess = Preprocess(image_size=1, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    method = EncoderOnlyConfig(encoder=described, preprocess=preprocess).build(seed=0, num_steps=1)
    encoder.follow(meta_encoder("encoder.", described), method.state_dict(), _SIZES)
    take_table(encoder, "pos_embed", described.grid, described.dim)
    encoder.fill(method)
    return method


def _ijepa(encoder: Renaming, described: ViTConfig, predictor: Renaming, target: Renaming | None) -> Any:
    """Build an I-JEPA; without a target of its own the encoder is the target too."""
    config = ijepa_config(described, predictor)
    method = config.build(seed=0, num_steps=1)
    expected = method.state_dict()
    encoder.follow(meta_encoder("encoder.", described), expected, _SIZES)
    predictor.follow(meta_predictor(config), expected, _SIZES)
    take_table(encoder, "pos_embed", described.grid, described.dim)
    take_table(predictor, "predictor_pos_embed", described.grid, config.predictor_dim)
    if target is None:
        for ours, (theirs, weight) in list(encoder.given.items()):
            encoder.put(theirs, f"target.{ours}", weight.clone())  # each is trained on its own
    else:
        target.follow(meta_encoder("target.encoder.", described), expected, _SIZES)
        take_table(target, "pos_embed", described.grid, described.dim)
        encoder.join(target)
    encoder.join(predictor)
    encoder.fill(method)
    return method
