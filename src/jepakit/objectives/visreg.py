"""Hold the standard deviation of every dimension at one: the scale term of VISReg.

Its gradient keeps its size however small the embeddings are, where SIGReg's shrinks with them, so the two go together.

Source: Wu, Balestriero and Levine 2026, "VISReg" (arXiv 2606.02572), the scale term. Deviations: a minute epsilon under
the root gives a complete collapse a gradient of zero where it would have none; moments are over all processes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.objectives.moments import global_variance

_EPSILON = 1e-12  # a floor of 1e-6 on the standard deviation: far below any that training passes through


def scale(z: Float[Tensor, "b g d"]) -> Float[Tensor, ""]:
    """Return the mean of (1 - std)² over groups and dimensions, with the population's standard deviation over samples.

    Example:
        >>> float(scale(torch.zeros(4, 1, 3)).round(decimals=5))
        1.0
    """
    with torch.autocast(z.device.type, enabled=False):
        z = z if z.dtype == torch.float64 else z.float()
        std = torch.sqrt(global_variance(z, is_unbiased=False) + _EPSILON)
        return (1 - std).square().mean()


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Regularize a space with `scale`."""

    def __call__(self, z: Float[Tensor, "b g d"], step: int) -> Float[Tensor, ""]:
        """Return the term; nothing is drawn, so `step` is not read."""
        return scale(z)
