"""Encode images with a Vision Transformer that never computes anything about patches it must not see.

Unusual here: images are cut into patches first, the visible ones are gathered, and only those are projected and enter
the blocks. There is no class token, no dropout and no learned position table; any image size that the patch divides
works at call time.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.attention import require_heads
from jepakit.nn.block import LAYER_NORM_EPS, Block, init_transformer
from jepakit.nn.position import (
    Grid,
    OtherSizes,
    Positions,
    resize_table,
    rotary_table,
    select_rotation,
    sincos_table,
)
from jepakit.nn.stem import CosineStem, FeatureStem
from jepakit.types import UserError

Stem = Literal["linear", "cosine", "feature"]


@dataclass(frozen=True, kw_only=True)
class ViTConfig:
    """Describe a Vision Transformer; sizes given as one number are stored as a pair, `mlp_dim=0` as 4 * dim.

    Args:
        image_size: Height and width of the training images in pixels.
        patch_size: Height and width of a patch in pixels.
        dim: Width of a token.
        depth: Number of blocks.
        num_heads: Heads of each attention.
        mlp_dim: Width inside each MLP, an integer and no ratio, so that it survives JSON; 0 means 4 * dim.
        in_channels: Channels of the images.
        positions: "sincos" adds fixed tables; "rotary" turns queries and keys.
        other_sizes: What positions do at another image size: "interpolate" stretches the grid of training over the
            image; "regenerate" keeps the unit of one patch and counts on.
        qkv_bias: Whether queries, keys and values have a bias.
        stem: What makes a patch a token. "linear", the published form, begins with a standard deviation of 0.02, which
            leaves what a small patch shows far below the sin-cos positions that are added to it (0.14 against 0.7 for
            4x4 pixels): a fresh encoder knows where and hardly what. "cosine" is `CosineStem`, for small data;
            "feature" is `FeatureStem`, for rows of a table.

    Raises:
        UserError: If the patch does not divide the image, or the heads the width.
    """

    image_size: int | tuple[int, int]
    patch_size: int | tuple[int, int]
    dim: int
    depth: int
    num_heads: int
    mlp_dim: int = 0
    in_channels: int = 3
    positions: Positions = "sincos"
    other_sizes: OtherSizes = "interpolate"
    qkv_bias: bool = True
    stem: Stem = "linear"

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", _pair(self.image_size))
        object.__setattr__(self, "patch_size", _pair(self.patch_size))
        object.__setattr__(self, "mlp_dim", self.mlp_dim or 4 * self.dim)
        _ = self.grid
        require_heads(self.dim, self.num_heads)
        for name, value, known in (
            ("positions", self.positions, get_args(Positions)),
            ("other_sizes", self.other_sizes, get_args(OtherSizes)),
            ("stem", self.stem, get_args(Stem)),
        ):
            if value not in known:
                raise UserError(f"{name} must be one of {', '.join(known)}, got {value!r}.")

    @property
    def grid(self) -> Grid:
        """Return rows and columns of patches at the training size."""
        return grid_of(_pair(self.image_size), _pair(self.patch_size))

    def build(self) -> "ViT":
        """Build the network with fresh weights."""
        return ViT(
            image_size=self.image_size,
            patch_size=self.patch_size,
            dim=self.dim,
            depth=self.depth,
            num_heads=self.num_heads,
            mlp_dim=self.mlp_dim,
            in_channels=self.in_channels,
            positions=self.positions,
            other_sizes=self.other_sizes,
            qkv_bias=self.qkv_bias,
            stem=self.stem,
        )


class ViT(nn.Module):
    """Map an image, or its visible patches alone, to tokens after the final LayerNorm.

    The arguments are those of `ViTConfig`, which is kept as `config`.

    Attributes:
        embedding_dim: Width of a token.
        grid: Rows and columns of patches at the training size.
        num_tokens: Their product.
        patch_size: Height and width of a patch.
        patch_dim: Numbers in a patch.

    Example:
        >>> vit = ViT(image_size=32, patch_size=4, dim=64, depth=2, num_heads=2)
        >>> image = torch.zeros(1, 3, 32, 32)
        >>> vit(image).shape, vit(image, torch.tensor([[0, 9, 63]])).shape
        (torch.Size([1, 64, 64]), torch.Size([1, 3, 64]))

    Source: Dosovitskiy et al. 2020, ViT (arXiv 2010.11929), as in Assran et al. 2023, I-JEPA (arXiv 2301.08243).
    Deviations: none in the function; patches are gathered before they are projected, which is cheaper.
    """

    position_table: Tensor

    def __init__(
        self,
        image_size: int | tuple[int, int],
        patch_size: int | tuple[int, int],
        dim: int,
        depth: int,
        num_heads: int,
        mlp_dim: int = 0,
        in_channels: int = 3,
        positions: Positions = "sincos",
        other_sizes: OtherSizes = "interpolate",
        qkv_bias: bool = True,
        stem: Stem = "linear",
    ):
        super().__init__()
        self.config = ViTConfig(
            image_size=image_size,
            patch_size=patch_size,
            dim=dim,
            depth=depth,
            num_heads=num_heads,
            mlp_dim=mlp_dim,
            in_channels=in_channels,
            positions=positions,
            other_sizes=other_sizes,
            qkv_bias=qkv_bias,
            stem=stem,
        )
        self.patch_size = _pair(patch_size)
        self.grid = self.config.grid
        self.num_tokens = self.grid[0] * self.grid[1]
        self.embedding_dim = dim
        self.patch_dim = in_channels * self.patch_size[0] * self.patch_size[1]
        self.patch_embed = self._stem()
        self.blocks = nn.ModuleList(Block(dim, num_heads, self.config.mlp_dim, qkv_bias) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.register_buffer("position_table", self._positions(self.grid, None), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw fresh weights and fill the position table in place, as after `to_empty` of a model built on "meta"."""
        init_transformer(self, self.blocks)
        if not isinstance(self.patch_embed, nn.Linear):
            self.patch_embed.reset_parameters()
        self.position_table.copy_(self._positions(self.grid, self.position_table.device))

    def _stem(self) -> nn.Linear | CosineStem | FeatureStem:
        """Build what makes a patch a token."""
        dim = self.config.dim
        if self.config.stem == "cosine":
            return CosineStem(self.patch_size, self.config.in_channels, dim)
        if self.config.stem == "feature":
            return FeatureStem(self.num_tokens, self.patch_dim, dim)
        return nn.Linear(self.patch_dim, dim)

    def first_blocks(self, depth: int) -> "ViT":
        """Return a network of the first blocks and the final LayerNorm, over the same weights.

        Raises:
            UserError: There are not so many blocks.
        """
        if not 0 <= depth <= len(self.blocks):
            raise UserError(f"this ViT has {len(self.blocks)} blocks; got a depth of {depth}.")
        part = copy.copy(self)
        part._modules = dict(self._modules) | {"blocks": self.blocks[:depth]}
        return part

    def forward(
        self, x: Float[Tensor, "b c h w"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b _ d"]:
        """Return the tokens of the patches at `context_idx`, or of all patches without it.

        Args:
            x: Normalised images, of any size that the patch divides.
            context_idx: Visible patches of each image, counted row by row; nothing else is looked at.

        Raises:
            UserError: If the patch does not divide the image, or the channels do not fit.
        """
        tokens, rotation = self._embed(x, context_idx)
        for block in self.blocks:
            tokens = block(tokens, rotation)
        return self.norm(tokens)

    def forward_layers(
        self, x: Float[Tensor, "b c h w"], layers: Sequence[int], context_idx: Int[Tensor, "b k"] | None = None
    ) -> list[Float[Tensor, "b _ d"]]:
        """Return the tokens after each of the named blocks, each through the final LayerNorm, for probes on layers.

        Args:
            x: Normalised images.
            layers: Numbers of blocks, counted from 0; negative ones count from the end.
            context_idx: Visible patches of each image.

        Raises:
            UserError: If there is no such block.
        """
        depth = len(self.blocks)
        if any(not -depth <= layer < depth for layer in layers):
            raise UserError(
                f"layers {tuple(layers)} are not all among the {depth} blocks; count from 0 or from the end."
            )
        tokens, rotation = self._embed(x, context_idx)
        after = []
        for block in self.blocks:
            tokens = block(tokens, rotation)
            after.append(tokens)
        return [self.norm(after[layer]) for layer in layers]

    def _embed(self, x: Tensor, context_idx: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if x.shape[1] != self.config.in_channels:
            raise UserError(f"this ViT takes {self.config.in_channels} channels, got images with {x.shape[1]}.")
        grid = grid_of((x.shape[2], x.shape[3]), self.patch_size)
        patches = rearrange(x, "b c (gh h) (gw w) -> b (gh gw) (c h w)", gh=grid[0], gw=grid[1])
        if context_idx is not None:
            patches = patches.gather(1, repeat(context_idx, "b k -> b k p", p=patches.shape[-1]))
        is_of_place = isinstance(self.patch_embed, FeatureStem)
        tokens: Tensor = self.patch_embed(patches, context_idx) if is_of_place else self.patch_embed(patches)
        table = self.position_table if grid == self.grid else self._positions_for(grid)
        if self.config.positions == "rotary":
            return tokens, select_rotation(table, context_idx)
        return tokens + (table if context_idx is None else table[context_idx]), None

    def _positions(self, grid: Grid, device: torch.device | None, native: Grid | None = None) -> Tensor:
        if self.config.positions == "rotary":
            return rotary_table(grid, self.config.dim // self.config.num_heads, native, device)
        return sincos_table(grid, self.config.dim, device)

    def _positions_for(self, grid: Grid) -> Tensor:
        """Return the position table for a grid other than that of training."""
        device = self.position_table.device
        if self.config.other_sizes == "regenerate":
            return self._positions(grid, device)
        if self.config.positions == "rotary":
            return self._positions(grid, device, native=self.grid)
        return resize_table(self.position_table, self.grid, grid)


def grid_of(image_size: tuple[int, int], patch_size: tuple[int, int]) -> Grid:
    """Return how many rows and columns of patches an image has.

    Raises:
        UserError: If the patch does not divide the image.
    """
    if min(patch_size) < 1 or min(image_size) < 1 or image_size[0] % patch_size[0] or image_size[1] % patch_size[1]:
        raise UserError(
            f"patches of {patch_size[0]}x{patch_size[1]} do not divide images of {image_size[0]}x{image_size[1]} pixels"
            "; change the patch size, or resize or crop the images."
        )
    return image_size[0] // patch_size[0], image_size[1] // patch_size[1]


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width
