"""A pixel-predicting world model: the raw-output arm beside the JEPAs of this folder, same encoder, same planner.

    z_t         = encoder(frame t)
    z_hat_{t+k} = predictor(z_t, a_t ... a_{t+k-1})
    loss        = mean (decoder(z_hat_{t+k}) - frame t + k)^2 over k = 0 ... rollout_steps,   z_hat_t = z_t

Drawing is most of the work, so training may draw from a few starts for each k, chosen anew at every step
(`num_starts`): the same loss in the mean.

No embedding is compared with another in training: what is kept in z is what helps to draw frames, all of a frame alike.
Planning measures distance in that z, which is what makes the comparison a fair one: nothing differs but the loss.

Source: our own control; the loss of latent dynamics with reconstruction (Hafner et al. 2019, PlaNet, arXiv 1811.04551)
without its stochastic part. Deviations: every start and every number of steps, each weighing the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.jepa import Objective
from jepakit.methods.perceiving import WorldModelConfig
from jepakit.methods.world import WorldMethod, questions_of
from jepakit.nn.dynamics import GRUDynamicsConfig
from jepakit.nn.framedecoder import FrameDecoderConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.objectives import mse
from jepakit.random import Stream, seeded_init
from jepakit.types import ClipBatch, Prediction, UserError, require


@dataclass(frozen=True, kw_only=True)
class PixelWorldConfig(WorldModelConfig):
    """Describe the world model; preprocessing and actions are `WorldModelConfig`'s.

    Args:
        encoder: The network that perceives a frame.
        dynamics: The predictor.
        decoder: The network that draws frames.
        rollout_steps: Steps ahead that are drawn.
        num_starts: Starts in a clip from which training draws each number of steps ahead; None takes all.

    Raises:
        UserError: Proprioception is asked for, or no start.
    """

    encoder: FrameNetConfig
    dynamics: GRUDynamicsConfig | ResidualDynamicsConfig = field(default_factory=GRUDynamicsConfig)
    decoder: FrameDecoderConfig = field(default_factory=FrameDecoderConfig)
    rollout_steps: int = 8
    num_starts: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.num_starts is None or self.num_starts >= 1, f"num_starts is at least 1, got {self.num_starts}.")
        if self.proprio_dim:
            raise UserError("A pixel-predicting world model sees pictures alone; set proprio_dim to 0.")

    def build(self, seed: int, num_steps: int) -> "PixelWorld":
        """Build the method with fresh weights drawn from `seed`; the length of training changes nothing."""
        with seeded_init(seed, "weights"):
            return PixelWorld(self, seed)


class PixelWorld(WorldMethod):
    """Predict the pixels of later frames through embeddings."""

    config_class = PixelWorldConfig
    config: PixelWorldConfig

    def __init__(self, config: PixelWorldConfig, seed: int):
        encoder = config.encoder.build()
        dynamics = config.dynamics.build(encoder.embedding_dim, config.heard_dim, encoder.norm)
        super().__init__(config, encoder, dynamics, Objective(mse), seed)
        size, channels = config.preprocess.image_size, config.preprocess.channels
        self.decoder = config.decoder.build(encoder.embedding_dim, size, channels)

    def predict(self, batch: ClipBatch, step: int) -> Prediction:
        """Draw every frame from its own embedding and from those predicted from every frame before it."""
        clip = self.thinned(batch)
        x = self.prepared(clip.frames)
        z: Tensor = self.encode(x).unflatten(0, clip.frames.shape[:2])
        pixels = rearrange(x, "(b t) c h w -> b t (c h w)", b=len(z))
        num_steps = min(self.rollout_steps, z.shape[1] - 1)
        heard, aux = self.heard(z, clip, step)
        embedded = [z, *self.predictor.ahead(z, heard, num_steps)]
        asked = [(part, pixels[:, k:]) for k, part in enumerate(embedded)]
        if self.training and self.config.num_starts is not None:
            asked = [self._few(k, *pair, clip.id, step) for k, pair in enumerate(asked)]
        return replace(questions_of([(self.draw(part), true) for part, true in asked], first=0), aux=aux)

    def _few(
        self, k: int, z: Float[Tensor, "b t d"], pixels: Float[Tensor, "b t chw"], ids: Int[Tensor, " b"], step: int
    ) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b n chw"]]:
        """Return embeddings and pixels of some starts of each clip, drawn by its id and the step."""
        assert self.config.num_starts is not None
        stream = Stream(self.seed, f"pixel-world/starts/{k}")
        chosen = stream.integers(step, ids, self.config.num_starts, z.shape[1])
        row = torch.arange(len(z), device=z.device)[:, None]
        return z[row, chosen], pixels[row, chosen]

    def draw(self, z: Float[Tensor, "b t d"]) -> Float[Tensor, "b t chw"]:
        """Return the normalised pixels that embeddings stand for."""
        drawn: Tensor = self.decoder(rearrange(z, "b t d -> (b t) d"))
        return rearrange(drawn, "(b t) c h w -> b t (c h w)", b=len(z))

    def imagine(self, z: Float[Tensor, "b d"]) -> UInt8[Tensor, "b c h w"]:
        """Return the pictures that embeddings stand for, to be looked at."""
        return self.preprocess.to_pixels(self.decoder(z))

    def regularized(self, z: Float[Tensor, "b t d"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return nothing: pixels keep embeddings from collapse."""
        return {}
