"""Turn samples into float32 features, in batches, and scale features by what the train set alone tells."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from jepakit.types import UserError

Encode = Callable[[Float[Tensor, "b *t c h w"]], Float[Tensor, "b ..."]]
Preprocess = Callable[[Shaped[Tensor, "b ..."]], Float[Tensor, "b *t c h w"]]


@torch.no_grad()
def extract(
    encode: Encode, samples: Shaped[Tensor, "n ..."], preprocess: Preprocess, batch_size: int = 256
) -> Float[Tensor, "n ..."]:
    """Encode samples in batches and return float32 features on the CPU, in their order.

    Args:
        encode: Returns pooled embeddings (b, d), or tokens (b, n, d) for an attentive probe.
        samples: Source pixels, or signals.
        preprocess: Makes of them what `encode` takes; it also moves them to the encoder's device.
        batch_size: How many samples at a time; results do not depend on it where the encoder is in eval mode.

    Raises:
        UserError: If there are no samples, or if a feature is not finite.
    """
    if samples.shape[0] == 0:
        raise UserError("There are no samples to encode: the given set is empty.")
    features = torch.cat([encode(preprocess(batch)).detach().float().cpu() for batch in samples.split(batch_size)])
    require_finite(features)
    return features


def pixels(images: UInt8[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Return raw pixels in [0, 1] as features: the floor that every representation must pass."""
    return images.flatten(1).float() / 255.0


def require_finite(features: Float[Tensor, "n ..."]) -> None:
    """Raise where a feature is NaN or infinite.

    Raises:
        UserError: Naming how many rows are affected.
    """
    bad = ~torch.isfinite(features).flatten(1).all(dim=1)
    if bool(bad.any()):
        raise UserError(
            f"{int(bad.sum())} of {len(bad)} feature rows hold NaN or infinity: the encoder is broken or its input is "
            "not what it takes; check its weights and the preprocessing."
        )


@dataclass(frozen=True)
class Scaler:
    """Shift and scale features by statistics of the train set.

    Args:
        mean: Mean of each feature over the train set.
        scale: What each centred feature is divided by.
    """

    mean: Float[Tensor, " d"]
    scale: Float[Tensor, " d"]

    @classmethod
    def standardising(cls, train: Float[Tensor, "n d"]) -> "Scaler":
        """Give every train feature variance 1; one that is constant there is divided by 1 and so stays 0."""
        std, mean = torch.std_mean(train.double(), dim=0, correction=0)
        constant = std <= 1e-6 * torch.maximum(mean.abs(), std.max()).clamp_min(1e-30)
        return cls(mean.float(), torch.where(constant, 1.0, std).float())

    @classmethod
    def centring(cls, train: Float[Tensor, "n d"]) -> "Scaler":
        """Give the train features mean variance 1 by one common factor, which keeps their geometry."""
        variance, mean = torch.var_mean(train.double(), dim=0, correction=0)
        scale = variance.mean().sqrt()
        return cls(mean.float(), torch.where(scale > 1e-30, scale, 1.0).float().expand(train.shape[1]))

    def __call__(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Return scaled features."""
        return (x - self.mean) / self.scale


SCALINGS = (Scaler.centring, Scaler.standardising)
"""The two scalings that ridge probes try. Pixels prefer the first, most networks the second; train data decide."""
