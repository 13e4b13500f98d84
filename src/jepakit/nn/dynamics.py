"""Predict the next embedding from the last ones and the action in between, as many steps ahead as asked."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class GRUDynamicsConfig:
    """Describe a recurrent predictor whose memory is the embedding itself; it has no settings of its own."""

    def build(self, embedding_dim: int, action_dim: int, norm: nn.Module) -> "GRUDynamics":
        """Build the predictor with fresh weights."""
        return GRUDynamics(embedding_dim, action_dim, norm)


class GRUDynamics(nn.Module):
    """Step an embedding by one GRU cell: the embedding is its memory, the action its input.

    Args:
        embedding_dim: Width of the embeddings.
        action_dim: Length of an action.
        norm: Normalises each prediction; the encoder's own last layer, so that both live in one space.

    Source: EB-JEPA arXiv 2602.03604. Deviations: none.
    """

    def __init__(self, embedding_dim: int, action_dim: int, norm: nn.Module):
        super().__init__()
        self.cell = nn.GRUCell(action_dim, embedding_dim)
        self.norm = norm

    def forward(self, z: Float[Tensor, "*n d"], action: Float[Tensor, "*n a"]) -> Float[Tensor, "*n d"]:
        """Return the embedding after one action."""
        flat = self.cell(action.reshape(-1, action.shape[-1]).to(z.dtype), z.reshape(-1, z.shape[-1]))
        ahead: Tensor = self.norm(flat)
        return ahead.view(z.shape)

    def rollout(self, z: Float[Tensor, "*n d"], actions: Float[Tensor, "*n t a"]) -> Float[Tensor, "*n t d"]:
        """Return the embeddings after each of several actions."""
        ahead = []
        for action in actions.unbind(-2):
            z = self(z, action)
            ahead.append(z)
        return torch.stack(ahead, dim=-2)
