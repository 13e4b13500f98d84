"""Encode images with residual convolutional networks; the tokens are the places of the last feature map.

The mean over tokens is global average pooling. A convolution mixes neighbours, so these networks cannot be kept from
seeing a patch: they serve methods that encode whole views (LeJEPA, VICReg), not those that hide first.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.batchnorm import BatchNorm
from jepakit.types import UserError

Stem = Literal["small", "standard"]


class WholeImageEncoder(nn.Module, ABC):
    """Turn the last feature map of a convolutional network into tokens, one a place, row by row."""

    @abstractmethod
    def feature_map(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Return the last feature map."""

    def forward(
        self, x: Float[Tensor, "b c h w"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b n d"]:
        """Return the places of the last feature map.

        Raises:
            UserError: If `context_idx` is given: convolutions mix neighbouring patches.
        """
        if context_idx is not None:
            raise UserError(
                f"{type(self).__name__} mixes neighbouring patches, so it cannot encode a part of them (context_idx); "
                "use a ViT for methods that hide patches, or a method that encodes whole views."
            )
        return rearrange(self.feature_map(x), "b d h w -> b (h w) d")


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """Describe a ResNet of basic blocks; (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) ResNet-34.

    Args:
        num_blocks: Blocks of each stage; each stage after the first halves the map and doubles the width.
        width: Channels of the first stage, 64 in the published networks.
        in_channels: Channels of the images.
        stem: "small" is one 3x3 convolution, for images of about 32 to 96 pixels; "standard" is 7x7 with stride 2 and a
            max-pool, for 224.
        zero_init_residual: Whether each block starts as the identity (its last BatchNorm's scale is 0).

    Raises:
        UserError: If the stem is unknown or a stage is empty.
    """

    num_blocks: tuple[int, ...] = (2, 2, 2, 2)
    width: int = 64
    in_channels: int = 3
    stem: Stem = "small"
    zero_init_residual: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_blocks", tuple(self.num_blocks))
        if self.stem not in get_args(Stem):
            raise UserError(f"stem must be one of {', '.join(get_args(Stem))}, got {self.stem!r}.")
        if not self.num_blocks or min(self.num_blocks) < 1:
            raise UserError(f"each stage of a ResNet needs a block, got num_blocks={self.num_blocks}.")

    def build(self) -> "ResNet":
        """Build the network with fresh weights."""
        return ResNet(self.num_blocks, self.width, self.in_channels, self.stem, self.zero_init_residual)


class ResNet(WholeImageEncoder):
    """Map images to the places of the last feature map; the arguments are those of `ResNetConfig`, kept as `config`.

    Parameter names are torchvision's, so that its weights load (without `fc`) where the stem is "standard".

    Attributes:
        embedding_dim: Channels of the last map.

    Source: He et al. 2015 (arXiv 1512.03385); zero-init after Goyal et al. 2017 (arXiv 1706.02677), section 5.1; the
    small stem after He et al., section 4.2. Deviations: none.
    """

    def __init__(
        self,
        num_blocks: Sequence[int] = (2, 2, 2, 2),
        width: int = 64,
        in_channels: int = 3,
        stem: Stem = "small",
        zero_init_residual: bool = True,
    ):
        super().__init__()
        self.config = ResNetConfig(
            num_blocks=tuple(num_blocks),
            width=width,
            in_channels=in_channels,
            stem=stem,
            zero_init_residual=zero_init_residual,
        )
        kernel, stride = (3, 1) if stem == "small" else (7, 2)
        self.conv1 = nn.Conv2d(in_channels, width, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = BatchNorm(width)
        self.maxpool = nn.Identity() if stem == "small" else nn.MaxPool2d(3, stride=2, padding=1)
        self.stage_names = tuple(f"layer{number}" for number in range(1, len(num_blocks) + 1))
        channels = width
        for number, name in enumerate(self.stage_names):
            out_channels = width * 2**number
            blocks = [BasicBlock(channels, out_channels, stride=1 if number == 0 else 2)]
            blocks += [BasicBlock(out_channels, out_channels) for _ in range(num_blocks[number] - 1)]
            self.add_module(name, nn.Sequential(*blocks))
            channels = out_channels
        self.embedding_dim = channels
        init_convolutions(self)
        if zero_init_residual:
            for block in self.modules():
                if isinstance(block, BasicBlock):
                    nn.init.zeros_(block.bn2.weight)

    def feature_map(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Return the last feature map."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for name in self.stage_names:
            x = self.get_submodule(name)(x)
        return x


class BasicBlock(nn.Module):
    """Apply two 3x3 convolutions around a residual, with a 1x1 convolution on it where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = BatchNorm(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), BatchNorm(out_channels)
            )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Return the feature map after the block."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x))


@dataclass(frozen=True, kw_only=True)
class ResNet9Config:
    """Describe a ResNet-9: `width` channels at the stem, 8 times as many at the end (64 in the original)."""

    width: int = 64
    in_channels: int = 3
    zero_init_residual: bool = True

    def build(self) -> "ResNet9":
        """Build the network with fresh weights."""
        return ResNet9(self.width, self.in_channels, self.zero_init_residual)


class ResNet9(WholeImageEncoder):
    """Map small images to the places of an 8 times smaller feature map, with little computation.

    Stem, then three stages that double the width and halve the map; a residual pair of convolutions follows the first
    and the last.

    Attributes:
        embedding_dim: Channels of the last map, 8 * width.

    Source: D. Page 2018, "How to train your ResNet" (the DAWNBench entry for CIFAR-10). Deviations: the max-pool comes
    before BatchNorm and ReLU, which then work on a quarter of the places; no classifier.
    """

    def __init__(self, width: int = 64, in_channels: int = 3, zero_init_residual: bool = True):
        super().__init__()
        self.config = ResNet9Config(width=width, in_channels=in_channels, zero_init_residual=zero_init_residual)
        self.embedding_dim = 8 * width
        self.stem = _Unit(in_channels, width, pool=False)
        self.stage1 = _Unit(width, 2 * width, pool=True)
        self.residual1 = nn.Sequential(_Unit(2 * width, 2 * width, pool=False), _Unit(2 * width, 2 * width, pool=False))
        self.stage2 = _Unit(2 * width, 4 * width, pool=True)
        self.stage3 = _Unit(4 * width, 8 * width, pool=True)
        self.residual2 = nn.Sequential(_Unit(8 * width, 8 * width, pool=False), _Unit(8 * width, 8 * width, pool=False))
        init_convolutions(self)
        if zero_init_residual:
            for pair in (self.residual1, self.residual2):
                nn.init.zeros_(pair.get_submodule("1.bn").get_parameter("weight"))

    def feature_map(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """Return the last feature map."""
        x = self.stage1(self.stem(channels_last(x)))
        x = self.stage3(self.stage2(x + self.residual1(x)))
        return x + self.residual2(x)


class _Unit(nn.Module):
    """Apply a 3x3 convolution, perhaps a 2x2 max-pool, BatchNorm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int, pool: bool):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()
        self.bn = BatchNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.pool(self.conv(x))))


def channels_last(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return the images with the channels of a pixel side by side, in which CPU and GPU convolve faster.

    The small networks do so (ResNet-9 trains 1.3 times as fast); `ResNet` does not, because torch's BatchNorm then sums
    its gradients one after the other on CPUs: 1e-5 of their norm is lost in float32, against 1e-6.
    """
    return x.contiguous(memory_format=torch.channels_last)


def init_convolutions(module: nn.Module) -> None:
    """Draw every convolution's weights as He et al. 2015 (arXiv 1502.01852) do, by the width of its output."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
