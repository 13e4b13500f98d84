"""Resample a batch of images, each by its own crop, flip, rotation and blur, with no loop over samples.

Without rotation a crop is separable: one small matrix a sample and axis, so two batched matrix products crop, flip,
resize with antialiasing, and blur, for blur is a matrix too. On small images that is faster than `grid_sample`, which
serves rotations only.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

_EDGE = 1e-3  # pixels; a box that ends at a pixel's edge must not take in the next pixel through rounding
_MAX_SUPERSAMPLING = 8


def crop_weights(
    center: Float[Tensor, " b"],
    length: Float[Tensor, " b"],
    direction: Float[Tensor, " b"] | None,
    num_in: int,
    num_out: int,
    reflect: bool,
) -> Float[Tensor, "b i j"]:
    """Return, per sample, the matrix (out, in) that crops and resizes one axis with an antialiased triangle filter.

    On a box of whole pixels it equals `torch.nn.functional.interpolate(mode="bilinear", antialias=True)` on the crop:
    the filter widens when the crop shrinks and sees no pixel outside the box. Boxes may lie between pixels.

    Args:
        center: Centre of the box in pixels from the start of the axis.
        length: Length of the box in pixels.
        direction: -1 for mirrored samples, else 1; None if none is mirrored.
        num_in: Pixels of the source along the axis.
        num_out: Pixels of the result.
        reflect: Whether boxes may reach beyond the source, which then continues as its mirror image.
    """
    offset = (torch.arange(num_out, device=center.device) + (0.5 - num_out / 2)) / num_out
    scale = length / num_out
    step = length if direction is None else length * direction
    position = (center[:, None] + offset * step[:, None])[..., None]
    slope = scale.clamp(min=1.0).reciprocal()[:, None, None]
    low, high = (center - length / 2 + _EDGE)[:, None], (center + length / 2 - _EDGE)[:, None]
    pixel = torch.arange(num_in, device=center.device) + 0.5
    weights = None
    for image in (pixel, -pixel, 2 * num_in - pixel) if reflect else (pixel,):
        inside = ((image + 0.5 > low) & (image - 0.5 < high))[:, None]
        triangle = (image - position).abs_().mul_(slope).neg_().add_(1.0).clamp_(min=0.0).mul_(inside)
        weights = triangle if weights is None else weights.add_(triangle)
    assert weights is not None
    return weights.div_(weights.sum(dim=-1, keepdim=True))


def blur_weights(sigma: Float[Tensor, " b"], num: int) -> Float[Tensor, "b j j"]:
    """Return, per sample, the matrix that blurs one axis with a Gaussian cut off at the border; sigma 0 is identity."""
    pixel = torch.arange(num, device=sigma.device)
    squared = ((pixel[:, None] - pixel) ** 2).float()
    weights = torch.exp(squared * (-0.5 / sigma.clamp(min=1e-2) ** 2)[:, None, None])
    return weights.div_(weights.sum(dim=-1, keepdim=True))


def resample(
    x: Float[Tensor, "b c h w"], rows: Float[Tensor, "b i h"], columns: Float[Tensor, "b j w"]
) -> Float[Tensor, "b c i j"]:
    """Apply each sample's two axis matrices to all its channels."""
    b, c, h, w = x.shape
    across = torch.bmm(x.reshape(b, c * h, w), columns.transpose(1, 2)).view(b, c, h, columns.shape[1])
    return torch.matmul(rows[:, None], across)


def affine_sample(
    x: Float[Tensor, "b c h w"],
    center: tuple[Tensor, Tensor],
    lengths: tuple[Tensor, Tensor],
    mirror: Float[Tensor, " b"],
    rotation: Float[Tensor, " b"],
    num_out: int,
) -> Float[Tensor, "b c s s"]:
    """Crop, mirror and rotate in one bilinear `grid_sample`; beyond the border the source continues mirrored.

    Strong shrinking is antialiased by supersampling: where the source is at least 1.5 times larger than the result,
    so many more points are sampled along each axis and averaged. The factor follows from the shapes alone.

    Args:
        x: Source images.
        center: Centre of the box (y, x) in pixels from the top left.
        lengths: Sides (height, width) of the box in pixels.
        mirror: -1 for mirrored samples, else 1.
        rotation: Angle of the content, counter-clockwise, in radians.
        num_out: Side of the result.
    """
    h, w = x.shape[-2:]
    factor = min(max(round(max(h, w) / num_out), 1), _MAX_SUPERSAMPLING)
    points = num_out * factor
    cos, sin = torch.cos(rotation), torch.sin(rotation)
    # grid_sample counts from -1 to 1 over the source, affine_grid over the result
    rows = (
        torch.stack((cos * lengths[1] * mirror / w, -sin * lengths[0] / w, 2 * center[1] / w - 1), dim=1),
        torch.stack((sin * lengths[1] * mirror / h, cos * lengths[0] / h, 2 * center[0] / h - 1), dim=1),
    )
    grid = F.affine_grid(torch.stack(rows, dim=1), [x.shape[0], x.shape[1], points, points], align_corners=False)
    sampled = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return F.avg_pool2d(sampled, factor) if factor > 1 else sampled
