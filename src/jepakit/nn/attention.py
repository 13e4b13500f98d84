"""Let tokens look at each other through torch's fused attention, with optional rotations and a prefix."""

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.position import rotate
from jepakit.types import UserError

Rotation = Float[Tensor, "2 b1 1 n _"]


class SelfAttention(nn.Module):
    """Mix tokens by multi-head attention: each looks at all of them, and at a prefix where one is given.

    Args:
        dim: Width of a token.
        num_heads: Number of heads; divides `dim`.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool = True):
        super().__init__()
        require_heads(dim, num_heads)
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)  # rows: all queries, all keys, all values; heads contiguous
        self.proj = nn.Linear(dim, dim)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        rotation: Rotation | None = None,
        prefix: Float[Tensor, "b2 k d"] | None = None,
        prefix_rotation: Float[Tensor, "2 b3 1 k _"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Return each token's mixture of the prefix and all tokens.

        Args:
            x: Tokens that look and are looked at.
            rotation: Rotary positions of `x`.
            prefix: Tokens that are only looked at. Where `b2` is smaller than `b`, each stands for `b / b2` neighbours.
            prefix_rotation: Rotary positions of the prefix.
        """
        query, key, value = rearrange(self.qkv(x), "b n (s h d) -> s b h n d", s=3, h=self.num_heads)
        if rotation is not None:
            query, key = rotate(query, rotation), rotate(key, rotation)
        if prefix is not None:
            old = self._keys_and_values(prefix, prefix_rotation)
            old = repeat(old, "s b h k d -> s (b r) h k d", r=x.shape[0] // prefix.shape[0])
            key, value = torch.cat((old[0], key), dim=2), torch.cat((old[1], value), dim=2)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.proj(rearrange(mixed, "b h n d -> b n (h d)"))

    def _keys_and_values(self, prefix: Tensor, rotation: Tensor | None) -> Tensor:
        dim = prefix.shape[-1]
        bias = None if self.qkv.bias is None else self.qkv.bias[dim:]
        both = F.linear(prefix, self.qkv.weight[dim:], bias)
        key, value = rearrange(both, "b k (s h d) -> s b h k d", s=2, h=self.num_heads)
        return torch.stack((key if rotation is None else rotate(key, rotation), value))


class CrossAttention(nn.Module):
    """Let queries look at tokens; the heads are concatenated and returned without an output projection.

    Source: the attentive probe of Bardes et al. 2024, V-JEPA (arXiv 2404.08471), whose released code has no output
    projection here. Deviations: none.
    """

    def __init__(self, dim: int, num_heads: int, qkv_bias: bool = True):
        super().__init__()
        require_heads(dim, num_heads)
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.kv = nn.Linear(dim, 2 * dim, bias=qkv_bias)  # rows: all keys, all values

    def forward(self, queries: Float[Tensor, "b m d"], x: Float[Tensor, "b n d"]) -> Float[Tensor, "b m d"]:
        """Return each query's mixture of the tokens `x`."""
        query = rearrange(self.q(queries), "b m (h d) -> b h m d", h=self.num_heads)
        key, value = rearrange(self.kv(x), "b n (s h d) -> s b h n d", s=2, h=self.num_heads)
        return rearrange(F.scaled_dot_product_attention(query, key, value), "b h m d -> b m (h d)")


def require_heads(dim: int, num_heads: int) -> None:
    """Check that the heads share the width evenly.

    Raises:
        UserError: If they do not.
    """
    if num_heads < 1 or dim % num_heads:
        raise UserError(
            f"dim={dim} is not divisible by num_heads={num_heads}; choose a number of heads that divides it."
        )
