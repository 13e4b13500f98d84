"""Predict embeddings many frames ahead, told a macro-action: a few numbers into which many actions are encoded."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.dynamics import StepDynamics
from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class CoarseDynamicsConfig:
    """Describe a predictor on a coarse time scale.

    Args:
        told_dim: Numbers that the fine predictor is told between two frames.
        num_blocks: Frames that a macro-action goes ahead.
        macro_dim: Numbers of a macro-action.
        num_turns: Steps of the predictor that one macro-action takes, so that it can look where it has come to.
        hidden_dim: Width of the hidden layer of the encoder of actions.

    Raises:
        UserError: A number is below 1.
    """

    told_dim: int
    num_blocks: int = 5
    macro_dim: int = 4
    num_turns: int = 2
    hidden_dim: int = 128

    def __post_init__(self) -> None:
        if min(self.told_dim, self.num_blocks, self.macro_dim, self.num_turns, self.hidden_dim) < 1:
            raise UserError(f"A coarse predictor needs numbers of at least 1, got {self}.")


class CoarseDynamics(nn.Module):
    """Step an embedding by macro-actions.

    Args:
        config: Its sizes.
        predictor: Steps an embedding, told `macro_dim` numbers; of any class that does so from the last embedding.

    Attributes:
        low: Lowest value of each number of a macro-action that was met in training.
        high: Highest value.

    Source: HWM, arXiv 2604.03208. Deviations: the predictor takes several turns for a macro-action.
    """

    low: Tensor
    high: Tensor

    def __init__(self, config: CoarseDynamicsConfig, predictor: StepDynamics):
        super().__init__()
        self.config = config
        self.predictor = predictor
        self.encoder = nn.Sequential(
            nn.Linear(config.num_blocks * config.told_dim, config.hidden_dim),
            nn.GELU(),
            nn.Linear(config.hidden_dim, config.macro_dim),
            nn.Tanh(),
        )
        self.register_buffer("low", -torch.ones(config.macro_dim))
        self.register_buffer("high", torch.ones(config.macro_dim))

    def macro(self, told: Float[Tensor, "*b t a"]) -> Float[Tensor, "*b m"]:
        """Return the macro-actions of `num_blocks` series of actions, each number between -1 and 1."""
        encoded: Tensor = self.encoder(told.flatten(-2))
        return encoded

    def forward(self, z: Float[Tensor, "*b d"], macro: Float[Tensor, "*b m"]) -> Float[Tensor, "*b d"]:
        """Return the embeddings `num_blocks` frames later."""
        for _ in range(self.config.num_turns):
            z = self.predictor(z, macro)
        return z

    def rollout(self, z: Float[Tensor, "*b d"], macros: Float[Tensor, "*b t m"]) -> Float[Tensor, "*b t d"]:
        """Return the embedding after each of several macro-actions."""
        ahead = []
        for macro in macros.unbind(-2):
            z = self(z, macro)
            ahead.append(z)
        return torch.stack(ahead, dim=-2)
