"""Write a model in the forms in which others read it: a folder of Hugging Face's, or a file of Meta's."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepakit.hub import ijepa, vjepa
from jepakit.hub.layout import layer, written
from jepakit.hub.onnx_file import export_onnx
from jepakit.hub.probes import huggingface_probe
from jepakit.hub.vit_names import meta_encoder, written_table
from jepakit.methods import IJEPA
from jepakit.nn import Classifier, MaskedPredictor, ViT, ViTConfig
from jepakit.nn.block import LAYER_NORM_EPS
from jepakit.storage import save_tensors, write_atomically, write_json
from jepakit.types import UserError, require
from jepakit.views import ClipPreprocess, Preprocess

_OF_IMAGES = ("sincos", "stored")
_OF_CLIPS = ("sincos", "rotary-released")


def export_huggingface(method: Any, out: Path) -> list[Path]:
    """Write a folder that transformers loads, as an I-JEPA of images or a V-JEPA 2 of clips; returns its files.

    Args:
        method: Any method whose encoder is a ViT as theirs: of I-JEPA's the encoder is written, and a classifier; of
            V-JEPA 2's the predictor too.
        out: The folder.

    Raises:
        UserError: The networks are none that they compute.
    """
    encoder = _encoder_of(method, "Hugging Face's models")
    state = method.state_dict()
    if encoder.config.num_frames:
        weights, settings = _vjepa(method, encoder, state)
    else:
        weights, settings = _ijepa(method, encoder.config, state)
    settings |= {"torch_dtype": "float32"} | _labels(method)
    save_tensors(out / "model.safetensors", weights, {})
    write_json(out / "config.json", settings)
    return [out / "model.safetensors", out / "config.json", *_preprocessor(method.preprocess, out)]


def export_meta(method: Any, out: Path) -> list[Path]:
    """Write a file with the names of Meta's I-JEPA or V-JEPA: encoder, target_encoder and predictor.

    Args:
        method: An `IJEPA` or a `VJEPA`.
        out: The file, `.pth.tar` by custom.

    Raises:
        UserError: The method is neither, or differs from the published ones in its networks.
    """
    encoder = _encoder_of(method, "Meta's files")
    if not isinstance(method, IJEPA) or method.config.target_depth is not None:
        raise UserError(
            f"A {type(method).__name__} of these settings cannot be written as a file of Meta's; only an IJEPA or a "
            "VJEPA whose targets come from all blocks can."
        )
    config, described = method.config, encoder.config
    rotary = described.positions == "rotary-released"
    heads = vjepa.PREDICTOR_HEADS_2 if rotary else described.num_heads
    require(
        config.predictor_heads == heads,
        f"Such a file of Meta's has {heads} heads in the predictor and does not say so; this predictor has "
        f"{config.predictor_heads}.",
    )
    state = method.state_dict()
    held = {
        "encoder": written(state, meta_encoder("encoder.", described)),
        "target_encoder": written(state, meta_encoder("target.encoder.", described)),
        "predictor": written(state, ijepa.meta_predictor(config)),
    }
    if not rotary:
        tables = {"encoder": "encoder", "target_encoder": "target.encoder"}
        for part, ours in tables.items():
            name = f"{ours}.position_table"
            held[part]["pos_embed"] = written_table(state, name, described.grid, described.dim)
        table = written_table(state, "predictor.position_table", described.grid, config.predictor_dim)
        held["predictor"]["predictor_pos_embed"] = table
    prefix = "module.backbone." if described.num_frames else "module."
    contiguous = {part: {prefix + name: t.contiguous() for name, t in ws.items()} for part, ws in held.items()}
    write_atomically(out, lambda temporary: torch.save(contiguous, temporary))
    return [out]


EXPORTS: dict[str, Callable[[Any, Path], list[Path]]] = {
    "hf": export_huggingface,
    "meta": export_meta,
    "onnx": export_onnx,
}
"""How each form is written."""


def _encoder_of(method: Any, theirs: str) -> ViT:
    """Return the encoder, of the kind that they compute.

    Raises:
        UserError: It is of another kind.
    """
    encoder = getattr(method, "encoder", None)
    if not isinstance(encoder, ViT):
        raise UserError(f"{theirs} are ViTs, but this model's encoder is a {type(encoder).__name__}.")
    known = _OF_CLIPS if encoder.config.num_frames else _OF_IMAGES
    for name, accepted in (("stem", ("linear",)), ("positions", known)):
        value = getattr(encoder.config, name)
        if value not in accepted:
            raise UserError(f"{theirs} have {name} {' or '.join(accepted)}, but this encoder has {value!r}.")
    return encoder


def _ijepa(method: Any, config: ViTConfig, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return weights and settings of an I-JEPA, perhaps with a classifier of the mean token."""
    weights = written(state, ijepa.huggingface_encoder(config))
    table = written_table(state, "encoder.position_table", config.grid, config.dim)
    weights["embeddings.position_embeddings"] = table.contiguous()
    architecture = "IJepaModel"
    if (classifier := _classifier_of(method)) is not None:
        require(classifier.pooler is None, "Hugging Face's I-JEPA classifies the mean token; this model's does not.")
        weights = {f"ijepa.{name}": weight for name, weight in weights.items()}
        weights |= written(state, layer("classifier.linear", "classifier"))
        architecture = "IJepaForImageClassification"
    settings = {
        "architectures": [architecture],
        "model_type": "ijepa",
        "intermediate_size": config.mlp_dim,
        "hidden_dropout_prob": 0.0,
        "image_size": _one_number(config.image_size),
        "num_channels": config.in_channels,
    }
    return weights, settings | _shared(config)


def _vjepa(method: Any, encoder: ViT, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return weights and settings of a V-JEPA 2, perhaps with a probe."""
    config, predictor = encoder.config, getattr(method, "predictor", None)
    require(config.positions == "rotary-released", "Hugging Face has V-JEPA 2 alone, whose positions are rotations.")
    require(config.image_size[0] == config.image_size[1], "Hugging Face's V-JEPA 2 takes squares.")  # type: ignore[index]
    require(
        isinstance(predictor, MaskedPredictor),
        "Hugging Face's V-JEPA 2 holds a predictor, which this model lacks, so transformers would make one up.",
    )
    assert isinstance(predictor, MaskedPredictor)
    weights = written(state, vjepa.huggingface_encoder(config)) | written(
        state, vjepa.huggingface_predictor(predictor.config)
    )
    settings = {
        "architectures": ["VJEPA2Model"],
        "model_type": "vjepa2",
        "crop_size": _one_number(config.image_size),
        "frames_per_clip": config.num_frames,
        "tubelet_size": config.tubelet_size,
        "in_chans": config.in_channels,
        "mlp_ratio": ratio_of(config.mlp_dim, config.dim),
        "pred_hidden_size": predictor.config.dim,
        "pred_num_hidden_layers": predictor.config.depth,
        "pred_num_attention_heads": predictor.config.num_heads,
        "pred_num_mask_tokens": predictor.config.num_mask_tokens,
        "pred_mlp_ratio": ratio_of(predictor.config.mlp_dim, predictor.config.dim),
    }
    if (classifier := _classifier_of(method)) is not None:
        probe = classifier.config
        require(
            (probe.pooling, probe.num_heads, probe.norm_eps) == ("attentive", config.num_heads, LAYER_NORM_EPS),
            "Hugging Face's probe has the encoder's number of heads and norms with 1e-6; this one has "
            f"{probe.num_heads} heads (the encoder {config.num_heads}) and {probe.norm_eps}.",
        )
        weights = {f"vjepa2.{name}": weight for name, weight in weights.items()}
        weights |= written(state, huggingface_probe(probe))
        settings |= {"architectures": ["VJEPA2ForVideoClassification"], "num_pooler_layers": probe.depth}
    return weights, settings | _shared(config)


def ratio_of(mlp_dim: int, dim: int) -> float:
    """Return the ratio from which `int(dim * ratio)` makes the width again, which a rounded one may miss by one."""
    ratio = mlp_dim / dim
    return ratio if int(dim * ratio) == mlp_dim else math.nextafter(ratio, math.inf)


def _shared(config: ViTConfig) -> dict[str, Any]:
    """Return the settings that both of Hugging Face's encoders call alike."""
    return {
        "hidden_size": config.dim,
        "num_hidden_layers": config.depth,
        "num_attention_heads": config.num_heads,
        "patch_size": _one_number(config.patch_size),
        "hidden_act": "gelu",
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": LAYER_NORM_EPS,
        "qkv_bias": config.qkv_bias,
    }


def _classifier_of(method: Any) -> Classifier | None:
    """Return the classifier of a model that has one."""
    classifier = getattr(method, "classifier", None)
    return classifier if isinstance(classifier, Classifier) else None


def _labels(method: Any) -> dict[str, Any]:
    """Return the names of the classes, or their numbers, as Hugging Face tells how many there are."""
    classifier = _classifier_of(method)
    if classifier is None:
        return {}
    names = method.config.labels or [f"LABEL_{number}" for number in range(classifier.config.num_classes)]
    return {
        "id2label": {str(number): name for number, name in enumerate(names)},
        "label2id": {name: number for number, name in enumerate(names)},
    }


def _one_number(size: Any) -> int | list[int]:
    """Return the side of a square, or both sides."""
    height, width = size
    return height if height == width else [height, width]


def _preprocessor(preprocess: Any, out: Path) -> list[Path]:
    """Write how samples are prepared, where they are images or clips; both resize without cutting a square first."""
    if isinstance(preprocess, ClipPreprocess):
        size = preprocess.frame.image_size
        crop = {"crop_size": {"height": size, "width": size}, "size": {"shortest_edge": size}, "do_center_crop": True}
        kind, name, frame = (
            {"video_processor_type": "VJEPA2VideoProcessor"},
            "video_preprocessor_config.json",
            preprocess.frame,
        )
    elif isinstance(preprocess, Preprocess):
        size = preprocess.image_size
        crop = {"size": {"height": size, "width": size}}
        kind, name, frame = {"image_processor_type": "ViTImageProcessor"}, "preprocessor_config.json", preprocess
    else:
        return []
    settings = {
        "do_resize": True,
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(_each(frame.mean, frame.channels)),
        "image_std": list(_each(frame.std, frame.channels)),
    }
    write_json(out / name, kind | crop | settings)
    return [out / name]


def _each(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return one value a channel."""
    return values * channels if len(values) == 1 else values
