"""Draw frames from embeddings: a linear map, then convolutions whose channels become pixels, coarse to fine."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.types import UserError

_ENLARGED = 16  # twice by 2, then by 4, as FrameNet makes smaller


@dataclass(frozen=True, kw_only=True)
class FrameDecoderConfig:
    """Describe a decoder of frames.

    Args:
        widths: Channels of the three maps from coarse to fine.

    Raises:
        UserError: There are not three widths.
    """

    widths: tuple[int, ...] = (64, 64, 32)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if len(self.widths) != 3 or min(self.widths) < 1:
            raise UserError(f"A FrameDecoder has three widths of at least 1, got {self.widths}.")

    def build(self, embedding_dim: int, image_size: int, channels: int) -> "FrameDecoder":
        """Build the network with fresh weights."""
        return FrameDecoder(self, embedding_dim, image_size, channels)


class FrameDecoder(nn.Module):
    """Map embeddings to normalised frames; channels become pixels, which is faster than transposed convolutions.

    Args:
        config: The widths.
        embedding_dim: Width of the embeddings.
        image_size: Side of the frames in pixels.
        channels: Channels of the frames.
    """

    def __init__(self, config: FrameDecoderConfig, embedding_dim: int, image_size: int, channels: int):
        super().__init__()
        self.image_size = image_size
        self.side = -(-image_size // _ENLARGED)
        coarse, middle, fine = config.widths
        self.linear = nn.Linear(embedding_dim, coarse * self.side**2)
        self.up1 = nn.Conv2d(coarse, 4 * middle, 3, padding=1)
        self.up2 = nn.Conv2d(middle, 4 * fine, 3, padding=1)
        self.up3 = nn.Conv2d(fine, 16 * channels, 3, padding=1)

    def forward(self, z: Float[Tensor, "b d"]) -> Float[Tensor, "b c h w"]:
        """Draw each embedding; what exceeds the frame's size is cut off at the right and below."""
        x = F.gelu(self.linear(z)).unflatten(1, (-1, self.side, self.side))
        x = F.gelu(F.pixel_shuffle(self.up1(x), 2))
        x = F.gelu(F.pixel_shuffle(self.up2(x), 2))
        x = F.pixel_shuffle(self.up3(x), 4)
        return x[..., : self.image_size, : self.image_size]
