"""Predict the next embedding as the present one and a step away from it, which a small network chooses."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.dynamics import Dynamics, LatentState
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class ResidualDynamicsConfig:
    """Describe a predictor without memory.

    Args:
        hidden_dim: Width of the hidden layers.
        depth: Hidden layers.

    Raises:
        UserError: There is no hidden layer, or it has no width.
    """

    hidden_dim: int = 256
    depth: int = 2

    def __post_init__(self) -> None:
        if min(self.hidden_dim, self.depth) < 1:
            raise UserError(f"A predictor needs at least one hidden layer of at least one unit, got {self}.")

    def build(self, embedding_dim: int, action_dim: int, norm: nn.Module) -> "ResidualDynamics":
        """Build the predictor with fresh weights."""
        return ResidualDynamics(self, embedding_dim, action_dim, norm)


class ResidualDynamics(Dynamics):
    """Step an embedding: z + network(z, action), normalised.

    Most actions move a body a little, and what stays as it was (the walls) is to be kept exactly: a sum does both at
    once, where a GRU must learn to mix. In TwoRooms this halves the error of long rollouts at equal work (docs/log.md).

    Args:
        config: Its size.
        embedding_dim: Width of the embeddings.
        action_dim: Length of what it is told between two frames.
        norm: Normalises each prediction; the encoder's own last layer, so that both live in one space.

    Source: our own.
    """

    def __init__(self, config: ResidualDynamicsConfig, embedding_dim: int, action_dim: int, norm: nn.Module):
        super().__init__()
        widths = [config.hidden_dim] * config.depth
        self.state = nn.Linear(embedding_dim, widths[0])
        self.action = nn.Linear(action_dim, widths[0], bias=False)
        self.hidden = nn.ModuleList([nn.Linear(width, width) for width in widths[1:]])
        self.step = nn.Linear(widths[-1], embedding_dim)
        self._norm = (norm,)  # a tuple, because nn.Module would register the encoder's layer a second time

    def forward(self, z: Float[Tensor, "*n d"], action: Float[Tensor, "*n a"]) -> Float[Tensor, "*n d"]:
        """Return the embedding after what was done in between."""
        return self._stepped(z, self.action(action.to(z.dtype)))

    def _stepped(self, z: Float[Tensor, "*n d"], told: Float[Tensor, "*n h"]) -> Float[Tensor, "*n d"]:
        """Return the next embedding, the action's share of the first layer known."""
        hidden = F.relu(self.state(z) + told)
        for layer in self.hidden:
            hidden = F.relu(layer(hidden))
        ahead: Tensor = self._norm[0](z + self.step(hidden))
        return ahead

    def ahead(
        self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"], num_steps: int
    ) -> Sequence[Float[Tensor, "b _ d"]]:
        """Return predictions 1 ... num_steps ahead: as many steps, each of all starts at once."""
        told = self.action(action.to(z.dtype))  # once, not for every number of steps
        state, predicted = z, []
        for k in range(1, num_steps + 1):
            state = self._stepped(state[:, : z.shape[1] - k], told[:, k - 1 :])
            predicted.append(state)
        return predicted

    def begin(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> LatentState:
        """Return the last embedding, which is all that is remembered."""
        return LatentState(z[:, -1])

    def rollout(
        self, state: LatentState | Float[Tensor, "*n d"], actions: Float[Tensor, "*n t a"]
    ) -> Float[Tensor, "*n t d"]:
        """Return the embeddings after each of several actions, from a state or from embeddings themselves."""
        z, ahead = state.z if isinstance(state, LatentState) else state, []
        for action in actions.unbind(-2):
            z = self(z, action)
            ahead.append(z)
        return torch.stack(ahead, dim=-2)
