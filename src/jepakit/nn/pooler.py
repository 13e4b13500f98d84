"""Pool tokens by learned queries that look at them: the head of an attentive probe."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.attention import CrossAttention
from jepakit.nn.block import LAYER_NORM_EPS, MLP, Block, init_transformer


class AttentivePooler(nn.Module):
    """Summarise tokens in a fixed number of embeddings by cross-attention from learned queries, then an MLP.

    Args:
        dim: Width of a token.
        num_heads: Heads of each attention.
        num_queries: Number of learned queries, e.g. one per thing to classify.
        depth: Blocks of self-attention over the tokens before; 3 in V-JEPA 2's probe, 0 in V-JEPA's.
        mlp_dim: Width inside each MLP; 0 means 4 * dim.

    Source: Bardes et al. 2024, V-JEPA (arXiv 2404.08471); Assran et al. 2025, V-JEPA 2 (arXiv 2506.09985).
    Deviations: none (as released, queries have no LayerNorm and the heads no output projection).
    """

    def __init__(self, dim: int, num_heads: int, num_queries: int = 1, depth: int = 0, mlp_dim: int = 0):
        super().__init__()
        mlp_dim = mlp_dim or 4 * dim
        self.query_token = nn.Parameter(torch.zeros(1, num_queries, dim))
        self.blocks = nn.ModuleList(Block(dim, num_heads, mlp_dim) for _ in range(depth))
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.xattn = CrossAttention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = MLP(dim, mlp_dim)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw fresh weights."""
        init_transformer(self, self.blocks)
        nn.init.trunc_normal_(self.query_token, std=0.02)
        self.mlp.fc2.weight.div_(math.sqrt(2 * (len(self.blocks) + 1)))

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b num_queries d"]:
        """Return one embedding per query."""
        for block in self.blocks:
            x = block(x)
        queries = self.query_token.expand(x.shape[0], -1, -1)
        queries = queries + self.xattn(queries, self.norm1(x))
        return queries + self.mlp(self.norm2(queries))
