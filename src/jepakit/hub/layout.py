"""Say once how others name the weights of our networks; an import reads such a layout, an export writes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Held:
    """Say under which names a weight of ours is held.

    Args:
        names: Names of its pieces, one after the other along the first axis: queries, keys and values, say.
        shape: Shape of each piece, where it is more than a part of ours: a convolution's, where ours is a linear map.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...] | None = None

    def shape_of_piece(self, whole: Iterable[int]) -> tuple[int, ...]:
        """Return the shape that each piece has, where ours has the shape `whole`."""
        first, *rest = whole
        return self.shape or (first // len(self.names), *rest)


Layout = dict[str, Held]
"""How each weight of ours is held, by our names."""

BlockNames = Mapping[str, str | tuple[str, str, str]]
"""How the linear maps and norms of a transformer block are called; queries, keys and values may have a name each."""


def layer(ours: str, *theirs: str, bias: bool = True) -> Layout:
    """Return the layout of one linear map or norm, perhaps in several pieces."""
    parts = ("weight", "bias") if bias else ("weight",)
    return {f"{ours}.{part}": Held(tuple(f"{name}.{part}" for name in theirs)) for part in parts}


def blocks(ours: str, theirs: str, depth: int, names: BlockNames, qkv_bias: bool = True) -> Layout:
    """Return the layout of numbered transformer blocks.

    Args:
        ours: What our names begin with: "encoder.blocks.".
        theirs: What theirs begin with: "encoder.layer.".
        depth: Number of blocks.
        names: Their name of each part of a block of ours.
        qkv_bias: Whether queries, keys and values have a bias.
    """
    layout: Layout = {}
    for number in range(depth):
        for part, name in names.items():
            pieces = (name,) if isinstance(name, str) else name
            has_bias = qkv_bias or part != "attn.qkv"
            layout |= layer(f"{ours}{number}.{part}", *(f"{theirs}{number}.{p}" for p in pieces), bias=has_bias)
    return layout


def written(state: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Return our weights under their names and in their shapes; nothing is copied.

    Args:
        state: Our weights by our names; more of them than the layout names may be there.
        layout: How theirs are called.
    """
    theirs: dict[str, Tensor] = {}
    for ours, held in layout.items():
        weight = state[ours].detach()
        shape = held.shape_of_piece(weight.shape)
        for name, piece in zip(held.names, weight.chunk(len(held.names)), strict=True):
            theirs[name] = piece.reshape(shape)
    return theirs


def joined(pieces: list[Tensor], shape: Iterable[int]) -> Tensor:
    """Return a weight of ours in float32, made of their pieces; one piece is not copied where it need not be."""
    whole = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
    return whole.reshape(tuple(shape)).to(torch.float32)
