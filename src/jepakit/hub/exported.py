"""Write a model in the forms in which others read it: a folder of Hugging Face's, or a file of Meta's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepakit.hub.ijepa import huggingface_encoder, meta_encoder, meta_predictor, table_of
from jepakit.hub.layout import written
from jepakit.methods import IJEPA
from jepakit.nn import ViT
from jepakit.storage import save_tensors, write_atomically, write_json
from jepakit.types import UserError
from jepakit.views import Preprocess


def export_huggingface(method: Any, out: Path) -> list[Path]:
    """Write the encoder as a folder that transformers' `IJepaModel.from_pretrained` loads; returns its files.

    Args:
        method: Any method whose encoder is a ViT as I-JEPA's.
        out: The folder.

    Raises:
        UserError: The encoder is none that `IJepaModel` computes.
    """
    encoder = _encoder_of(method, "Hugging Face's IJepaModel")
    config = encoder.config
    weights = written(method.state_dict(), huggingface_encoder(config))
    weights["embeddings.position_embeddings"] = table_of(config.grid, config.dim)
    save_tensors(out / "model.safetensors", weights, {})
    write_json(out / "config.json", _settings(encoder))
    files = [out / "model.safetensors", out / "config.json"]
    if isinstance(method.preprocess, Preprocess):
        write_json(out / "preprocessor_config.json", _preprocessor(method.preprocess))
        files.append(out / "preprocessor_config.json")
    return files


def export_meta(method: Any, out: Path) -> list[Path]:
    """Write a file with the names of Meta's I-JEPA: encoder, target_encoder and predictor.

    Args:
        method: An `IJEPA`.
        out: The file, `.pth.tar` by custom.

    Raises:
        UserError: The method is no I-JEPA, or differs from the published one in its networks.
    """
    encoder = _encoder_of(method, "Meta's I-JEPA")
    if not isinstance(method, IJEPA) or method.config.target_depth is not None:
        raise UserError(
            f"A {type(method).__name__} of these settings cannot be written as Meta's I-JEPA; only an IJEPA whose "
            "targets come from all blocks can."
        )
    if method.config.predictor_heads != encoder.config.num_heads:
        raise UserError(
            f"Meta's I-JEPA has as many heads in the predictor as in the encoder, here {method.config.predictor_heads} "
            f"and {encoder.config.num_heads}, and its file does not say how many."
        )
    state, grid = method.state_dict(), encoder.config.grid
    table = {"pos_embed": table_of(grid, encoder.config.dim)}
    held = {
        "encoder": written(state, meta_encoder("encoder.", encoder.config)) | table,
        "target_encoder": written(state, meta_encoder("target.encoder.", encoder.config)) | table,
        "predictor": written(state, meta_predictor(method.config))
        | {"predictor_pos_embed": table_of(grid, method.config.predictor_dim)},
    }
    _save(out, {part: {f"module.{name}": t.contiguous() for name, t in ws.items()} for part, ws in held.items()})
    return [out]


EXPORTS: dict[str, Callable[[Any, Path], list[Path]]] = {"hf": export_huggingface, "meta": export_meta}
"""How each form is written."""


def _encoder_of(method: Any, theirs: str) -> ViT:
    """Return the encoder, of the kind that they compute.

    Raises:
        UserError: It is of another kind.
    """
    encoder = getattr(method, "encoder", None)
    if not isinstance(encoder, ViT):
        raise UserError(f"{theirs} is a ViT, but this model's encoder is a {type(encoder).__name__}.")
    for name, value in (("stem", "linear"), ("positions", "sincos")):
        if getattr(encoder.config, name) != value:
            raise UserError(f"{theirs} has {name}={value!r}, but this encoder has {getattr(encoder.config, name)!r}.")
    return encoder


def _settings(encoder: ViT) -> dict[str, Any]:
    """Return Hugging Face's config.json of an encoder."""
    config = encoder.config
    return {
        "architectures": ["IJepaModel"],
        "model_type": "ijepa",
        "hidden_size": config.dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.mlp_dim,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": encoder.norm.eps,
        "image_size": _one_number(config.image_size),
        "patch_size": _one_number(config.patch_size),
        "num_channels": config.in_channels,
        "qkv_bias": config.qkv_bias,
        "torch_dtype": "float32",
    }


def _one_number(size: Any) -> int | list[int]:
    """Return the side of a square, or both sides."""
    height, width = size
    return height if height == width else [height, width]


def _preprocessor(preprocess: Preprocess) -> dict[str, Any]:
    """Return Hugging Face's preprocessor_config.json; it resizes without cutting a square first, as theirs do."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": preprocess.image_size, "width": preprocess.image_size},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(_each(preprocess.mean, preprocess.channels)),
        "image_std": list(_each(preprocess.std, preprocess.channels)),
    }


def _each(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return one value a channel."""
    return values * channels if len(values) == 1 else values


def _save(path: Path, held: dict[str, dict[str, Tensor]]) -> None:
    """Write a file of torch's, atomically."""
    write_atomically(path, lambda temporary: torch.save(held, temporary))
