"""Share what every multi-view image method has: an encoder of whole views, and a projector for the loss."""

import itertools
from collections.abc import Mapping

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from jepakit.jepa import EncodeThenIndex, Objective
from jepakit.nn import AdaptedEncoder, ConvNet, Projector, ResNet, ResNet9, SharedTarget, ViT
from jepakit.views import View


class MultiViewMethod(EncodeThenIndex):
    """Encode and project whole views with the same weights.

    Args:
        encoder: Maps a view to tokens; their mean is the embedding.
        projector_dims: Widths of the projector's layers, the last one the space of the loss.
        objective: What to minimise.
        seed: Seed of views and slices.
    """

    def __init__(
        self,
        encoder: ViT | ResNet | ResNet9 | ConvNet | AdaptedEncoder,
        projector_dims: tuple[int, ...],
        objective: Objective,
        seed: int,
    ):
        super().__init__(encoder, SharedTarget(encoder), objective, seed)
        self.projector = Projector(encoder.embedding_dim, projector_dims[:-1], projector_dims[-1])

    def embed(self, views: list[View]) -> Float[Tensor, "b v d"]:
        """Encode and project the views, those of one size in a single pass."""
        parts = []
        for _, same_size in itertools.groupby(views, key=lambda view: view.image.shape[-2:]):
            images = [view.image for view in same_size]
            z = self.projector(self.encode(rearrange(images, "v b c h w -> (b v) c h w").to(self.dtype)))
            parts.append(rearrange(z, "(b v) d -> b v d", v=len(images)))
        return torch.cat(parts, dim=1)

    def spaces(self, x: Float[Tensor, "b c h w"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return the encoder's tokens and the projected embedding of each whole image."""
        tokens = self.encoder(x)
        return {"encoder": tokens, "projector": self.projector(tokens.mean(dim=1)).unsqueeze(1)}
