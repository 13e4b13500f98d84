"""Say what all world models are described by: how they perceive, what their body can do, how far ahead they look."""

from dataclasses import dataclass, replace

from jepakit.methods.acting import ActingConfig
from jepakit.methods.agree import square_size
from jepakit.nn import BackboneConfig, ViTConfig
from jepakit.nn.classvit import ClassViTConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.impala import ImpalaConfig
from jepakit.types import UserError
from jepakit.views import Preprocess

FrameEncoderConfig = FrameNetConfig | ViTConfig | ClassViTConfig | ImpalaConfig | BackboneConfig


@dataclass(frozen=True, kw_only=True)
class WorldModelConfig(ActingConfig):
    """Describe a world model; actions and proprioception are `ActingConfig`'s.

    Args:
        encoder: The network that perceives a frame.
        preprocess: What is done to a frame; its channels, and where the encoder says so its size, are the encoder's.
        rollout_steps: Steps ahead that are predicted.
        latent_dim: Numbers that stand for chance in each step, see `nn.latent`; 0 for a predictor that knows none.
        latent_weight: Weight of the latent's rate in the loss: how narrow its channel is.

    Raises:
        UserError: An action has no bounds, or `latent_dim` is negative.
    """

    encoder: FrameEncoderConfig
    preprocess: Preprocess
    rollout_steps: int = 8
    latent_dim: int = 0
    latent_weight: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "preprocess", fitted(self.preprocess, self.encoder))
        if self.latent_dim < 0:
            raise UserError(f"latent_dim is a number of numbers, or 0 for none, got {self.latent_dim}.")

    @property
    def heard_dim(self) -> int:
        """Return how many numbers the predictor hears between two frames: what is done, and what chance does."""
        return self.told_dim + self.latent_dim


def fitted(preprocess: Preprocess, encoder: FrameEncoderConfig) -> Preprocess:
    """Return the preprocessing with the channels, and where it says so the size, that an encoder takes."""
    if isinstance(encoder, FrameNetConfig | ClassViTConfig | ImpalaConfig):
        preprocess = replace(preprocess, image_size=encoder.image_size)
    elif isinstance(encoder, ViTConfig):
        preprocess = replace(preprocess, image_size=square_size(encoder))
    return replace(preprocess, channels=encoder.in_channels)
