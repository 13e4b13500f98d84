"""Encode frames with IMPALA's residual convolutional network: the published encoder of EB-JEPA and PLDM."""

from dataclasses import dataclass
from itertools import pairwise

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.types import UserError


@dataclass(frozen=True, kw_only=True)
class ImpalaConfig:
    """Describe the network.

    Args:
        image_size: Side of the frames in pixels.
        in_channels: Channels of the frames.
        widths: Channels of each stack, which halves the side.
        num_blocks: Residual blocks of a stack.
        dim: Width of the embedding.

    Raises:
        UserError: There is no stack, or a size is below 1.
    """

    image_size: int = 65
    in_channels: int = 2
    widths: tuple[int, ...] = (16, 32, 32)
    num_blocks: int = 2
    dim: int = 512

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not self.widths or min(*self.widths, self.image_size, self.in_channels, self.dim) < 1 or self.num_blocks < 0:
            raise UserError(f"IMPALA's network needs a stack and sizes of at least 1, got {self}.")

    def build(self) -> "Impala":
        """Build the network with fresh weights."""
        return Impala(self)


class Impala(nn.Module):
    """Map frames to one token each.

    Attributes:
        embedding_dim: Width of the embedding.

    Source: Espeholt et al. 2018, IMPALA (arXiv 1802.01561), figure 3, as in EB-JEPA (arXiv 2602.03604), which applies
    ReLU after a block's sum and not before its convolutions. Deviations: none.
    """

    def __init__(self, config: ImpalaConfig):
        super().__init__()
        self.config = config
        self.embedding_dim = config.dim
        stages = pairwise((config.in_channels, *config.widths))
        self.stacks = nn.ModuleList(Stack(before, after, config.num_blocks) for before, after in stages)
        side = config.image_size
        for _ in config.widths:
            side = (side - 1) // 2 + 1
        self.linear = nn.Linear(config.widths[-1] * side**2, config.dim)
        self.norm = nn.LayerNorm(config.dim)

    def forward(
        self, x: Float[Tensor, "b c h w"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b 1 d"]:
        """Return the embedding of each frame as its only token.

        Raises:
            UserError: Part of a frame is asked for.
        """
        if context_idx is not None:
            raise UserError("IMPALA's network sees whole frames only; use a ViT to encode a part of each.")
        for stack in self.stacks:
            x = stack(x)
        z: Tensor = self.norm(self.linear(F.relu(x).flatten(1)))
        return z[:, None]


class Stack(nn.Module):
    """Convolve, halve the side by the largest of 3x3, and apply residual blocks."""

    def __init__(self, in_channels: int, channels: int, num_blocks: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        pairs = [[nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2)] for _ in range(num_blocks)]
        self.blocks = nn.ModuleList(nn.Sequential(first, nn.ReLU(), second) for first, second in pairs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Return the maps after the stack."""
        x = F.max_pool2d(self.conv(x), 3, stride=2, padding=1)
        for block in self.blocks:
            x = F.relu(block(x) + x)
        return x
