"""Encode a frame of a small world into three parts of one vector: what goes on, where to look, and what is where."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.types import UserError

_SHARPNESS = 0.3
"""Factor of how odd a place is: a thing of a few pixels, drawn in a rare colour, gets most of the attention."""

SIZE = 4.0
"""Factor of shares of attention in an embedding: where is looked matters about as much as a number of a body."""


@dataclass(frozen=True, kw_only=True)
class PlaceNetConfig:
    """Describe an encoder of frames.

    Args:
        image_size: Side of the frames in pixels.
        in_channels: Channels of the frames.
        patch_size: Side of a patch in pixels, a place of the map; frames are padded with zeros to whole patches.
        width: Numbers that describe a patch inside the network.
        body_dim: Numbers that tell what is going on in the frame as a whole.
        place_dim: Numbers that the map holds of each place.

    Raises:
        UserError: A patch is larger than the frames, or a number is not positive.
    """

    image_size: int = 64
    in_channels: int = 3
    patch_size: int = 8
    width: int = 64
    body_dim: int = 64
    place_dim: int = 8

    def __post_init__(self) -> None:
        sizes = (self.in_channels, self.patch_size, self.width, self.body_dim, self.place_dim)
        if min(sizes) < 1 or self.patch_size > self.image_size:
            raise UserError(f"A PlaceNet needs positive numbers and patches no larger than the frames, got {self}.")

    @property
    def side(self) -> int:
        """Return the places of a side of the map."""
        return -(-self.image_size // self.patch_size)

    def build(self) -> "PlaceNet":
        """Build the network with fresh weights."""
        return PlaceNet(self)


class PlaceNet(nn.Module):
    """Map frames to one token each: a body, a look, and a map.

    The body is `body_dim` numbers, normalised. The look is a softmax over places of how odd their pixels are: of the
    mean square of normalised pixels, which is large where colours are rare. It has nothing to learn, so that it cannot
    collapse onto places that are easy to predict, as learned attention did (docs/log.md). The map is normalised in each
    place, and has no numbers that say which place it is: where things are is told by the order of places, so that a
    predictor which looks something up in it knows it anywhere (`PlaceDynamics`).

    Attributes:
        embedding_dim: Width of the embedding.
        moving_dim: Numbers of it before the map: body and look.
        norm: Normalises a body and leaves what comes after it as it is.

    Source: our own.
    """

    def __init__(self, config: PlaceNetConfig):
        super().__init__()
        self.config, width, side = config, config.width, config.side
        self.moving_dim = config.body_dim + side**2
        self.embedding_dim = self.moving_dim + side**2 * config.place_dim
        self.padding = side * config.patch_size - config.image_size
        self.stem = nn.Linear(config.in_channels * config.patch_size**2, width)
        self.around = nn.Conv2d(width, width, 3, padding=1)
        self.body = nn.Linear(width * side**2, config.body_dim)
        self.place = nn.Linear(width, config.place_dim)
        self.norm = BodyNorm(config.body_dim)

    def forward(
        self, x: Float[Tensor, "b c h w"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b 1 d"]:
        """Return the embedding of each frame as its only token.

        Raises:
            UserError: Part of a frame is asked for.
        """
        if context_idx is not None:
            raise UserError("PlaceNet sees whole frames only; use a ViT to encode a part of each.")
        x, side = F.pad(x, (0, self.padding, 0, self.padding)), self.config.patch_size
        pixels = rearrange(x, "b c (h p) (w q) -> b h w (c p q)", p=side, q=side)
        look = SIZE * (_SHARPNESS * pixels.square().mean(-1).flatten(1)).softmax(dim=1)
        patches = F.gelu(self.stem(pixels))
        around = F.gelu(self.around(rearrange(patches, "b h w c -> b c h w")))  # a view: channels lie last
        around = rearrange(around, "b c h w -> b (h w) c")
        body = self.body(around.flatten(1))
        places = F.layer_norm(self.place(around), (self.config.place_dim,))
        z: Tensor = self.norm(torch.cat((body, look.to(body.dtype), places.flatten(1).to(body.dtype)), dim=1))
        return z[:, None]


class BodyNorm(nn.LayerNorm):
    """Normalise the first numbers of an embedding and leave the others as they are."""

    def forward(self, z: Float[Tensor, "*k d"]) -> Float[Tensor, "*k d"]:
        """Return embeddings with a normalised body."""
        dim = self.normalized_shape[0]
        body: Tensor = super().forward(z[..., :dim])
        return torch.cat((body, z[..., dim:].to(body.dtype)), dim=-1)
