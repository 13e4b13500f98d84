"""EB-JEPA's world model: predict embeddings under actions; VICReg terms, slowness and inverse dynamics keep them open.

    loss = mean (z_hat_{t+k} - z_{t+k})^2 over k + w_v * variance(z_t) + w_c * covariance(z_t)
           + w_s * mean (z_{t+1} - z_t)^2 + w_i * mean (inverse(z_t, z_{t+1}) - a_t)^2

Source: EB-JEPA arXiv 2602.03604 (`ac_video`), after PLDM arXiv 2502.14819. Deviations: predictions from every start,
not from the first frame alone; variance and covariance per time step across clips, not pooled over both.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import gymnasium
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.collectives import weighted_mean
from jepakit.jepa import Objective, Term, wide
from jepakit.methods.world import WorldMethod
from jepakit.nn.dynamics import GRUDynamicsConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.impala import ImpalaConfig
from jepakit.objectives import Covariance, Variance, mse
from jepakit.random import seeded_init
from jepakit.types import UserError
from jepakit.views import Preprocess


@dataclass(frozen=True, kw_only=True)
class EBJEPAWorldConfig:
    """Describe the world model.

    Args:
        encoder: The network that perceives a frame.
        preprocess: What is done to a frame.
        dynamics: The predictor.
        action_low: Lowest value of each part of an action.
        action_high: Highest value.
        rollout_steps: Steps ahead that are predicted.
        variance_weight: `w_v`.
        covariance_weight: `w_c`.
        slowness_weight: `w_s`, time similarity.
        inverse_weight: `w_i`, inverse dynamics.
        inverse_dim: Width of the inverse dynamics' hidden layer.

    Raises:
        UserError: The bounds of an action are not in order.
    """

    encoder: FrameNetConfig | ImpalaConfig
    preprocess: Preprocess
    dynamics: GRUDynamicsConfig = field(default_factory=GRUDynamicsConfig)
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    rollout_steps: int = 8
    variance_weight: float = 16.0
    covariance_weight: float = 8.0
    slowness_weight: float = 12.0
    inverse_weight: float = 1.0
    inverse_dim: int = 256

    def __post_init__(self) -> None:
        for name in ("action_low", "action_high"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        is_ordered = len(self.action_low) == len(self.action_high) > 0
        is_ordered = is_ordered and all(a < b for a, b in zip(self.action_low, self.action_high, strict=True))
        if not is_ordered or not all(map(math.isfinite, self.action_low + self.action_high)):
            raise UserError(
                f"An action needs finite bounds, the lower below the upper, got {self.action_low} and "
                f"{self.action_high}."
            )
        settled = replace(self.preprocess, image_size=self.encoder.image_size, channels=self.encoder.in_channels)
        object.__setattr__(self, "preprocess", settled)

    def build(self, seed: int, num_steps: int) -> "EBJEPAWorld":
        """Build the method with fresh weights drawn from `seed`; the length of training changes nothing."""
        with seeded_init(seed, "weights"):
            return EBJEPAWorld(self, seed)


class EBJEPAWorld(WorldMethod):
    """Predict with a GRU whose memory is the embedding."""

    config_class = EBJEPAWorldConfig

    def __init__(self, config: EBJEPAWorldConfig, seed: int):
        encoder = config.encoder.build()
        action_dim, dim = len(config.action_low), encoder.embedding_dim
        dynamics = config.dynamics.build(dim, action_dim, encoder.norm)
        terms = {
            "variance": Term("encoder", Variance(), config.variance_weight),
            "covariance": Term("encoder", Covariance(), config.covariance_weight),
        }
        weights = {"slowness": config.slowness_weight, "inverse": config.inverse_weight}
        objective = Objective(mse, terms, aux_weights=weights)
        super().__init__(encoder, dynamics, objective, config.preprocess, config.rollout_steps, seed)
        self.config = config
        hidden = config.inverse_dim
        self.inverse = nn.Sequential(nn.Linear(2 * dim, hidden), nn.GELU(), nn.Linear(hidden, action_dim))

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return the actions that a planner may choose."""
        low, high = (np.array(edge, np.float32) for edge in (self.config.action_low, self.config.action_high))
        return gymnasium.spaces.Box(low, high, dtype=np.float32)

    def regularized(self, z: Float[Tensor, "b t d"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return every frame's embedding."""
        return {"encoder": z}

    def auxiliary(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> Mapping[str, Float[Tensor, ""]]:
        """Return how fast embeddings move, and how badly two of them tell the action in between."""
        told = self.inverse(torch.cat((z[:, :-1], z[:, 1:]), dim=-1))
        moved, missed = (wide(part).square().mean(-1).flatten() for part in (z.diff(dim=1), told - action))
        ones = torch.ones_like(missed)
        return {"slowness": weighted_mean(moved, ones), "inverse": weighted_mean(missed, ones)}
