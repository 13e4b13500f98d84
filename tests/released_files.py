"""Make small files in the layouts of others: Meta's with all that training leaves in them, Hugging Face's by transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

DIM, DEPTH, PATCH, GRID, PREDICTOR = 48, 2, 4, 7, 24
MOMENTS, TUBELET = 4, 2
PREDICTOR_2 = 72  # twelve heads


def _norm(name: str, dim: int) -> dict[str, Tensor]:
    return {f"{name}.weight": 1 + 0.1 * torch.randn(dim), f"{name}.bias": 0.1 * torch.randn(dim)}


def _linear(name: str, into: int, out: int) -> dict[str, Tensor]:
    return {f"{name}.weight": 0.2 * torch.randn(out, into), f"{name}.bias": 0.1 * torch.randn(out)}


def _blocks(name: str, dim: int, depth: int) -> dict[str, Tensor]:
    held: dict[str, Tensor] = {}
    for number in range(depth):
        block = f"{name}.{number}"
        held |= _norm(f"{block}.norm1", dim) | _norm(f"{block}.norm2", dim)
        held |= _linear(f"{block}.attn.qkv", dim, 3 * dim) | _linear(f"{block}.attn.proj", dim, dim)
        held |= _linear(f"{block}.mlp.fc1", dim, 4 * dim) | _linear(f"{block}.mlp.fc2", 4 * dim, dim)
    return held


def sincos(grid: tuple[int, int], dim: int) -> Tensor:
    """Return I-JEPA's table as its paper's code computes it, with numbers of 64 bits: column first, then row."""
    omega = 10000.0 ** -(torch.arange(dim // 4, dtype=torch.float64) / (dim / 4))
    row, column = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in grid), indexing="ij")
    angles = [axis.flatten()[:, None] * omega for axis in (column, row)]
    return torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=1).float()[None]


def ijepa_encoder(dim: int = DIM, depth: int = DEPTH, grid: int = GRID) -> dict[str, Tensor]:
    """Return an encoder's weights under Meta's names."""
    patch = {
        "patch_embed.proj.weight": 0.2 * torch.randn(dim, 3, PATCH, PATCH),
        "patch_embed.proj.bias": torch.randn(dim),
    }
    return {"pos_embed": sincos((grid, grid), dim)} | patch | _blocks("blocks", dim, depth) | _norm("norm", dim)


def ijepa_predictor(dim: int = DIM, width: int = PREDICTOR, depth: int = DEPTH, grid: int = GRID) -> dict[str, Tensor]:
    """Return a predictor's weights under Meta's names."""
    held = {"mask_token": torch.randn(1, 1, width), "predictor_pos_embed": sincos((grid, grid), width)}
    held |= _linear("predictor_embed", dim, width) | _blocks("predictor_blocks", width, depth)
    return held | _norm("predictor_norm", width) | _linear("predictor_proj", width, dim)


def behind(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights whose names begin with what a wrapper puts before them."""
    return {prefix + name: weight for name, weight in weights.items()}


def ijepa_file() -> dict[str, Any]:
    """Return what Meta's I-JEPA saves: three networks behind `module.`, and the state of their training."""
    return {
        "encoder": behind("module.", ijepa_encoder()),
        "predictor": behind("module.", ijepa_predictor()),
        "opt": {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-3, "params": [0]}]},
        "scaler": {"scale": 65536.0},
        "target_encoder": behind("module.", ijepa_encoder()),
        "epoch": 300,
        "loss": 0.1,
        "batch_size": 128,
        "world_size": 16,
        "lr": 1e-3,
    }


def saved(path: Path, held: Any) -> Path:
    """Write a file of torch's and return where it is."""
    torch.save(held, path)
    return path


def ijepa_of_huggingface(kind: str = "IJepaModel", **settings: Any) -> Any:
    """Return transformers' I-JEPA with random weights of a size that shows mistakes, and the published table."""
    transformers = pytest.importorskip("transformers", reason="transformers not installed")
    torch.manual_seed(1)
    defaults = {"hidden_size": DIM, "num_hidden_layers": DEPTH, "num_attention_heads": 2, "intermediate_size": 4 * DIM}
    sizes = {"image_size": GRID * PATCH, "patch_size": PATCH, "layer_norm_eps": 1e-6}
    config = transformers.IJepaConfig(**defaults | sizes | settings)
    model = filled(getattr(transformers, kind)(config).eval())
    with torch.no_grad():
        side = config.image_size // config.patch_size
        base = getattr(model, "ijepa", model)
        base.embeddings.position_embeddings.copy_(sincos((side, side), config.hidden_size))
    return model


def sincos3(grid: tuple[int, int, int], dim: int) -> Tensor:
    """Return V-JEPA's table: a third each, rounded up, for moment, row and column, cut to the width."""
    share = -(-dim // 6)
    omega = 10000.0 ** -(torch.arange(share, dtype=torch.float64) / share)
    axes = torch.meshgrid(*(torch.arange(size, dtype=torch.float64) for size in grid), indexing="ij")
    angles = [axis.flatten()[:, None] * omega for axis in axes]
    return torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=1)[:, :dim].float()[None]


def vjepa_encoder(generation: int, dim: int = DIM) -> dict[str, Tensor]:
    """Return the weights of an encoder of clips under Meta's names; that of V-JEPA 2 holds no table."""
    held = ijepa_encoder(dim)
    held["patch_embed.proj.weight"] = 0.1 * torch.randn(dim, 3, TUBELET, PATCH, PATCH)
    table = {"pos_embed": sincos3((MOMENTS, GRID, GRID), dim)}
    return {name: weight for name, weight in held.items() if name != "pos_embed"} | (table if generation == 1 else {})


def vjepa_predictor(generation: int) -> dict[str, Tensor]:
    """Return the weights of a predictor of clips under Meta's names."""
    width, kinds = (PREDICTOR, 2) if generation == 1 else (PREDICTOR_2, 10)
    held = ijepa_predictor(width=width)
    held = {name: weight for name, weight in held.items() if name not in ("mask_token", "predictor_pos_embed")}
    if generation == 1:
        held["predictor_pos_embed"] = sincos3((MOMENTS, GRID, GRID), width)
    return held | {f"mask_tokens.{kind}": torch.randn(1, 1, width) for kind in range(kinds)}


def vjepa_file(generation: int) -> dict[str, Any]:
    """Return what Meta's V-JEPA saves: as I-JEPA, behind `module.backbone.`."""
    parts = {name: vjepa_encoder(generation) for name in ("encoder", "target_encoder")}
    parts["predictor"] = vjepa_predictor(generation)
    return ijepa_file() | {name: behind("module.backbone.", part) for name, part in parts.items()}


def probe_file(generation: int, dim: int = DIM, classes: int = 5) -> dict[str, Any]:
    """Return what Meta's evaluations save: a probe (of V-JEPA 2's several), and the state of their training."""
    block = "pooler.cross_attention_block"
    held = {"pooler.query_tokens": torch.randn(1, 1, dim)}
    held |= _norm(f"{block}.norm1", dim) | _norm(f"{block}.norm2", dim)
    held |= _linear(f"{block}.xattn.q", dim, dim) | _linear(f"{block}.xattn.kv", dim, 2 * dim)
    held |= _linear(f"{block}.mlp.fc1", dim, 4 * dim) | _linear(f"{block}.mlp.fc2", 4 * dim, dim)
    held |= _linear("linear", dim, classes)
    if generation == 1:
        weights = behind("module.", held | _linear(f"{block}.xattn.proj", dim, dim))
        return {"classifier": weights, "opt": {}, "scaler": None, "epoch": 20}
    weights = behind("module.", held | _blocks("pooler.blocks", dim, 3))
    return {"classifiers": [weights, {}], "opt": [{}], "scaler": [None], "epoch": 20}


def vjepa_of_huggingface(kind: str = "VJEPA2Model", **settings: Any) -> Any:
    """Return transformers' V-JEPA 2 with random weights of a size that shows mistakes."""
    transformers = pytest.importorskip("transformers", reason="transformers not installed")
    torch.manual_seed(1)
    defaults = {"hidden_size": DIM, "num_hidden_layers": DEPTH, "num_attention_heads": 2, "patch_size": PATCH}
    sizes = {"crop_size": GRID * PATCH, "frames_per_clip": MOMENTS * TUBELET, "tubelet_size": TUBELET}
    predictor = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": DEPTH}
    config = transformers.VJEPA2Config(**defaults | sizes | predictor | settings)
    return filled(getattr(transformers, kind)(config).eval())


def filled(model: Any) -> Any:
    """Fill a model with random weights, norms around 1."""
    with torch.no_grad():
        for parameter in model.parameters():
            size = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.2
            parameter.copy_(size * torch.randn_like(parameter) + (parameter == 1).all())
    return model
