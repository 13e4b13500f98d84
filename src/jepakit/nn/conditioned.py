"""Predict one embedding from another, told what happened in between: an action or a transformation."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor, nn


class ConditionedPredictor(nn.Module):
    """Map an embedding and a condition to the embedding that follows; without training it predicts no change.

    A residual MLP: z + MLP([z, condition]), whose last layer starts at zero.

    Args:
        embedding_dim: Width of the embeddings.
        condition_dim: Length of the condition.
        hidden_dim: Width of the hidden layers.
        num_hidden: Hidden layers.
    """

    def __init__(self, embedding_dim: int, condition_dim: int, hidden_dim: int, num_hidden: int = 2):
        super().__init__()
        widths = [embedding_dim + condition_dim] + [hidden_dim] * num_hidden
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.LayerNorm(width_out), nn.GELU()]
        last = nn.Linear(widths[-1], embedding_dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.mlp = nn.Sequential(*layers, last)

    def forward(self, z: Float[Tensor, "*n d"], condition: Float[Tensor, "*n p"]) -> Float[Tensor, "*n d"]:
        """Return the predicted embedding."""
        change: Tensor = self.mlp(torch.cat((z, condition.to(z.dtype)), dim=-1))
        return z + change
