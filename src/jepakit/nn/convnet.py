"""Encode small images with a plain, shallow convolutional network: what learns most in minutes on a few CPU cores.

No residuals, no strides but the stem's: 4x4 patches every 2 pixels, then 3x3 convolutions, some followed by a 2x2
max-pool. The stem begins as cosines of space and colour, along which natural patches are nearly uncorrelated. Per
second of training on a CPU it reached further than the residual networks (docs/log.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.batchnorm import BatchNorm
from jepakit.nn.resnet import WholeImageEncoder, channels_last, init_convolutions
from jepakit.nn.stem import cosine_filters
from jepakit.types import UserError

_STEM_KERNEL = 4


@dataclass(frozen=True, kw_only=True)
class ConvNetConfig:
    """Describe a plain convolutional network.

    Args:
        stem_width: Channels of the stem, which halves the image.
        widths: Channels of each 3x3 convolution after it; the last is the embedding's.
        pools: Whether a 2x2 max-pool follows each of them.
        in_channels: Channels of the images.

    Raises:
        UserError: There is no convolution, or not one pool for each.
    """

    stem_width: int = 64
    widths: tuple[int, ...] = (64, 128, 128, 256)
    pools: tuple[bool, ...] = (True, False, True, False)
    in_channels: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "pools", tuple(self.pools))
        if not self.widths or len(self.widths) != len(self.pools):
            raise UserError(
                f"a ConvNet needs at least one width and a pool (or none) after each, got widths={self.widths} and "
                f"pools={self.pools}."
            )

    def build(self) -> "ConvNet":
        """Build the network with fresh weights."""
        return ConvNet(self.stem_width, self.widths, self.pools, self.in_channels)


class ConvNet(WholeImageEncoder):
    """Map small images to the places of the last feature map; the arguments are those of `ConvNetConfig`.

    Attributes:
        embedding_dim: Channels of the last map.

    Source: our own arrangement of VGG's convolutions (Simonyan and Zisserman 2014, arXiv 1409.1556) with BatchNorm and
    GELU (Hendrycks and Gimpel 2016, arXiv 1606.08415); the max-pool comes before both, which then work on a quarter of
    the places. The stem begins as cosines, positive and negative, in place of noise: these are nearly the principal
    axes of natural patches (Ahmed, Natarajan and Rao 1974, "Discrete cosine transform"), and BatchNorm gives
    them one size.
    """

    def __init__(
        self,
        stem_width: int = 64,
        widths: Sequence[int] = (64, 128, 128, 256),
        pools: Sequence[bool] = (True, False, True, False),
        in_channels: int = 3,
    ):
        super().__init__()
        self.config = ConvNetConfig(
            stem_width=stem_width, widths=tuple(widths), pools=tuple(pools), in_channels=in_channels
        )
        self.embedding_dim = widths[-1]
        self.stem = _Unit(in_channels, stem_width, kernel=_STEM_KERNEL, stride=2, pool=False)
        sizes = zip((stem_width, *widths), widths, pools, strict=False)
        self.units = nn.Sequential(
            *(_Unit(before, after, kernel=3, stride=1, pool=pool) for before, after, pool in sizes)
        )
        init_convolutions(self)
        with torch.no_grad():
            filters = cosine_filters(in_channels, _STEM_KERNEL, _STEM_KERNEL)[: stem_width // 2]
            self.stem.conv.weight[: 2 * len(filters)] = torch.cat((filters, -filters))

    def feature_map(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Return the last feature map.

        Raises:
            UserError: An image is so small that nothing is left of it.
        """
        halved = 1 + sum(self.config.pools)
        least = 2**halved
        if min(x.shape[-2:]) < least:
            raise UserError(
                f"this ConvNet halves images {halved} times, so it needs {least} pixels a side (in a sound bands "
                f"and frames), got {x.shape[-2]}x{x.shape[-1]}; give larger ones, or pool less."
            )
        z: Tensor = self.units(self.stem(channels_last(x)))
        return z


class _Unit(nn.Module):
    """Apply a convolution, perhaps a 2x2 max-pool, BatchNorm and GELU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, pool: bool):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.bn = BatchNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.bn(self.pool(self.conv(x))))
