"""Encode images or clips with a Vision Transformer that never computes anything about patches it must not see.

Unusual here: images are cut into patches first, the visible ones are gathered, and only those are projected and enter
the blocks. A clip is cut into tubelets, patches that last a few frames, and all else is the same. There is no class
token and no dropout; any image size that the patch divides works at call time.
"""

import copy
import math
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
    is_rotary,
    released_rotary_table,
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
        num_frames: Frames of the training clips; 0 for images.
        tubelet_size: Frames of a patch of a clip.
        dim: Width of a token.
        depth: Number of blocks.
        num_heads: Heads of each attention.
        mlp_dim: Width inside each MLP, an integer and no ratio, so that it survives JSON; 0 means 4 * dim.
        in_channels: Channels of the images.
        positions: "sincos" adds fixed tables, and "stored" a table that is trained and saved like any weight; "rotary"
            turns queries and keys, and "rotary-released" does so as the weights of V-JEPA 2 need it.
        other_sizes: What positions do at another image size: "interpolate" stretches the grid of training over the
            image; "regenerate" keeps the unit of one patch and counts on, which a stored table cannot.
        qkv_bias: Whether queries, keys and values have a bias.
        stem: What makes a patch a token. "linear", the published form, begins with a standard deviation of 0.02, which
            leaves what a small patch shows far below the sin-cos positions that are added to it (0.14 against 0.7 for
            4x4 pixels): a fresh encoder knows where and hardly what. "cosine" is `CosineStem`, for small data;
            "feature" is `FeatureStem`, for rows of a table.

    Raises:
        UserError: If the patch does not divide the image or the clip, or the heads the width.
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
    num_frames: int = 0
    tubelet_size: int = 2

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
        """Return the sides of the grid of patches at the training size: rows and columns, of clips moments first."""
        grid = grid_of(_pair(self.image_size), _pair(self.patch_size))
        return (moments_of(self.num_frames, self.tubelet_size), *grid) if self.num_frames else grid

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
            num_frames=self.num_frames,
            tubelet_size=self.tubelet_size,
        )


class ViT(nn.Module):
    """Map an image or a clip, or its visible patches alone, to tokens after the final LayerNorm.

    The arguments are those of `ViTConfig`, which is kept as `config`.

    Attributes:
        embedding_dim: Width of a token.
        grid: Sides of the grid of patches at the training size.
        num_tokens: Their product.
        patch_size: Height and width of a patch.
        patch_dim: Numbers in a patch.

    Example:
        >>> vit = ViT(image_size=32, patch_size=4, dim=64, depth=2, num_heads=2)
        >>> image = torch.zeros(1, 3, 32, 32)
        >>> vit(image).shape, vit(image, torch.tensor([[0, 9, 63]])).shape
        (torch.Size([1, 64, 64]), torch.Size([1, 3, 64]))
        >>> vit = ViT(image_size=32, patch_size=8, dim=64, depth=2, num_heads=2, num_frames=8)
        >>> vit(torch.zeros(1, 8, 3, 32, 32)).shape
        torch.Size([1, 64, 64])

    Source: Dosovitskiy et al. 2020, ViT (arXiv 2010.11929), as in Assran et al. 2023, I-JEPA (arXiv 2301.08243), and of
    clips in Bardes et al. 2024, V-JEPA (arXiv 2404.08471).
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
        num_frames: int = 0,
        tubelet_size: int = 2,
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
            num_frames=num_frames,
            tubelet_size=tubelet_size,
        )
        self.patch_size = _pair(patch_size)
        self.grid = self.config.grid
        self.num_tokens = math.prod(self.grid)
        self.embedding_dim = dim
        self.patch_planes = in_channels * (tubelet_size if num_frames else 1)
        self.patch_dim = self.patch_planes * self.patch_size[0] * self.patch_size[1]
        self.patch_embed = self._stem()
        self.blocks = nn.ModuleList(Block(dim, num_heads, self.config.mlp_dim, qkv_bias) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        table = self._positions(self.grid, None)
        if positions == "stored":
            self.position_table = nn.Parameter(table)
        else:
            self.register_buffer("position_table", table, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw fresh weights and fill the position table in place, as after `to_empty` of a model built on "meta"."""
        init_transformer(self, self.blocks)
        if not isinstance(self.patch_embed, nn.Linear):
            self.patch_embed.reset_parameters()
        with torch.no_grad():
            self.position_table.copy_(self._positions(self.grid, self.position_table.device))

    def compute_positions(self, device: torch.device) -> None:
        """Make the position table anew, as after a build on "meta"; one that is stored is a weight and stays."""
        if self.config.positions != "stored":
            self.position_table = self._positions(self.grid, device)

    def _stem(self) -> nn.Linear | CosineStem | FeatureStem:
        """Build what makes a patch a token."""
        dim = self.config.dim
        if self.config.stem == "cosine":
            return CosineStem(self.patch_size, self.patch_planes, dim)
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
        self, x: Float[Tensor, "b *t c h w"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b _ d"]:
        """Return the tokens of the patches at `context_idx`, or of all patches without it.

        Args:
            x: Normalised images (b, c, h, w), or clips (b, t, c, h, w) where the network was built for them, of any
                size that the patch divides. A clip shorter than a tubelet, such as a still image, is filled by its
                last frame.
            context_idx: Visible patches of each image, counted row by row, of a clip moment by moment; nothing else is
                looked at.

        Raises:
            UserError: If the patch does not divide the image or the clip, or axes or channels do not fit.
        """
        tokens, rotation = self._embed(x, context_idx)
        for block in self.blocks:
            tokens = block(tokens, rotation)
        return self.norm(tokens)

    def forward_layers(
        self, x: Float[Tensor, "b *t c h w"], layers: Sequence[int], context_idx: Int[Tensor, "b k"] | None = None
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
        patches, grid = self._cut(x)
        if context_idx is not None:
            patches = patches.gather(1, repeat(context_idx, "b k -> b k p", p=patches.shape[-1]))
        is_of_place = isinstance(self.patch_embed, FeatureStem)
        tokens: Tensor = self.patch_embed(patches, context_idx) if is_of_place else self.patch_embed(patches)
        table = self.position_table if grid == self.grid else self._positions_for(grid)
        if is_rotary(self.config.positions):
            return tokens, select_rotation(table, context_idx)
        return tokens + (table if context_idx is None else table[context_idx]), None

    def _cut(self, x: Tensor) -> tuple[Float[Tensor, "b n p"], Grid]:
        """Return the patches of images or clips, and the sides of their grid."""
        tubelet_size = self.config.tubelet_size if self.config.num_frames else 0
        if x.ndim != 4 + bool(tubelet_size):
            takes = "clips (b, t, c, h, w)" if tubelet_size else "images (b, c, h, w)"
            raise UserError(f"this ViT takes {takes}, got a tensor of {tuple(x.shape)}.")
        if x.shape[-3] != self.config.in_channels:
            raise UserError(f"this ViT takes {self.config.in_channels} channels, got images with {x.shape[-3]}.")
        return cut_patches(x, self.patch_size, tubelet_size)

    def _positions(self, grid: Grid, device: torch.device | None, native: Grid | None = None) -> Tensor:
        head_dim = self.config.dim // self.config.num_heads
        if self.config.positions == "rotary":
            return rotary_table(grid, head_dim, native, device)
        if self.config.positions == "rotary-released":
            return released_rotary_table(grid, head_dim, native, device)
        return sincos_table(grid, self.config.dim, device)

    def _positions_for(self, grid: Grid) -> Tensor:
        """Return the position table for a grid other than that of training."""
        device, kind = self.position_table.device, self.config.positions
        if self.config.other_sizes == "regenerate" and kind != "stored":
            return self._positions(grid, device)
        if is_rotary(kind):
            return self._positions(grid, device, native=self.grid)
        return resize_table(self.position_table, self.grid, grid)


def cut_patches(
    x: Float[Tensor, "b *t c h w"], patch_size: tuple[int, int], tubelet_size: int = 0
) -> tuple[Float[Tensor, "b n p"], Grid]:
    """Return the patches of images, or the tubelets of clips, as rows of numbers, and the sides of their grid.

    Args:
        x: Images, or clips where `tubelet_size` is above 0; one shorter than a tubelet is filled by its last frame.
        patch_size: Height and width of a patch.
        tubelet_size: Frames of a patch.

    Raises:
        UserError: If patches do not divide the images, or tubelets the clips.
    """
    rows, columns = grid_of((x.shape[-2], x.shape[-1]), patch_size)
    if not tubelet_size:
        return rearrange(x, "b c (gh h) (gw w) -> b (gh gw) (c h w)", gh=rows, gw=columns), (rows, columns)
    lacking = tubelet_size - x.shape[1]
    if lacking > 0:
        x = torch.cat((x, x[:, -1:].expand(-1, lacking, -1, -1, -1)), dim=1)
    moments = moments_of(x.shape[1], tubelet_size)
    pattern = "b (gt t) c (gh h) (gw w) -> b (gt gh gw) (c t h w)"
    return rearrange(x, pattern, gt=moments, gh=rows, gw=columns), (moments, rows, columns)


def moments_of(num_frames: int, tubelet_size: int) -> int:
    """Return how many tubelets follow each other in a clip.

    Raises:
        UserError: If they do not fill it.
    """
    if tubelet_size < 1 or num_frames < 1 or num_frames % tubelet_size:
        raise UserError(
            f"tubelets of {tubelet_size} frames do not divide clips of {num_frames}; change the tubelet size or the "
            "number of frames."
        )
    return num_frames // tubelet_size


def grid_of(image_size: tuple[int, int], patch_size: tuple[int, int]) -> tuple[int, int]:
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
