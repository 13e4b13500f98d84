"""Predict the next embedding as the present one and a step away from it, which a small network chooses."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.dynamics import StepDynamics
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class ResidualDynamicsConfig:
    """Describe a predictor without memory.

    Args:
        hidden_dim: Width of the hidden layers.
        depth: Hidden layers.
        sees_start: Whether every step is also told the embedding that was really seen at the start: what stays as it
            is (walls, doors) is then read from there, however many steps have been imagined since.

    Raises:
        UserError: There is no hidden layer, or it has no width.
    """

    hidden_dim: int = 256
    depth: int = 2
    sees_start: bool = False

    def __post_init__(self) -> None:
        if min(self.hidden_dim, self.depth) < 1:
            raise UserError(f"A predictor needs at least one hidden layer of at least one unit, got {self}.")

    def build(self, embedding_dim: int, action_dim: int, norm: nn.Module) -> "ResidualDynamics":
        """Build the predictor with fresh weights."""
        return ResidualDynamics(self, embedding_dim, action_dim, norm)


class ResidualDynamics(StepDynamics):
    """Step an embedding: z + network(z, action), normalised.

    Most actions move a body a little, and what stays as it was (the walls) is to be kept exactly: a sum does both at
    once, where a GRU must learn to mix. In TwoRooms this halves the error of long rollouts at equal work (docs/log.md).
    Normalising at every step still wears away what stays, so the start may be looked at again at each of them.

    Args:
        config: Its size.
        embedding_dim: Width of the embeddings.
        action_dim: Length of what it is told between two frames.
        norm: Normalises each prediction; the encoder's own last layer, so that both live in one space.

    Source: our own.
    """

    def __init__(self, config: ResidualDynamicsConfig, embedding_dim: int, action_dim: int, norm: nn.Module):
        super().__init__(norm)
        self.embedding_dim = embedding_dim
        widths = [config.hidden_dim] * config.depth
        self.state = nn.Linear(embedding_dim, widths[0])
        self.action = nn.Linear(action_dim, widths[0], bias=False)
        self.start = nn.Linear(embedding_dim, widths[0], bias=False) if config.sees_start else None
        self.hidden = nn.ModuleList([nn.Linear(width, width) for width in widths[1:]])
        self.step = nn.Linear(widths[-1], embedding_dim)

    def kept(self, start: Float[Tensor, "*n d"]) -> Float[Tensor, "*n h"] | None:
        """Return the start's share of the first layer, once for all steps from it."""
        return None if self.start is None else self.start(start)

    def moved(
        self, z: Float[Tensor, "*n d"], action: Float[Tensor, "*n a"], kept: Float[Tensor, "*n h"] | None
    ) -> Float[Tensor, "*n d"]:
        """Return the embedding and the step away from it."""
        hidden = self.state(z) + self.action(action)
        hidden = F.relu(hidden if kept is None else hidden + kept)
        for layer in self.hidden:
            hidden = F.relu(layer(hidden))
        step: Tensor = self.step(hidden)
        return z + step
