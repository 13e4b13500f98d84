"""Build the transformer block of world models: shifted, scaled and gated by what was done (AdaLN-zero).

Queries, keys and values are made apart from looking, since a block is used in two ways that must agree: on all frames
of clips under a band mask, and on the newest frame alone, which looks at keys and values kept from before.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Complex, Float
from torch import Tensor, nn

from jepakit.nn.position import turn

MODULATIONS = 6
"""Shift, scale and gate of the attention, then of the MLP, each as wide as a token."""

Found = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values, each (..., n, heads, head_dim)."""


class ModulatedBlock(nn.Module):
    """Apply attention and an MLP around residuals, each shifted, scaled and gated by a condition.

    Args:
        dim: Width of a token.
        num_heads: Heads of the attention.
        head_dim: Width of a head; heads need not share the token's width.
        mlp_dim: Width inside the MLP.
        has_norms: Whether what enters attention and MLP is normalised with learned gains. Without modulation that makes
            a plain pre-norm block; a modulated one then normalises twice, as LeWM's released code does, which undoes
            part of the modulation.

    Source: Peebles and Xie 2022, DiT (arXiv 2212.09748), section 3.2, adaLN-Zero. Deviations: none.
    """

    def __init__(self, dim: int, num_heads: int, head_dim: int, mlp_dim: int, has_norms: bool = False):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.norm1 = nn.LayerNorm(dim) if has_norms else nn.Identity()
        self.qkv = nn.Linear(dim, 3 * num_heads * head_dim, bias=False)  # rows: all queries, all keys, all values
        self.proj = nn.Linear(num_heads * head_dim, dim)
        self.norm2 = nn.LayerNorm(dim) if has_norms else nn.Identity()
        self.fc1 = nn.Linear(dim, mlp_dim)
        self.fc2 = nn.Linear(mlp_dim, dim)

    def look(
        self,
        x: Float[Tensor, "*b n d"],
        modulation: Float[Tensor, "*c n1 m"] | None,
        rotation: Complex[Tensor, "*e half"] | None,
    ) -> Found:
        """Return queries, keys and values of tokens."""
        made = self.qkv(self.norm1(_modulated(x, modulation, 0))).unflatten(-1, (3, self.num_heads, self.head_dim))
        if rotation is None:
            query, key, value = made.unbind(-3)
            return query, key, value
        query, key = turn(made[..., :2, :, :], rotation[..., None, None, :]).unbind(-3)
        return query, key, made[..., 2, :, :]

    def finish(
        self,
        x: Float[Tensor, "*b n d"],
        mixed: Float[Tensor, "*b n heads head_dim"],
        modulation: Float[Tensor, "*c n1 m"] | None,
    ) -> Float[Tensor, "*b n d"]:
        """Return the tokens after the block, told what their queries found."""
        x = _added(x, self.proj(mixed.flatten(-2)), modulation, 2)
        inside = F.gelu(self.fc1(self.norm2(_modulated(x, modulation, 3))))
        return _added(x, self.fc2(inside), modulation, 5)

    def forward(
        self,
        x: Float[Tensor, "b t n d"],
        modulation: Float[Tensor, "b t n1 m"] | None,
        rotation: Complex[Tensor, "*e half"] | None,
        mask: Bool[Tensor, "l l"],
    ) -> tuple[Float[Tensor, "b t n d"], Tensor, Tensor]:
        """Return the tokens of clips after the block, and the keys and values (b, t, n, heads, head_dim).

        Args:
            x: Tokens of every frame.
            modulation: Of every frame.
            rotation: Rotary positions.
            mask: Which token (row) looks at which, both counted frame by frame.
        """
        query, key, value = self.look(x, modulation, rotation)
        flat = [rearrange(part, "b t n h c -> b h (t n) c") for part in (query, key, value)]
        mixed = F.scaled_dot_product_attention(flat[0], flat[1], flat[2], attn_mask=mask)
        mixed = rearrange(mixed, "b h (t n) c -> b t n h c", t=x.shape[1])
        return self.finish(x, mixed, modulation), key, value


def _modulated(x: Tensor, modulation: Tensor | None, place: int) -> Tensor:
    """Normalise without gains, scale and shift; without modulation that is left to the block's own norms."""
    if modulation is None:
        return x
    shift, scale = _part(modulation, place, x.shape[-1]), _part(modulation, place + 1, x.shape[-1])
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-6), scale + 1)


def _added(x: Tensor, change: Tensor, modulation: Tensor | None, place: int) -> Tensor:
    """Add a change, gated where there is a condition."""
    return x + change if modulation is None else torch.addcmul(x, change, _part(modulation, place, x.shape[-1]))


def _part(modulation: Tensor, place: int, dim: int) -> Tensor:
    return modulation[..., place * dim : (place + 1) * dim]


class ActionEmbedding(nn.Module):
    """Embed actions by two linear maps with SiLU in between.

    Args:
        action_dim: Length of an action.
        dim: Width of the embedding.
        hidden_dim: Width in between; 0 means 4 * dim.
    """

    def __init__(self, action_dim: int, dim: int, hidden_dim: int = 0):
        super().__init__()
        self.fc1 = nn.Linear(action_dim, hidden_dim or 4 * dim)
        self.fc2 = nn.Linear(hidden_dim or 4 * dim, dim)

    def forward(self, action: Float[Tensor, "*n a"]) -> Float[Tensor, "*n d"]:
        """Embed each action."""
        embedded: Tensor = self.fc2(F.silu(self.fc1(action.to(self.fc1.weight.dtype))))
        return embedded
