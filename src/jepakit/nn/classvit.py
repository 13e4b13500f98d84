"""Encode images with a Vision Transformer that has a class token and learned positions: the form of published weights.

It sees whole images of one size. Methods that hide patches use `nn.vit`, which computes nothing about hidden ones.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.attention import require_heads
from jepakit.nn.block import Block, init_transformer
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class ClassViTConfig:
    """Describe the network.

    Args:
        image_size: Side of the images in pixels.
        patch_size: Side of a patch in pixels.
        dim: Width of a token.
        depth: Blocks.
        num_heads: Heads of each attention.
        mlp_dim: Width inside each MLP; 0 is stored as 4 * dim.
        in_channels: Channels of the images.
        eps: Added to variances in every LayerNorm; Hugging Face's ViT has 1e-12.

    Raises:
        UserError: The patch does not divide the image, or the heads the width.
    """

    image_size: int = 224
    patch_size: int = 14
    dim: int = 192
    depth: int = 12
    num_heads: int = 3
    mlp_dim: int = 0
    in_channels: int = 3
    eps: float = 1e-12

    def __post_init__(self) -> None:
        object.__setattr__(self, "mlp_dim", self.mlp_dim or 4 * self.dim)
        require_heads(self.dim, self.num_heads)
        if self.patch_size < 1 or self.image_size % self.patch_size:
            raise UserError(f"patches of {self.patch_size} pixels do not divide images of {self.image_size}.")

    def build(self) -> "ClassViT":
        """Build the network with fresh weights."""
        return ClassViT(self)


class ClassViT(nn.Module):
    """Map images to tokens after the final LayerNorm, the class token first.

    Attributes:
        embedding_dim: Width of a token.

    Source: Dosovitskiy et al. 2020, ViT (arXiv 2010.11929). Deviations: none.
    """

    def __init__(self, config: ClassViTConfig):
        super().__init__()
        self.config = config
        self.embedding_dim = config.dim
        num_patches = (config.image_size // config.patch_size) ** 2
        self.patch_embed = nn.Conv2d(config.in_channels, config.dim, config.patch_size, stride=config.patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.token_position = nn.Parameter(torch.zeros(1, num_patches + 1, config.dim))
        self.blocks = nn.ModuleList(Block(config.dim, config.num_heads, config.mlp_dim) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim)
        init_transformer(self, self.blocks)
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.token_position, std=0.02)
        for layer in self.modules():
            if isinstance(layer, nn.LayerNorm):
                layer.eps = config.eps

    def forward(
        self, x: Float[Tensor, "b c h w"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b n d"]:
        """Return the class token and the tokens of all patches, row by row.

        Raises:
            UserError: Part of an image is asked for, or the images are of another size.
        """
        if context_idx is not None:
            raise UserError(
                "A ViT with a class token sees whole images only; use jepakit.nn.ViT to encode a part of each."
            )
        size = self.config.image_size
        if x.shape[-2:] != (size, size):
            raise UserError(f"This ViT takes images of {size}x{size}, got {x.shape[-2]}x{x.shape[-1]}.")
        patches = rearrange(self.patch_embed(x), "b d h w -> b (h w) d")
        tokens = torch.cat((self.class_token.expand(len(x), -1, -1), patches), dim=1) + self.token_position
        for block in self.blocks:
            tokens = block(tokens)
        encoded: Tensor = self.norm(tokens)
        return encoded
