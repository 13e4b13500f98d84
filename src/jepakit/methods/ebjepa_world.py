"""EB-JEPA's world model: predict embeddings under actions; VICReg terms, slowness and inverse dynamics keep them open.

    loss = mean (z_hat_{t+k} - z_{t+k})^2 over k + w_v * variance(z) + w_c * covariance(z)
           + w_s * mean (z_{t+1} - z_t)^2 + w_i * sum over gaps g of mean (inverse_g(z_t, z_{t+g}) - moved_g)^2

where moved_g, the sum of the actions done in between over the root of their number, is the action itself for g = 1; the
first `still_dim` numbers of an embedding have a slowness weight of their own.

Source: EB-JEPA arXiv 2602.03604 (`ac_video`), after PLDM arXiv 2502.14819. Deviations: predictions from every start,
not from the first frame alone; inverse dynamics may look over longer gaps too, where what actions changed is easier to
see (after the multi-step inverse models of Lamb et al. 2022, arXiv 2207.08229), and is given how far z moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.collectives import weighted_mean
from jepakit.jepa import Objective, Term, wide
from jepakit.methods.perceiving import WorldModelConfig
from jepakit.methods.world import WorldMethod
from jepakit.nn.dynamics import GRUDynamicsConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.impala import ImpalaConfig
from jepakit.nn.remembering_dynamics import RememberingDynamicsConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.objectives import Covariance, Variance, mse
from jepakit.random import seeded_init
from jepakit.types import UserError

_CLOSER = 4.0
"""How much larger inverse dynamics sees a movement than the embeddings themselves: within a step they hardly change."""


@dataclass(frozen=True, kw_only=True)
class EBJEPAWorldConfig(WorldModelConfig):
    """Describe the world model; preprocessing and actions are `WorldModelConfig`'s.

    Args:
        encoder: The network that perceives a frame.
        dynamics: The predictor.
        rollout_steps: Steps ahead that are predicted.
        variance_weight: `w_v`.
        covariance_weight: `w_c`.
        slowness_weight: `w_s`, time similarity.
        still_dim: How many numbers of an embedding are to stay as they are within a clip: what differs from clip to
            clip and never moves (walls, doors) has room of its own there, and the predictor nothing to keep but them.
        still_weight: Their slowness weight.
        inverse_weight: `w_i`, inverse dynamics.
        inverse_dim: Width of the inverse dynamics' hidden layer.
        inverse_gaps: Frames between the two that inverse dynamics sees; gaps longer than a clip are left out.
        freeze_encoder: Leave the encoder as it was drawn, so that the predictor alone learns: a floor of what encoding
            by chance is good for; or as it was taken from another run (`WorldRecipe.encoder_from`).

    Raises:
        UserError: An action has no bounds, a gap is below 1, or there is proprioception, which this method has no use
            for.
    """

    encoder: FrameNetConfig | ImpalaConfig
    dynamics: GRUDynamicsConfig | ResidualDynamicsConfig | RememberingDynamicsConfig = field(
        default_factory=GRUDynamicsConfig
    )
    rollout_steps: int = 8
    variance_weight: float = 16.0
    covariance_weight: float = 8.0
    slowness_weight: float = 12.0
    still_dim: int = 0
    still_weight: float = 25.0
    inverse_weight: float = 1.0
    inverse_dim: int = 256
    inverse_gaps: tuple[int, ...] = (1,)
    freeze_encoder: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "inverse_gaps", tuple(self.inverse_gaps))
        if min(self.inverse_gaps, default=0) < 1:
            raise UserError(f"inverse_gaps are frames apart, each at least 1, got {self.inverse_gaps}.")
        if self.still_dim < 0:
            raise UserError(f"still_dim is a number of numbers, at least 0, got {self.still_dim}.")
        if self.proprio_dim:
            raise UserError("EBJEPAWorld perceives pictures alone, so proprio_dim must be 0; LeWM takes both.")

    def build(self, seed: int, num_steps: int) -> "EBJEPAWorld":
        """Build the method with fresh weights drawn from `seed`; the length of training changes nothing."""
        with seeded_init(seed, "weights"):
            return EBJEPAWorld(self, seed)


class EBJEPAWorld(WorldMethod):
    """Predict embeddings that are kept open by their own spread and by the actions that they tell."""

    config_class = EBJEPAWorldConfig
    config: EBJEPAWorldConfig

    def __init__(self, config: EBJEPAWorldConfig, seed: int):
        encoder = config.encoder.build().requires_grad_(not config.freeze_encoder)
        dim = encoder.embedding_dim
        if config.still_dim >= dim:
            raise UserError(f"still_dim {config.still_dim} leaves nothing of an embedding of {dim} numbers to move.")
        dynamics = config.dynamics.build(dim, config.heard_dim, encoder.norm)
        terms = {
            "variance": Term("encoder", Variance(), config.variance_weight),
            "covariance": Term("encoder", Covariance(), config.covariance_weight),
        }
        weights = {"slowness": config.slowness_weight, "inverse": config.inverse_weight}
        if config.still_dim:
            weights["stillness"] = config.still_weight
        objective = Objective(mse, terms, aux_weights=weights)
        super().__init__(config, encoder, dynamics, objective, seed)
        self.inverse = nn.ModuleList(
            nn.Sequential(
                nn.Linear(2 * dim, config.inverse_dim),
                nn.GELU(),
                nn.Linear(config.inverse_dim, config.told_dim // config.frame_skip),
            )
            for _ in config.inverse_gaps
        )

    def regularized(self, z: Float[Tensor, "b t d"]) -> Mapping[str, Float[Tensor, "k g _"]]:
        """Return every frame's embedding, all in one group: an encoder of single frames cannot tell their time."""
        return {"encoder": rearrange(z, "b t d -> (b t) 1 d")}

    def auxiliary(self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"]) -> Mapping[str, Float[Tensor, ""]]:
        """Return how fast embeddings move, and how badly two of them tell what was done in between."""
        still = self.config.still_dim
        speed = wide(z.diff(dim=1)).square().flatten(0, 1)
        slow = {"slowness": speed[:, still:].mean(-1)} | ({"stillness": speed[:, :still].mean(-1)} if still else {})
        missed = [
            self._missed(z, action, gap, inverse)
            for gap, inverse in zip(self.config.inverse_gaps, self.inverse, strict=True)
            if gap < z.shape[1]
        ]
        terms = {name: weighted_mean(term, torch.ones_like(term)) for name, term in slow.items()}
        return terms | {"inverse": torch.stack(missed).sum()}

    def _missed(
        self, z: Float[Tensor, "b t d"], action: Float[Tensor, "b _ a"], gap: int, inverse: nn.Module
    ) -> Float[Tensor, ""]:
        """Return the error of what is told about the actions between frames so far apart."""
        skip = self.config.frame_skip
        each = wide(action).unflatten(-1, (skip, -1)).sum(dim=-2)
        until = F.pad(each.cumsum(dim=1), (0, 0, 1, 0))
        moved = (until[:, gap:] - until[:, :-gap]) / (gap * skip) ** 0.5
        told = inverse(torch.cat((z[:, :-gap], _CLOSER * (z[:, gap:] - z[:, :-gap])), dim=-1))
        error = (wide(told) - moved).square().mean(-1).flatten()
        return weighted_mean(error, torch.ones_like(error))
