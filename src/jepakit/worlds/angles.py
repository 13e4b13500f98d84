"""Turn places by angles and bring angles back to one turn."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def wrapped(angle: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the same directions as angles in [-pi, pi), in radians."""
    return torch.remainder(angle + math.pi, 2.0 * math.pi) - math.pi


def turned(angle: Float[Tensor, " b"], place: Float[Tensor, "*b 2"]) -> Float[Tensor, "b 2"]:
    """Return places turned about the origin, from x towards y."""
    cos, sin = angle.cos(), angle.sin()
    x, y = place.unbind(-1)
    return torch.stack((cos * x - sin * y, sin * x + cos * y), dim=-1)
