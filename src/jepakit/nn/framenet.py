"""Encode the frames of small worlds into one vector each: a few strided convolutions and a linear map."""

import itertools
from dataclasses import dataclass

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.resnet import channels_last
from jepakit.types import UserError

_STEM_KERNEL, _STEM_STRIDE = 8, 4


@dataclass(frozen=True, kw_only=True)
class FrameNetConfig:
    """Describe an encoder of frames.

    Args:
        image_size: Side of the frames in pixels.
        in_channels: Channels of the frames.
        widths: Channels of the stem (8x8 pixels, every 4) and of the 3x3 convolutions after it, each of stride 2.
        dim: Width of the embedding.
        normalise: Whether a LayerNorm is the last layer.

    Raises:
        UserError: The frames are too small for so many convolutions.
    """

    image_size: int = 65
    in_channels: int = 2
    widths: tuple[int, ...] = (32, 64, 64)
    dim: int = 256
    normalise: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if self.image_size < _STEM_KERNEL or not self.widths:
            raise UserError(f"A FrameNet needs frames of at least {_STEM_KERNEL} pixels and a width.")

    def build(self) -> "FrameNet":
        """Build the network with fresh weights."""
        return FrameNet(self)


class FrameNet(nn.Module):
    """Map frames to one token each.

    Attributes:
        embedding_dim: Width of the embedding.

    Source: our own; a cheap stand-in for the IMPALA network of EB-JEPA (arXiv 2602.03604), at a tenth of its work.
    """

    def __init__(self, config: FrameNetConfig):
        super().__init__()
        self.config = config
        self.embedding_dim = config.dim
        widths = config.widths
        stem = nn.Conv2d(config.in_channels, widths[0], _STEM_KERNEL, _STEM_STRIDE, padding=_STEM_KERNEL // 2)
        rest = [nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)]
        self.convolutions = nn.ModuleList([stem, *rest])
        side = (config.image_size + 2 * (_STEM_KERNEL // 2) - _STEM_KERNEL) // _STEM_STRIDE + 1
        for _ in rest:
            side = (side - 1) // 2 + 1
        self.linear = nn.Linear(widths[-1] * side**2, config.dim)
        self.norm = nn.LayerNorm(config.dim) if config.normalise else nn.Identity()

    def forward(
        self, x: Float[Tensor, "b c h w"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b 1 d"]:
        """Return the embedding of each frame as its only token.

        Raises:
            UserError: Part of a frame is asked for.
        """
        if context_idx is not None:
            raise UserError("FrameNet sees whole frames only; use a ViT to encode a part of each.")
        x = channels_last(x)
        for convolution in self.convolutions:
            x = F.gelu(convolution(x))
        z: Tensor = self.norm(self.linear(rearrange(x, "b c h w -> b (c h w)")))
        return z[:, None]
