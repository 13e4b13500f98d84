"""Know what all of Meta's Vision Transformers share in their files, and how a table of positions is told there."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jepakit.hub.foreign import Renaming
from jepakit.hub.layout import BlockNames, Held, Layout, blocks, layer
from jepakit.nn import ViTConfig
from jepakit.nn.position import Grid, Positions, sincos_table
from jepakit.types import UserError

META_BLOCK: BlockNames = {name: name for name in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")}
"""Meta calls the parts of a block as we do, in every JEPA of theirs."""

_WRAPPERS = ("module.", "backbone.")
_SAME_TABLE = 1e-6  # float32 tables of sines differ in the last digit between libraries


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


def patches(ours: str, theirs: str, config: ViTConfig) -> Layout:
    """Return the layout of the patch embedding, a convolution in their files."""
    assert isinstance(config.patch_size, tuple)
    moments = (config.tubelet_size,) if config.num_frames else ()
    weight = Held((f"{theirs}.weight",), (config.dim, config.in_channels, *moments, *config.patch_size))
    return {f"{ours}.weight": weight, f"{ours}.bias": Held((f"{theirs}.bias",))}


def meta_encoder(ours: str, config: ViTConfig) -> Layout:
    """Return how Meta holds an encoder, by our names that begin with `ours`."""
    return (
        patches(f"{ours}patch_embed", "patch_embed.proj", config)
        | blocks(f"{ours}blocks.", "blocks.", config.depth, META_BLOCK, config.qkv_bias)
        | layer(f"{ours}norm", "norm")
        | stored_table(f"{ours}position_table", "pos_embed", config, config.dim)
    )


def stored_table(ours: str, theirs: str, encoder: ViTConfig, dim: int) -> Layout:
    """Return the layout of a table of positions `dim` wide, which is a weight of ours only where it is stored."""
    return {ours: Held((theirs,), (1, math.prod(encoder.grid), dim))} if encoder.positions == "stored" else {}


def told_positions(source: Renaming, theirs: str, grid: Grid, dim: int) -> Positions:
    """Return how a table tells positions: "sincos" where it is the fixed one, else "stored", a weight like any other.

    Raises:
        UserError: It is missing, or misshapen.
    """
    ours = sincos_table(grid, dim)[None]
    source.require_shape(theirs, tuple(ours.shape))
    table = source.look(theirs).to(ours.dtype)
    return "sincos" if torch.allclose(table, ours, rtol=0, atol=_SAME_TABLE) else "stored"


def drop_table(source: Renaming, theirs: str, encoder: ViTConfig, dim: int) -> None:
    """Leave out a table that is computed here, or that rotations stand for.

    Raises:
        UserError: It is missing or another than the fixed one, though the encoder's is the fixed one.
    """
    if encoder.positions == "sincos" and told_positions(source, theirs, encoder.grid, dim) != "sincos":
        raise UserError(
            f"{source.origin}: {source.called(theirs)!r} is not the table of sines and cosines, unlike that of the "
            "encoder."
        )
    if encoder.positions != "stored":
        source.left.pop(theirs, None)


def written_table(state: Mapping[str, Tensor], ours: str, grid: Grid, dim: int) -> Tensor:
    """Return a table of positions as their files hold it: the stored one, or the fixed one."""
    return (state[ours].detach() if ours in state else sincos_table(grid, dim))[None]


@dataclass(frozen=True, kw_only=True)
class Untold:
    """Say what weights do not tell; None takes what Meta's models have.

    Args:
        num_heads: Heads of the encoder's attention, or of a probe's.
        image_size: Side of the images or frames.
        num_frames: Frames of a clip.
    """

    num_heads: int | None = None
    image_size: int | None = None
    num_frames: int | None = None

    def heads_of(self, dim: int, known: Mapping[int, int], origin: object) -> int:
        """Return the number of heads that was given, or that Meta's encoders of this width have.

        Raises:
            UserError: None was given and no encoder of this width was released.
        """
        if self.num_heads is None and dim not in known:
            raise UserError(
                f"{origin} holds an encoder of width {dim}, of which the number of heads is not known, and weights do "
                "not tell it; say it: jepakit import ... --num-heads N."
            )
        return self.num_heads or known[dim]

    def check(self, origin: object, **told: int) -> None:
        """Refuse what contradicts the file, which tells it.

        Raises:
            UserError: Something was said otherwise.
        """
        for name, value in told.items():
            said = getattr(self, name)
            if said not in (None, value):
                raise UserError(f"{origin} tells {name} {value}, not {said}.")


def require_setting(
    settings: Mapping[str, Any], name: str, accepted: tuple[Any, ...], default: Any, origin: object
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
