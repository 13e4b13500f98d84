"""Tell from two embeddings how many steps lie between them: a small head over classes of time gaps."""

import itertools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class ReachabilityConfig:
    """Describe a head that tells steps to go.

    Args:
        embedding_dim: Width of an embedding.
        max_gap: Largest time gap that is told apart; what is further is far.
        hidden_dim: Width of the hidden layers.

    Raises:
        UserError: A size is below 1.
    """

    embedding_dim: int
    max_gap: int
    hidden_dim: int = 256

    def __post_init__(self) -> None:
        if min(self.embedding_dim, self.max_gap, self.hidden_dim) < 1:
            raise UserError(f"A reachability head needs sizes of at least 1, got {self}.")

    @property
    def edges(self) -> tuple[int, ...]:
        """Return the largest gap of each class but the last, far: 0, 1, 2, 4, 8 ... and max_gap."""
        octaves = math.ceil(math.log2(self.max_gap))
        return (0, *(2**octave for octave in range(octaves)), self.max_gap)

    def build(self) -> "ReachabilityHead":
        """Build the head with fresh weights."""
        return ReachabilityHead(self)


class ReachabilityHead(nn.Module):
    """Map embeddings of a place and of a goal to a distribution over time gaps, and to the steps that it expects.

    Gaps of the same octave are one class, and far is a class of its own, worth twice the largest gap: an answer is
    always finite, and a few pairs with odd gaps cannot pull it far. The head is not symmetric, as reaching is not.

    Source: after TRM, arXiv 2605.22164. Deviations: classes of gaps instead of a ranking.
    """

    centres: Tensor

    def __init__(self, config: ReachabilityConfig):
        super().__init__()
        self.config = config
        self.from_place = nn.Linear(config.embedding_dim, config.hidden_dim)
        self.from_goal = nn.Linear(config.embedding_dim, config.hidden_dim, bias=False)
        edges = config.edges
        self.rest = nn.Sequential(
            nn.GELU(),
            nn.Linear(config.hidden_dim, config.hidden_dim),
            nn.GELU(),
            nn.Linear(config.hidden_dim, len(edges) + 1),
        )
        middles = [0.0] + [(low + 1 + high) / 2 for low, high in itertools.pairwise(edges)]
        centres = torch.tensor([*middles, 2.0 * config.max_gap])
        self.register_buffer("centres", centres, persistent=False)

    def logits(self, z: Float[Tensor, "*#k d"], goal: Float[Tensor, "*#k d"]) -> Float[Tensor, "*_ g"]:
        """Return how likely each class of gaps is; the goal's share of the work is done once where it is shared."""
        weight = self.from_place.weight
        out: Tensor = self.rest(self.from_place(z.to(weight)) + self.from_goal(goal.to(weight)))
        return out

    def forward(self, z: Float[Tensor, "*#k d"], goal: Float[Tensor, "*#k d"]) -> Float[Tensor, "*_"]:
        """Return the expected steps from each place to its goal."""
        return (self.logits(z, goal).softmax(dim=-1) * self.centres).sum(dim=-1)

    def octaves(self, z: Float[Tensor, "*#k d"], goal: Float[Tensor, "*#k d"]) -> Float[Tensor, "*_"]:
        """Return the expected class, about the logarithm of the steps to go: as sharp near a goal as far from it."""
        chance = self.logits(z, goal).softmax(dim=-1)
        return chance @ torch.arange(chance.shape[-1], dtype=chance.dtype, device=chance.device)

    def classes(self, gap: Int[Tensor, "*k"]) -> Int[Tensor, "*k"]:
        """Return the class of each gap."""
        return torch.bucketize(gap, torch.tensor(self.config.edges, device=gap.device))


def reachability_loss(
    head: ReachabilityHead, z: Float[Tensor, "b d"], goal: Float[Tensor, "b d"], gap: Int[Tensor, " b"]
) -> Float[Tensor, ""]:
    """Return the mean cross-entropy of the classes of gaps; a gap above the head's largest is far.

    Args:
        head: What is trained.
        z: Embeddings of places.
        goal: Embeddings of places later in the same trajectory, or of another one.
        gap: Steps in between; any number above `max_gap` for another trajectory.
    """
    return F.cross_entropy(head.logits(z, goal), head.classes(gap))
