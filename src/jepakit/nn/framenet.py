"""Encode the frames of small worlds into one vector each: patches, one convolution over them, and a linear map."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class FrameNetConfig:
    """Describe an encoder of frames.

    Args:
        image_size: Side of the frames in pixels.
        in_channels: Channels of the frames.
        patch_size: Side of a patch in pixels; frames are padded with zeros to whole patches.
        width: Numbers that describe a patch.
        dim: Width of the embedding.
        normalise: Whether a LayerNorm is the last layer.

    Raises:
        UserError: A patch is larger than the frames, or a number is not positive.
    """

    image_size: int = 65
    in_channels: int = 2
    patch_size: int = 8
    width: int = 64
    dim: int = 128
    normalise: bool = True

    def __post_init__(self) -> None:
        if min(self.in_channels, self.patch_size, self.width, self.dim) < 1 or self.patch_size > self.image_size:
            raise UserError(f"A FrameNet needs positive numbers and patches no larger than the frames, got {self}.")

    def build(self) -> "FrameNet":
        """Build the network with fresh weights."""
        return FrameNet(self)


class FrameNet(nn.Module):
    """Map frames to one token each.

    Attributes:
        embedding_dim: Width of the embedding.

    Source: our own; a cheap stand-in for the IMPALA network of EB-JEPA (arXiv 2602.03604), at a thirtieth of its work:
    patches do not overlap, so that the first layer is one product of matrices.
    """

    def __init__(self, config: FrameNetConfig):
        super().__init__()
        self.config = config
        self.embedding_dim = config.dim
        side = -(-config.image_size // config.patch_size)
        self.padding = side * config.patch_size - config.image_size
        self.stem = nn.Linear(config.in_channels * config.patch_size**2, config.width)
        self.convolution = nn.Conv2d(config.width, config.width, 3, stride=2, padding=1)
        self.linear = nn.Linear(config.width * ((side + 1) // 2) ** 2, config.dim)
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
        if torch.is_autocast_enabled(x.device.type):  # the stem would cast patches; whole frames cast and pad faster
            x = x.to(torch.get_autocast_dtype(x.device.type))
        x = F.pad(x, (0, self.padding, 0, self.padding))
        side = self.config.patch_size
        patches = F.gelu(self.stem(rearrange(x, "b c (h p) (w q) -> b h w (c p q)", p=side, q=side)))
        places = F.gelu(self.convolution(rearrange(patches, "b h w c -> b c h w")))  # a view: channels lie last
        z: Tensor = self.norm(self.linear(rearrange(places, "b c h w -> b (h w c)")))
        return z[:, None]
