"""Make random convolutional features: the floor of what a convolution's shape alone gives, with no learning at all."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError


def random_conv_features(
    dim: int, channels: int, patch_size: int = 5, pool: int = 2, seed: int = 0
) -> Callable[[Float[Tensor, "b c h w"]], Float[Tensor, "b d"]]:
    """Return an encoder of one random convolution, rectified both ways and averaged over quadrants.

    Filters are Gaussian with mean zero over their patch and unit norm, so that brightness alone excites none.

    Args:
        dim: Size of the features; a multiple of 2 * pool * pool.
        channels: Channels of the images.
        patch_size: Side of a filter in pixels.
        pool: Regions along each side over which responses are averaged.
        seed: Seed of the filters.

    Raises:
        UserError: `dim` is no such multiple.

    Source: Coates, Ng and Lee 2011, "An analysis of single-layer networks in unsupervised feature learning" (AISTATS),
    the random-filter baseline. Deviations: no whitening.
    """
    per_filter = 2 * pool * pool
    if dim % per_filter or dim < 1:
        raise UserError(f"Random features need a size that is a multiple of {per_filter}, got {dim}.")
    num_filters = dim // per_filter
    draws = Stream(seed, "random-conv").normal(0, torch.arange(num_filters), channels * patch_size**2)
    draws = draws - draws.mean(dim=1, keepdim=True)
    filters = (draws / draws.norm(dim=1, keepdim=True)).view(num_filters, channels, patch_size, patch_size)

    @torch.no_grad()
    def encode(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        response = F.conv2d(x, filters.to(x.device), padding=patch_size // 2)
        both = torch.cat((response.relu(), (-response).relu()), dim=1)
        return rearrange(F.adaptive_avg_pool2d(both, pool), "b c h w -> b (c h w)")

    return encode
