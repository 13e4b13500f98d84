"""DINO-WM: a frozen encoder's patch tokens of the next frame, predicted from those of the last frames and the action.

    z_t  = [encoder(frame t), E_p(proprioception t) beside every token]     (n, d), the encoder frozen
    loss = mean (predictor(z_{<=t}, a_{<=t}) - z_{t+1})^2

The action's embedding stands beside every token too (`conditioning="concatenate"`). Nothing can collapse where nothing
but the predictor learns; what the encoder does not see, no plan can.

Source: Zhou et al. 2024, DINO-WM (arXiv 2411.04983). Deviations: rotary positions in time and a band over the whole
sequence instead of learned positions in a window of 3 (`nn.causal_dynamics`); no decoder; the energy of a frame is the
mean over tokens and their numbers, proprioception's included.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from jepakit.jepa import Objective
from jepakit.methods.perceiving import WorldModelConfig
from jepakit.methods.world import WorldMethod
from jepakit.nn.causal_dynamics import CausalDynamicsConfig
from jepakit.nn.window_dynamics import WindowDynamicsConfig
from jepakit.objectives import mse
from jepakit.random import seeded_init
from jepakit.types import Prediction, UserError

PATCHES = CausalDynamicsConfig(conditioning="concatenate", head="linear")


@dataclass(frozen=True, kw_only=True)
class DINOWMConfig(WorldModelConfig):
    """Describe the world model; the frozen encoder, preprocessing, actions and proprioception are `WorldModelConfig`'s.

    Args:
        dynamics: The predictor; its number of tokens is the encoder's.
        rollout_steps: Steps ahead that are predicted.
        proprio_embedding_dim: Width of what stands for proprioception beside every token.
    """

    dynamics: CausalDynamicsConfig | WindowDynamicsConfig = field(default=PATCHES)
    rollout_steps: int = 1
    proprio_embedding_dim: int = 10

    def build(self, seed: int, num_steps: int, encoder: nn.Module | None = None) -> "DINOWM":
        """Build the method with fresh weights drawn from `seed`.

        Args:
            seed: Seed of the weights.
            num_steps: The length of training, which changes nothing.
            encoder: A trained network to freeze, copied; it has `embedding_dim` and returns tokens (b, n, d). To load
                the method again it must be what `self.encoder` describes. Without it the encoder stays as it was drawn.
        """
        with seeded_init(seed, "weights"):
            return DINOWM(self, seed, encoder)


class DINOWM(WorldMethod):
    """Predict the patch tokens of a frozen encoder."""

    config_class = DINOWMConfig
    config: DINOWMConfig

    def __init__(self, config: DINOWMConfig, seed: int, encoder: nn.Module | None = None):
        frozen = copy.deepcopy(encoder) if encoder is not None else config.encoder.build()
        frozen.requires_grad_(False).eval()
        felt_dim = config.proprio_embedding_dim if config.proprio_dim else 0
        side = config.preprocess.image_size
        with torch.no_grad():
            tokens = frozen(torch.zeros(1, config.preprocess.channels, side, side))
        sized = replace(config.dynamics, num_tokens=tokens.shape[1])
        dynamics = sized.build(tokens.shape[2] + felt_dim, config.heard_dim)
        super().__init__(config, frozen, dynamics, Objective(mse), seed)
        self.proprio = nn.Linear(config.proprio_dim, felt_dim) if felt_dim else None

    def train(self, mode: bool = True) -> "DINOWM":
        """Set the mode of all but the encoder, which stays in eval mode."""
        super().train(mode)
        self.encoder.eval()
        return self

    def embed(
        self, frames: UInt8[Tensor, "b t c h w"], proprio: Float[Tensor, "b t p"] | None = None
    ) -> Float[Tensor, "b t n d"]:
        """Return every frame's tokens, with what was felt there beside each."""
        with torch.no_grad():
            tokens: Tensor = self.encoder(self.prepared(frames)).unflatten(0, frames.shape[:2])
        if self.proprio is None:
            return tokens
        if proprio is None:
            raise UserError(f"This model also takes {self.config.proprio_dim} numbers of proprioception a frame.")
        felt = self.proprio(proprio.to(tokens.dtype))[:, :, None].expand(-1, -1, tokens.shape[2], -1)
        return torch.cat((tokens, felt), dim=-1)

    def ahead(self, z: Float[Tensor, "b t n d"], action: Float[Tensor, "b _ a"]) -> Prediction:
        """Predict from tokens; those to be predicted carry no gradient."""
        prediction = super().ahead(z, action)
        return replace(prediction, z=prediction.z.detach())

    def regularized(self, z: Float[Tensor, "b t n d"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return nothing: a frozen encoder needs no regularizer."""
        return {}
