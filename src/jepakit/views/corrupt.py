"""Corrupt images, for measuring how an encoder trained on clean ones fares: five severities of four kinds.

Every corruption is a function of (kind, severity, sample id, seed): an image is corrupted alike in whatever batch it
is, and a higher severity uses the same draws (louder noise, a larger block, further patches dropped).

Source: the five severities follow Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common
corruptions and perturbations" (arXiv 1903.12261), noise with their ImageNet values. Deviations: blur is relative to
the image's side, so that it means the same on small images; occlusion and patch drop are ours.
"""

import math

import torch
from einops import repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.views.color import clamp_valid
from jepakit.views.geometry import blur_weights, resample
from jepakit.views.preprocess import full_precision, per_channel
from jepakit.views.severity import level_of

SEVERITIES: dict[str, tuple[float, float, float, float, float]] = {
    "noise": (0.08, 0.12, 0.18, 0.26, 0.38),  # standard deviation on pixel values in [0, 1]
    "blur": (0.01, 0.02, 0.03, 0.045, 0.06),  # standard deviation as a fraction of the image's longer side
    "occlusion": (0.1, 0.2, 0.3, 0.4, 0.5),  # fraction of the area under one gray block of the image's shape
    "patch_drop": (0.1, 0.3, 0.5, 0.7, 0.9),  # fraction of the patches made gray
}
CORRUPTIONS = tuple(SEVERITIES)


@torch.no_grad()
def corrupt(
    kind: str,
    x: Float[Tensor, "b c h w"],
    severity: int,
    ids: Int[Tensor, " b"],
    seed: int = 0,
    *,
    mean: tuple[float, ...] = (0.0,),
    std: tuple[float, ...] = (1.0,),
    grid: tuple[int, int] = (8, 8),
) -> Float[Tensor, "b c h w"]:
    """Return corrupted copies of images.

    Args:
        kind: One of `CORRUPTIONS`.
        x: Images in [0, 1], or normalised by `mean` and `std`.
        severity: From 1 to 5, see `SEVERITIES`.
        ids: The samples' ids, on which their draws depend.
        seed: Seed of the draws.
        mean: What was subtracted from pixels in [0, 1], one value or one a channel.
        std: By what they were then divided.
        grid: Rows and columns of patches, for `patch_drop`; take the encoder's own.

    Raises:
        UserError: The kind or severity is unknown, or the image cannot be cut into `grid`.
    """
    level = level_of("images", SEVERITIES, kind, severity)
    b, c, h, w = x.shape
    shift, scale = (per_channel(values, c, x.device) for values in (mean, std))
    if kind == "noise":
        noise = Stream(seed, "corrupt/noise").normal(0, ids, c * h * w).view_as(x)
        return clamp_valid(x + noise * (level / scale), shift, scale)
    if kind == "blur":
        sigma = torch.full((b,), level * max(h, w), device=x.device)
        with full_precision(x.device):
            return resample(x, blur_weights(sigma, h), blur_weights(sigma, w))
    hidden = _block(level, ids, seed, (h, w)) if kind == "occlusion" else _dropped(severity, ids, seed, grid, (h, w))
    return torch.where(hidden[:, None], (0.5 - shift) / scale, x)


def kept_patches(severity: int, ids: Int[Tensor, " b"], grid: tuple[int, int], seed: int = 0) -> Int[Tensor, "b k"]:
    """Return the raster indices of the patches that `patch_drop` leaves, for encoders that truly drop tokens.

    Raises:
        UserError: The severity is not from 1 to 5, or the grid has a single patch.
    """
    return _patch_order(ids, grid, seed)[:, : _num_kept(severity, grid)].sort(dim=1).values


def _num_kept(severity: int, grid: tuple[int, int]) -> int:
    num_patches = grid[0] * grid[1]
    require(num_patches > 1, f"Dropping patches needs more than one patch, but the grid is {grid}.")
    return max(num_patches - round(level_of("images", SEVERITIES, "patch_drop", severity) * num_patches), 1)


def _patch_order(ids: Int[Tensor, " b"], grid: tuple[int, int], seed: int) -> Int[Tensor, "b n"]:
    """Return each sample's patches in the order in which rising severities would keep them last to first."""
    return Stream(seed, "corrupt/patch_drop").bits(0, ids, grid[0] * grid[1]).argsort(dim=1, stable=True)


def _dropped(
    severity: int, ids: Int[Tensor, " b"], seed: int, grid: tuple[int, int], size: tuple[int, int]
) -> Bool[Tensor, "b h w"]:
    require(
        size[0] % grid[0] == 0 and size[1] % grid[1] == 0,
        f"An image of {size[0]}x{size[1]} pixels cannot be cut into a grid of {grid[0]}x{grid[1]} equal patches; "
        "give the grid of the encoder.",
    )
    dropped = torch.ones(ids.shape[0], grid[0] * grid[1], dtype=torch.bool, device=ids.device)
    dropped = dropped.scatter(1, kept_patches(severity, ids, grid, seed), False).view(-1, *grid)
    return repeat(dropped, "b i j -> b (i h) (j w)", h=size[0] // grid[0], w=size[1] // grid[1])


def _block(area: float, ids: Int[Tensor, " b"], seed: int, size: tuple[int, int]) -> Bool[Tensor, "b h w"]:
    """Return which pixels lie under one block of this share of the area, somewhere inside the image."""
    u = Stream(seed, "corrupt/occlusion").uniform(0, ids, 2)
    inside = []
    for axis, side in enumerate(size):
        length = max(round(math.sqrt(area) * side), 1)
        start = torch.floor(u[:, axis] * (side - length + 1))[:, None]
        pixel = torch.arange(side, device=ids.device)
        inside.append((pixel >= start) & (pixel < start + length))
    return inside[0][:, :, None] & inside[1][:, None, :]
