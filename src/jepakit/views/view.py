"""Name the parameters of a view, and tell one view's parameters in the frame of another.

A view maps a point u = (y, x) of the augmented image, measured from its centre in [-1/2, 1/2], to the source point

    c + R(rotation) diag(height, width) F(flip) u          measured from the source's centre

in units of sqrt(source height * source width): for square sources these are fractions of the side. The identity is
the zero vector, for sizes and colour factors are stored as logarithms.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

PARAMS = (
    "cy",  # centre of the crop from the centre of the source
    "cx",
    "log_height",  # sides of the crop
    "log_width",
    "flip",  # 1: mirrored left to right
    "rotation",  # of the content, counter-clockwise, in half turns
    "log_brightness",  # colour factors
    "log_contrast",
    "log_saturation",
    "hue",  # in turns
    "gray",  # 1: without colour
    "blur",  # standard deviation in pixels of the view
    "solarize",  # 1: bright pixels inverted
)


@dataclass(frozen=True)
class View:
    """Hold augmented samples as the encoder takes them, and the parameters of what was done to each.

    Args:
        image: Normalised images or clips, or what signals are laid out as.
        params: One row a sample, zero where nothing was done; named by the `params` of the views' rules.
        whole: The same views before anything was lost, where rules lose something: what targets are made of.
    """

    image: Float[Tensor, "b *t c h w"]
    params: Float[Tensor, "b p"]
    whole: Float[Tensor, "b *t c h w"] | None = None


def rotate(y: Tensor, x: Tensor, half_turns: Tensor) -> tuple[Tensor, Tensor]:
    """Return the source offset that content rotated by so many half turns, counter-clockwise, shows at (y, x)."""
    cos, sin = torch.cos(math.pi * half_turns), torch.sin(math.pi * half_turns)
    return cos * y + sin * x, cos * x - sin * y


def relative(params_from: Float[Tensor, "b p"], params_to: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
    """Return the second view's parameters in the frame of the first: what a predictor between them must be told.

    The box's centre is in units of the first view's sides and its size a ratio; flip is 1 where just one of them is
    mirrored; rotations are as seen in the first view; colour factors are ratios (logarithms subtract), hue the shorter
    way round; gray, blur and solarize are differences. Equal views give zeros.

    Returns:
        Parameters named by `PARAMS`.

    Example:
        >>> view = torch.rand(2, len(PARAMS))
        >>> bool((relative(view, view) == 0).all())
        True
    """
    a, b = (dict(zip(PARAMS, params.unbind(dim=1), strict=True)) for params in (params_from, params_to))
    difference = {name: b[name] - a[name] for name in PARAMS}
    mirror = 1.0 - 2.0 * a["flip"]
    dy, dx = rotate(difference["cy"], difference["cx"], -a["rotation"])
    told = difference | {
        "cy": dy * torch.exp(-a["log_height"]),
        "cx": dx * torch.exp(-a["log_width"]) * mirror,
        "flip": difference["flip"].abs(),
        "rotation": torch.remainder(difference["rotation"] + 1.0, 2.0).sub(1.0) * mirror,
        "hue": torch.remainder(difference["hue"] + 0.5, 1.0).sub(0.5),
    }
    return torch.stack([told[name] for name in PARAMS], dim=1)
