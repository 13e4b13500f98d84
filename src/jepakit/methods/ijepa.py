"""I-JEPA: predict the embeddings of hidden blocks of an image from the embeddings of the rest.

    s_x   = encoder(visible patches)
    s_y   = normalise(moving average of the encoder (whole image)) at the hidden blocks
    loss  = mean smooth-L1(predictor(s_x, positions of a block), s_y)

Collapse is prevented by asymmetry alone: the predictor, no gradient into the target, and the target's slow average.

Source: Assran et al. 2023, "Self-Supervised Learning from Images with a Joint-Embedding Predictive Architecture"
(arXiv 2301.08243), section 3. Deviations: the default masks are unbiased (`MultiBlock`; its `mode="paper"` reproduces
the published statistics); residual outputs keep their depth-scaled initial weights, which the released code overwrites
by accident; the predictor has a number of heads of its own; targets may be whitened in place of the published LayerNorm
(`target_norm`) and taken from its first blocks (`target_depth`), our cure for positional collapse on small data.
"""

from dataclasses import dataclass
from typing import Literal

from jepakit.jepa import Objective
from jepakit.methods.masked import MaskedConfig, MaskedMethod
from jepakit.nn import EMATarget, Linear, Whitening
from jepakit.nn.target import normalise_tokens
from jepakit.objectives import DISTANCES
from jepakit.random import seeded_init


@dataclass(frozen=True, kw_only=True)
class IJEPAConfig(MaskedConfig):
    """Describe an I-JEPA; the shared parts are `MaskedConfig`'s.

    Args:
        distance: Energy of a prediction.
        momentum: Momentum of the target's moving average at the first step.
        final_momentum: Momentum at the last step; linear in between.
        target_depth: Blocks of the average that make a target; None for all, 0 for its patch embedding alone, whose
            tokens say what a patch holds before the blocks have learnt anything.
        target_norm: "layer", the published LayerNorm of each token; "whiten" see `Whitening`, for small data.
    """

    distance: Literal["smooth_l1", "l1", "mse", "cosine"] = "smooth_l1"
    momentum: float = 0.996
    final_momentum: float = 1.0
    target_depth: int | None = None
    target_norm: Literal["layer", "whiten"] = "layer"

    def build(self, seed: int, num_steps: int) -> "IJEPA":
        """Build the method with fresh weights drawn from `seed`; the momentum rises over `num_steps`."""
        with seeded_init(seed, "weights"):
            return IJEPA(self, seed, num_steps)


class IJEPA(MaskedMethod):
    """Predict hidden blocks in the embedding space of a moving average of the encoder."""

    config_class = IJEPAConfig

    def __init__(self, config: IJEPAConfig, seed: int, num_steps: int):
        encoder = config.encoder.build()
        momentum = Linear(start=config.momentum, end=config.final_momentum, num_steps=num_steps)
        whitens = config.target_norm == "whiten"
        head = Whitening(encoder.num_tokens, encoder.embedding_dim) if whitens else normalise_tokens
        averaged = encoder if config.target_depth is None else encoder.first_blocks(config.target_depth)
        target = EMATarget(averaged, momentum, head)
        super().__init__(config, encoder, target, Objective(DISTANCES[config.distance]), seed)
