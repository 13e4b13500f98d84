"""Tell from two embeddings what to do first on the way between them: a goal-conditioned inverse dynamics model."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class GoalPolicyConfig:
    """Describe a policy that is told where it is, where to go, and in how many steps.

    Args:
        embedding_dim: Width of an embedding.
        action_dim: Length of an action.
        num_actions: Actions that it tells at once.
        hidden_dim: Width of the hidden layers.

    Raises:
        UserError: A size is below 1.
    """

    embedding_dim: int
    action_dim: int
    num_actions: int = 1
    hidden_dim: int = 256

    def __post_init__(self) -> None:
        if min(self.embedding_dim, self.action_dim, self.num_actions, self.hidden_dim) < 1:
            raise UserError(f"A goal policy needs sizes of at least 1, got {self}.")

    def build(self) -> "GoalPolicy":
        """Build the policy with fresh weights."""
        return GoalPolicy(self)


class GoalPolicy(nn.Module):
    """Map embeddings of a place and of a goal, and the steps there are in between, to the first actions.

    Source: GC-IDM, arXiv 2605.08732. Deviations: a plain MLP; more than one action at once, if wanted.
    """

    def __init__(self, config: GoalPolicyConfig):
        super().__init__()
        self.config = config
        width = config.hidden_dim
        self.layers = nn.Sequential(
            nn.Linear(2 * config.embedding_dim + 1, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Linear(width, config.num_actions * config.action_dim),
        )

    def forward(
        self, z: Float[Tensor, "b d"], goal: Float[Tensor, "b d"], steps: Float[Tensor, " b"]
    ) -> Float[Tensor, "b t a"]:
        """Return the first `num_actions` actions; `steps`, at least 1, is how many there are to the goal."""
        known = torch.cat((z, goal.to(z), steps.to(z).log()[:, None]), dim=-1)
        told: Tensor = self.layers(known.to(next(self.layers.parameters()).dtype))
        return told.view(len(z), self.config.num_actions, self.config.action_dim)


def policy_loss(
    told: Float[Tensor, "b t a"], taken: Float[Tensor, "b t a"], is_before: Bool[Tensor, "b t"]
) -> Float[Tensor, ""]:
    """Return the mean squared error of the actions told, over those taken before the goal was met.

    Args:
        told: What the policy answers.
        taken: What was done first on the way.
        is_before: Which of these were done before the goal.
    """
    missed = (told - taken).square().mean(dim=-1)
    return (missed * is_before).sum() / is_before.sum()
