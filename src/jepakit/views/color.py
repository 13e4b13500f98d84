"""Change the colours of a batch of images, each by its own factors, in one small matrix product.

Brightness, contrast, saturation, hue and gray are affine maps of a pixel's colour, so they merge, together with the
normalisation, into one matrix and one offset a sample. Deviations from torchvision's ColorJitter: the order is fixed
(brightness, contrast, saturation, hue) instead of drawn; hue turns the colour about the gray axis in YIQ space, keeping
luma, instead of in HSV; values are cut to the valid range once, after all of them.
"""

import math
from collections.abc import Mapping
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.views.preprocess import LUMA, constants

# rows: the in-phase and quadrature axes of NTSC's YIQ, whose first axis is luma
_CHROMA = ((0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))
COLOR = ("log_brightness", "log_contrast", "log_saturation", "hue", "gray")


@lru_cache(maxsize=16)
def hue_basis(device: torch.device) -> Float[Tensor, "3 3 3"]:
    """Return matrices L, A, B such that L + s (cos(t) A + sin(t) B) scales chroma by s and turns it by t."""
    yiq = torch.tensor((LUMA, *_CHROMA), dtype=torch.float64)
    back = torch.linalg.inv(yiq)
    turn = torch.zeros(3, 3, dtype=torch.float64)
    turn[1, 2], turn[2, 1] = 1.0, -1.0  # from red to yellow to green, as hue runs in HSV
    keep = torch.diag(torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64))
    luma = torch.diag(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64))
    return torch.stack([back @ part @ yiq for part in (luma, keep, turn)]).float().to(device)


def color_map(
    params: Mapping[str, Float[Tensor, " b"]], mean_color: Float[Tensor, "b c"]
) -> tuple[Float[Tensor, "b c c"], Float[Tensor, " b"]]:
    """Return each sample's colour matrix, and the offset that contrast adds to all its channels.

    Images without exactly three channels know brightness and contrast only, the latter about their mean value.

    Args:
        params: The parameters of `COLOR` by name.
        mean_color: Mean of each channel over the image, the centre of the contrast.
    """
    contrast = torch.exp(params["log_contrast"])
    brightness = torch.exp(params["log_brightness"])
    channels = mean_color.shape[1]
    if channels == 3:
        center = mean_color @ constants(LUMA, mean_color.device)
        chroma = torch.exp(params["log_saturation"]) * (1.0 - params["gray"])
        angle = 2.0 * math.pi * params["hue"]
        weight = torch.stack((torch.ones_like(chroma), chroma * torch.cos(angle), chroma * torch.sin(angle)), dim=1)
        matrix = torch.einsum("bk,kij->bij", weight, hue_basis(mean_color.device))
    else:
        center = mean_color.mean(dim=1)
        matrix = torch.eye(channels, device=mean_color.device).expand(mean_color.shape[0], -1, -1)
    return matrix * (contrast * brightness)[:, None, None], (1.0 - contrast) * brightness * center


def apply_color(
    x: Float[Tensor, "b c h w"],
    params: Mapping[str, Float[Tensor, " b"]],
    mean: Float[Tensor, "c 1 1"],
    std: Float[Tensor, "c 1 1"],
) -> Float[Tensor, "b c h w"]:
    """Change colours of pixels in [0, 255] and normalise, in one product; cut to the range of valid pixels."""
    b, c, h, w = x.shape
    matrix, offset = color_map(params, x.mean(dim=(2, 3)))
    scaled = matrix / (255.0 * std)[None, :, :, 0]
    bias = (offset[:, None, None] / 255.0 - mean[None, :, :, 0]) / std[None, :, :, 0]
    y = torch.baddbmm(bias, scaled, x.reshape(b, c, h * w)).view(b, c, h, w)
    return clamp_valid(y, mean, std)


def clamp_valid(
    x: Float[Tensor, "b c h w"], mean: Float[Tensor, "c 1 1"], std: Float[Tensor, "c 1 1"]
) -> Float[Tensor, "b c h w"]:
    """Cut normalised values to those that pixels in [0, 1] can have; changes `x` itself."""
    return x.clamp_(min=-mean / std, max=(1.0 - mean) / std)


def solarize(
    x: Float[Tensor, "b c h w"], chosen: Float[Tensor, " b"], mean: Float[Tensor, "c 1 1"], std: Float[Tensor, "c 1 1"]
) -> Float[Tensor, "b c h w"]:
    """Invert the pixels of at least 1/2 of the chosen normalised images."""
    middle = (0.5 - mean) / std
    return torch.where((chosen[:, None, None, None] > 0) & (x >= middle), 2.0 * middle - x, x)
