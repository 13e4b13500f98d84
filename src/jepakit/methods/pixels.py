"""Pixel prediction: the same masks, encoder and predictor, but the raw pixels of the hidden patches as targets.

    s_x   = encoder(visible patches)
    y     = pixels of a hidden patch, standardised within the patch
    loss  = mean squared error(predictor(s_x, positions), y)

It stands here so that "predict the representation, not the raw input" is something a user can measure: everything
but the target is shared with the JEPAs of this folder.

Source: He et al. 2021, "Masked Autoencoders Are Scalable Vision Learners" (arXiv 2111.06377). Deviations: the decoder
is I-JEPA's predictor, which sees the same context; masks and views are whatever the recipe gives the JEPA beside it;
patches are divided by the deviation over n numbers, not n - 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.jepa import Objective
from jepakit.methods.masked import MaskedConfig, MaskedMethod
from jepakit.nn import Target
from jepakit.nn.vit import cut_patches
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
        tubelet_size: Frames of a patch of a clip; 0 for images.
    """

    shared = True

    def __init__(self, patch_size: tuple[int, int], standardise: bool, tubelet_size: int = 0):
        super().__init__()
        self.patch_size = patch_size
        self.standardise = standardise
        self.tubelet_size = tubelet_size

    @torch.no_grad()
    def tokens(self, x: Float[Tensor, "b *t c h w"]) -> Float[Tensor, "b n d"]:
        """Cut images into patches of c * h * w numbers, clips into tubelets of c * t * h * w."""
        patches, _ = cut_patches(x, self.patch_size, self.tubelet_size)
        if not self.standardise:
            return patches
        variance, mean = torch.var_mean(patches, dim=-1, keepdim=True, correction=0)
        return (patches - mean) * torch.rsqrt(variance + 1e-6)


class Pixels(MaskedMethod):
    """Predict the raw pixels of hidden patches."""

    config_class = PixelsConfig

    def __init__(self, config: PixelsConfig, seed: int):
        encoder = config.encoder.build()
        target = PatchTarget(
            encoder.patch_size, config.standardise, config.encoder.tubelet_size if config.encoder.num_frames else 0
        )
        super().__init__(config, encoder, target, Objective(DISTANCES["mse"]), seed, target_dim=encoder.patch_dim)
