"""Tell from two embeddings the least steps that lie between them: a small network whose answer is a distance."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class TemporalDistanceConfig:
    """Describe a network that tells the least steps from one place to another.

    Args:
        embedding_dim: Width of an embedding.
        hidden_dim: Width of the hidden layers.
        depth: Hidden layers.

    Raises:
        UserError: A size is below 1.
    """

    embedding_dim: int
    hidden_dim: int = 384
    depth: int = 3

    def __post_init__(self) -> None:
        if min(self.embedding_dim, self.hidden_dim, self.depth) < 1:
            raise UserError(f"A temporal distance needs sizes of at least 1, got {self}.")

    def build(self) -> "TemporalDistance":
        """Build the network with fresh weights."""
        return TemporalDistance(self)


class TemporalDistance(nn.Module):
    """Map embeddings of a place and of a goal to the steps that a short way between them takes, above 0.

    It is not symmetric, as reaching is not. `jepakit.planning.learn_distance` trains it.
    """

    def __init__(self, config: TemporalDistanceConfig):
        super().__init__()
        self.config = config
        width = config.hidden_dim
        self.from_place = nn.Linear(config.embedding_dim, width)
        self.from_goal = nn.Linear(config.embedding_dim, width, bias=False)
        hidden = [part for _ in range(config.depth - 1) for part in (nn.GELU(), nn.Linear(width, width))]
        self.rest = nn.Sequential(*hidden, nn.GELU(), nn.Linear(width, 1))

    def forward(self, z: Float[Tensor, "*#k d"], goal: Float[Tensor, "*#k d"]) -> Float[Tensor, "*_"]:
        """Return the steps from each place to its goal; a goal that is shared is worked on once."""
        weight = self.from_place.weight
        out: Tensor = self.rest(self.from_place(z.to(weight)) + self.from_goal(goal.to(weight)))
        return F.softplus(out[..., 0])
