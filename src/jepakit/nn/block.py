"""Build the transformer block that encoder, predictor and pooler share, and its initial weights."""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.attention import Rotation, SelfAttention

LAYER_NORM_EPS = 1e-6  # the value of every published JEPA; torch's default is 1e-5


class MLP(nn.Module):
    """Apply linear, exact GELU, linear to each token alone."""

    def __init__(self, dim: int, mlp_dim: int):
        super().__init__()
        self.fc1 = nn.Linear(dim, mlp_dim)
        self.fc2 = nn.Linear(mlp_dim, dim)

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Transform each token."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Apply attention and an MLP, each after a LayerNorm and around a residual (pre-norm).

    Args:
        dim: Width of a token.
        num_heads: Heads of the attention.
        mlp_dim: Width inside the MLP.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(self, dim: int, num_heads: int, mlp_dim: int, qkv_bias: bool = True):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = SelfAttention(dim, num_heads, qkv_bias)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = MLP(dim, mlp_dim)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        rotation: Rotation | None = None,
        prefix: Float[Tensor, "b2 k d"] | None = None,
        prefix_rotation: Float[Tensor, "2 b3 1 k _"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Return the tokens after the block; `prefix` holds tokens that are looked at and not changed."""
        normed = None if prefix is None else self.norm1(prefix)
        x = x + self.attn(self.norm1(x), rotation, normed, prefix_rotation)
        return x + self.mlp(self.norm2(x))


@torch.no_grad()
def init_transformer(module: nn.Module, blocks: Iterable[nn.Module]) -> None:
    """Draw a transformer's first weights: truncated normal of std 0.02, biases 0, residual outputs scaled by depth.

    The last linear maps of block l (counted from 1) are divided by sqrt(2 l), which keeps the residual stream's size.

    Args:
        module: Holder of every layer.
        blocks: Its blocks, in order.

    Source: Assran et al. 2023, I-JEPA (arXiv 2301.08243), and its released code. Deviation: that code draws all weights
    a second time and so undoes the scaling (image-video §1.2); here it stays.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.LayerNorm):
            layer.reset_parameters()
    for number, block in enumerate(blocks, start=1):
        if isinstance(block, Block):
            block.attn.proj.weight.div_(math.sqrt(2 * number))
            block.mlp.fc2.weight.div_(math.sqrt(2 * number))
