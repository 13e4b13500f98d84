"""I-JEPA: predict the embeddings of hidden blocks of an image from the embeddings of the rest.

    s_x   = encoder(visible patches)
    s_y   = LayerNorm(moving average of the encoder (whole image)) at the hidden blocks
    loss  = mean smooth-L1(predictor(s_x, positions of a block), s_y)

Collapse is prevented by asymmetry alone: the predictor, no gradient into the target, and the target's slow average.

Source: Assran et al. 2023, "Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture"
(arXiv 2301.08243), section 3. Deviations: the default masks are unbiased (`MultiBlock`; its `mode="paper"` reproduces
the published statistics); residual outputs keep their depth-scaled initial weights, which the released code overwrites
by accident; the predictor has a number of heads of its own.
"""

from dataclasses import dataclass
from typing import Literal

from jepakit.jepa import Objective
from jepakit.methods.masked import MaskedConfig, MaskedImageMethod
from jepakit.nn import EMATarget, Linear
from jepakit.objectives import DISTANCES
from jepakit.random import seeded_init


@dataclass(frozen=True, kw_only=True)
class IJEPAConfig(MaskedConfig):
    """Describe an I-JEPA; the shared parts are `MaskedConfig`'s.

    Args:
        distance: Energy of a prediction.
        momentum: Momentum of the target's moving average at the first step.
        final_momentum: Momentum at the last step; linear in between.
    """

    distance: Literal["smooth_l1", "l1", "mse", "cosine"] = "smooth_l1"
    momentum: float = 0.996
    final_momentum: float = 1.0

    def build(self, seed: int, num_steps: int) -> "IJEPA":
        """Build the method with fresh weights drawn from `seed`; the momentum rises over `num_steps`."""
        with seeded_init(seed, "weights"):
            return IJEPA(self, seed, num_steps)


class IJEPA(MaskedImageMethod):
    """Predict hidden blocks in the embedding space of a moving average of the encoder."""

    config_class = IJEPAConfig

    def __init__(self, config: IJEPAConfig, seed: int, num_steps: int):
        encoder = config.encoder.build()
        momentum = Linear(start=config.momentum, end=config.final_momentum, num_steps=num_steps)
        super().__init__(config, encoder, EMATarget(encoder, momentum), Objective(DISTANCES[config.distance]), seed)
