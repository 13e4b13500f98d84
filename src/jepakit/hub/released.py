"""Recognise what others released, and import it."""

from pathlib import Path
from typing import Any

from jepakit.hub.empty import build_empty
from jepakit.hub.foreign import read_foreign
from jepakit.hub.huggingface import import_huggingface
from jepakit.hub.imported import Imported
from jepakit.hub.meta import import_meta
from jepakit.hub.probes import is_probe, meta_probe, probe_in_meta
from jepakit.hub.vit_names import Untold
from jepakit.methods import ReleasedConfig
from jepakit.nn import ViT
from jepakit.storage import read_json
from jepakit.types import UserError, require

AS_IN_METAS = Untold()


def is_released(path: Path) -> bool:
    """Return whether others wrote what lies there: a file, or a folder whose config.json has a `model_type`."""
    if path.is_file():
        return True
    config = path / "config.json"
    if not config.is_file():
        return False
    settings = read_json(config)
    return isinstance(settings, dict) and "model_type" in settings and "method" not in settings


def import_released(
    path: Path,
    untold: Untold = AS_IN_METAS,
    *,
    branch: str | None = None,
    encoder: Any = None,
) -> Imported:
    """Import a file of Meta's or a folder of Hugging Face's, in eval mode.

    Args:
        path: The file or the folder.
        untold: What a file's weights do not tell, where it is not as in Meta's models.
        branch: Which of a file's encoders embeds; see `import_meta`.
        encoder: Of a probe: the method on whose encoder it was trained.

    Raises:
        UserError: It is neither, or does not fit; the sentence says why.
    """
    if path.is_file():
        held = read_foreign(path)
        if is_probe(held):
            require(branch is None, f"{path} holds a probe, which has no branches.")
            return _import_probe(held, path, untold, encoder)
        require(encoder is None, f"{path} holds encoders of its own; only a probe is put onto another.")
        return import_meta(held, path, untold, branch)
    if not is_released(path):
        raise UserError(
            f"{path} is neither a file of weights nor a folder of Hugging Face's, whose config.json has a model_type."
        )
    require(branch is None, f"{path} is a folder of Hugging Face's, which holds one encoder, so there is no branch.")
    require(untold == AS_IN_METAS, f"{path} says its sizes in config.json, so none can be given.")
    require(encoder is None, f"{path} holds an encoder of its own; only a probe is put onto another.")
    return import_huggingface(path)


def _import_probe(held: dict[str, Any], path: Path, untold: Untold, onto: Any) -> Imported:
    """Import a probe onto an encoder.

    Raises:
        UserError: No encoder was given, or none that the probe fits.
    """
    config, source = probe_in_meta(held, path, untold.num_heads)
    encoder = getattr(onto, "encoder", None)
    if encoder is None:
        raise UserError(
            f"{path} holds a probe, which needs the encoder that it was trained on: jepakit import {path} --encoder "
            "MODEL --out DIR."
        )
    if not isinstance(encoder, ViT) or encoder.config.dim != config.dim:
        raise UserError(
            f"{path} holds a probe of tokens of width {config.dim}, but the encoder gives {encoder.embedding_dim}."
        )
    method = build_empty(ReleasedConfig(encoder=encoder.config, preprocess=onto.preprocess, classifier=config))
    source.follow(meta_probe(config), method.state_dict())
    for name, weight in encoder.state_dict().items():
        source.put(name, f"encoder.{name}", weight)
    source.fill(method)
    left_out = [str(name) for name in held if name not in ("classifier", "classifiers")]
    return Imported(method, "Meta's probe", (path,), "the encoder given", left_out)
