"""LeWM: predict the next embedding by teacher forcing; SIGReg per time step is all that keeps embeddings from collapse.

    z_t     = projector(pool(encoder(frame t)))
    loss    = mean (predictor(z_{<=t}, a_{<=t}) - z_{t+1})^2 + w * mean over t of SIGReg(z_t)
              [+ w_m * mean over t of SIGReg(sqrt(2) (z_t - mean of the clip's))]
              [+ w_s * mean (1 - cos(z_{t+1} - z_t, z_{t+2} - z_{t+1}))] [+ w_i * mean (inverse(z_t, z_{t+1}) - a_t)^2]

No second network, no moving average, no stop-gradient. Frames may be `frame_skip` actions apart: the predictor is told
all actions of a block at once, and a plan acts in blocks.

Source: Maes et al. 2026, LeWM (arXiv 2603.19312); straightening: Temporal Straightening (arXiv 2603.12231). Deviations:
the predictor's positions and band, see `nn.causal_dynamics`; the term on motion (ours: slow features win without it, as
Sobal et al. 2022, arXiv 2211.10831, found), proprioception, other encoders and predictors, several steps ahead and
inverse dynamics are options that the paper's model does not have.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from jepakit.collectives import weighted_mean
from jepakit.jepa import Objective, Term, wide
from jepakit.methods.perceiving import WorldModelConfig
from jepakit.methods.world import WorldMethod
from jepakit.nn.causal_dynamics import CausalDynamicsConfig, mlp_head
from jepakit.nn.dynamics import GRUDynamicsConfig
from jepakit.nn.prefix_dynamics import PrefixDynamicsConfig
from jepakit.nn.remembering_dynamics import RememberingDynamicsConfig
from jepakit.nn.window_dynamics import WindowDynamicsConfig
from jepakit.objectives import SIGReg, mse
from jepakit.random import seeded_init
from jepakit.types import UserError

DynamicsConfig = (
    CausalDynamicsConfig | WindowDynamicsConfig | PrefixDynamicsConfig | GRUDynamicsConfig | RememberingDynamicsConfig
)


@dataclass(frozen=True, kw_only=True)
class LeWMConfig(WorldModelConfig):
    """Describe the world model; encoder, preprocessing, actions and proprioception are `WorldModelConfig`'s.

    Args:
        pool: The embedding is the "mean" of the encoder's tokens or the "first" of them (a class token).
        dynamics: The predictor.
        dim: Width of the embedding.
        projector_dim: Width inside the projector.
        rollout_steps: Steps ahead that are predicted.
        sigreg_weight: Weight `w` of SIGReg, in the normalisation of `objectives.sigreg`; the default is the paper's
            0.09 at its batch of 128.
        motion_weight: `w_m`: asks that half of an embedding's variance lies within clips, where whatever never moves
            would else be enough; needs clips of 3 frames or more.
        num_slices: Random directions a step.
        straightening_weight: `w_s`.
        inverse_weight: `w_i`.
        inverse_dim: Width of the inverse dynamics' hidden layer.

    Raises:
        UserError: An action has no bounds, or `pool` is neither.
    """

    pool: Literal["mean", "first"] = "mean"
    dynamics: DynamicsConfig = field(default_factory=CausalDynamicsConfig)
    dim: int = 192
    projector_dim: int = 2048
    rollout_steps: int = 1
    sigreg_weight: float = 0.09 * 128
    motion_weight: float = 0.0
    num_slices: int = 1024
    straightening_weight: float = 0.0
    inverse_weight: float = 0.0
    inverse_dim: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pool not in ("mean", "first"):
            raise UserError(f"pool must be 'mean' or 'first', got {self.pool!r}.")

    def build(self, seed: int, num_steps: int) -> "LeWM":
        """Build the method with fresh weights drawn from `seed`; the length of training changes nothing."""
        with seeded_init(seed, "weights"):
            return LeWM(self, seed)


class LeWM(WorldMethod):
    """Predict the next embedding; SIGReg keeps embeddings open."""

    config_class = LeWMConfig
    config: LeWMConfig

    def __init__(self, config: LeWMConfig, seed: int):
        encoder = config.encoder.build()
        gaussian = SIGReg(num_slices=config.num_slices, seed=seed)
        terms = {"sigreg": Term("projector", gaussian, config.sigreg_weight)}
        if config.motion_weight:
            terms["motion"] = Term("motion", gaussian, config.motion_weight)
        weights = {"straightening": config.straightening_weight, "inverse": config.inverse_weight}
        dynamics = config.dynamics.build(config.dim, config.heard_dim, nn.Identity())
        objective = Objective(mse, terms, aux_weights=weights)
        super().__init__(config, encoder, dynamics, objective, seed)
        self.proprio = nn.Linear(config.proprio_dim, config.dim) if config.proprio_dim else None
        seen_dim = encoder.embedding_dim + (config.dim if config.proprio_dim else 0)
        self.projector = mlp_head(seen_dim, config.projector_dim, config.dim)
        hidden, told = config.inverse_dim, config.told_dim
        self.inverse = (
            nn.Sequential(nn.Linear(2 * config.dim, hidden), nn.GELU(), nn.Linear(hidden, told))
            if config.inverse_weight
            else None
        )

    def pooled(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Return the encoder's one vector for each frame."""
        tokens: Tensor = self.encoder(x)
        return tokens[:, 0] if self.config.pool == "first" else tokens.mean(dim=1)

    def encode(self, x: Float[Tensor, "b c h w"], *, tokens: bool = False) -> Tensor:
        """Return embeddings (b, d), those that are predicted, or with `tokens` the encoder's (b, n, d).

        Raises:
            UserError: The model feels too, so that pictures alone are no embedding.
        """
        if tokens:
            return self.encoder(x)
        if self.proprio is not None:
            raise UserError(
                "This model's embeddings are made of pictures and proprioception; call embed(frames, proprio), or "
                "encode(x, tokens=True) for what the encoder makes of pictures alone."
            )
        z: Tensor = self.projector(self.pooled(x))
        return z

    def embed(
        self, frames: UInt8[Tensor, "b t c h w"], proprio: Float[Tensor, "b t p"] | None = None
    ) -> Float[Tensor, "b t d"]:
        """Encode every frame once, and what was felt there."""
        seen = self.pooled(self.prepared(frames))
        if self.proprio is not None:
            if proprio is None:
                raise UserError(f"This model also takes {self.config.proprio_dim} numbers of proprioception a frame.")
            felt = self.proprio(rearrange(proprio, "b t p -> (b t) p").to(seen.dtype))
            seen = torch.cat((seen, felt), dim=-1)
        z: Tensor = self.projector(seen)
        return z.unflatten(0, frames.shape[:2])

    def spaces(self, x: Float[Tensor, "b c h w"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return the embeddings whose health is watched: the encoder's, and where pictures are all, the projector's."""
        seen = self.pooled(x)
        spaces = {"encoder": seen[:, None]}
        return spaces if self.proprio is not None else spaces | {"projector": self.projector(seen)[:, None]}

    def regularized(self, z: Float[Tensor, "b t d"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return every frame's embedding, and where it is asked for what of it lies within clips."""
        if not self.config.motion_weight:
            return {"projector": z}
        return {"projector": z, "motion": math.sqrt(2.0) * (z - z.mean(dim=1, keepdim=True))}

    def auxiliary(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> Mapping[str, Float[Tensor, ""]]:
        """Return how much paths bend, and how badly two embeddings tell what was done in between, where asked for."""
        losses = {}
        if self.config.straightening_weight and z.shape[1] > 2:
            speed = wide(z).diff(dim=1)
            bend = 1 - cosine_similarity(speed[:, :-1], speed[:, 1:], dim=-1).flatten()
            losses["straightening"] = weighted_mean(bend, torch.ones_like(bend))
        if self.inverse is not None:
            told = self.inverse(torch.cat((z[:, :-1], z[:, 1:]), dim=-1))
            missed = wide(told - action).square().mean(-1).flatten()
            losses["inverse"] = weighted_mean(missed, torch.ones_like(missed))
        return losses
