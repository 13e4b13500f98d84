"""Pixel prediction: the same masks, encoder and predictor, but the raw pixels of the hidden patches as targets.

    s_x   = encoder(visible patches)
    y     = pixels of a hidden patch, standardised within the patch
    loss  = mean squared error(linear(predictor(s_x, positions)), y)

It stands here so that "predict the representation, not the raw input" is something a user can measure: everything
but the target is shared with the JEPAs of this folder.

Source: He et al. 2021, "Masked Autoencoders Are Scalable Vision Learners" (arXiv 2111.06377). Deviations: the decoder
is I-JEPA's predictor, which sees the same context; masks and views are whatever the recipe gives the JEPA beside it.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.jepa import Objective
from jepakit.methods.masked import MaskedConfig, MaskedImageMethod
from jepakit.nn import Target
from jepakit.objectives import DISTANCES
from jepakit.random import seeded_init


@dataclass(frozen=True, kw_only=True)
class PixelsConfig(MaskedConfig):
    """Describe a pixel-predicting method; the shared parts are `MaskedConfig`'s.

    Args:
        standardise: Whether each target patch is standardised by its own mean and deviation (the paper's better form).
    """

    standardise: bool = True

    def build(self, seed: int, num_steps: int) -> "Pixels":
        """Build the method with fresh weights drawn from `seed`; the length of training changes nothing."""
        with seeded_init(seed, "weights"):
            return Pixels(self, seed)


class PatchTarget(Target):
    """Give the raw pixels of each patch as its target; it has no weights.

    Args:
        patch_size: Height and width of a patch.
        standardise: Whether each patch is standardised by its own mean and deviation.
    """

    shared = True

    def __init__(self, patch_size: tuple[int, int], standardise: bool):
        super().__init__()
        self.patch_size = patch_size
        self.standardise = standardise

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n d"]:
        """Cut images into patches of c * h * w numbers."""
        height, width = self.patch_size
        patches = rearrange(x, "b c (gh h) (gw w) -> b (gh gw) (c h w)", h=height, w=width)
        if not self.standardise:
            return patches
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True, correction=0)
        return (patches - mean) * torch.rsqrt(variance + 1e-6)


class Pixels(MaskedImageMethod):
    """Predict the raw pixels of hidden patches."""

    config_class = PixelsConfig

    def __init__(self, config: PixelsConfig, seed: int):
        encoder = config.encoder.build()
        target = PatchTarget(encoder.patch_size, config.standardise)
        super().__init__(config, encoder, target, Objective(DISTANCES["mse"]), seed)
        self.predictor = PixelHead(self.predictor, encoder.embedding_dim, encoder.patch_embed.in_features)


class PixelHead(nn.Module):
    """Map predicted embeddings to the pixels of a patch.

    Args:
        predictor: A masked predictor.
        embedding_dim: Width of its predictions.
        patch_dim: Numbers in a patch.
    """

    def __init__(self, predictor: nn.Module, embedding_dim: int, patch_dim: int):
        super().__init__()
        self.predictor = predictor
        self.to_pixels = nn.Linear(embedding_dim, patch_dim)

    def forward(
        self, s_x: Float[Tensor, "b k d"], context_idx: Int[Tensor, "b k"], target_idx: Int[Tensor, "b q m"]
    ) -> Float[Tensor, "b q m _"]:
        """Return the predicted pixels of each hidden patch."""
        pixels: Tensor = self.to_pixels(self.predictor(s_x, context_idx, target_idx))
        return pixels
