"""V-JEPA and V-JEPA 2: predict the embeddings of hidden tubes of a clip from the embeddings of the rest.

    s_x   = encoder(visible tubelets)
    s_y   = normalise(moving average of the encoder (whole clip)) at the hidden tubelets
    loss  = mean L1(predictor(s_x, positions of the tubes), s_y), over a short-range and a long-range mask

One pass of the average serves both masks. The two papers differ in positions (V-JEPA adds sine and cosine tables,
V-JEPA 2 turns queries and keys) and in size, schedule and data.

Source: Bardes et al. 2024, V-JEPA (arXiv 2404.08471), section 3; Assran et al. 2025, V-JEPA 2 (arXiv 2506.09985),
section 2. Deviations: the default masks throw no token away and treat all frames alike (`TubeMask`, whose "paper" mode
keeps the released collator's statistics); rotary positions turn both channels of a pair alike, where the released code
does not (`positions="rotary-released"` does as it does); residual outputs keep their depth-scaled initial weights.
"""

from dataclasses import dataclass
from typing import Literal

from jepakit.masking import AnyMask, TubeMask
from jepakit.methods.ijepa import IJEPA, IJEPAConfig
from jepakit.random import seeded_init

SHORT_RANGE = TubeMask(grid=(8, 14, 14), num_blocks=8, scale=(0.15, 0.15))
LONG_RANGE = TubeMask(grid=(8, 14, 14), num_blocks=2, scale=(0.7, 0.7))
"""The published masks; a configuration gives them its own grid."""


@dataclass(frozen=True, kw_only=True)
class VJEPAConfig(IJEPAConfig):
    """Describe a V-JEPA: an `IJEPAConfig` whose encoder takes clips, with the published defaults.

    Args:
        mask: The short-range mask.
        further_masks: The long-range one.
        mask_tokens: One for each mask.
        distance: Energy of a prediction.
        momentum: Momentum of the target's moving average at the first step.
    """

    mask: AnyMask = SHORT_RANGE
    further_masks: tuple[AnyMask, ...] = (LONG_RANGE,)
    mask_tokens: int = 2
    distance: Literal["smooth_l1", "l1", "mse", "cosine"] = "l1"
    momentum: float = 0.998

    def build(self, seed: int, num_steps: int) -> "VJEPA":
        """Build the method with fresh weights drawn from `seed`; the momentum rises over `num_steps`."""
        with seeded_init(seed, "weights"):
            return VJEPA(self, seed, num_steps)


class VJEPA(IJEPA):
    """Predict hidden tubes in the embedding space of a moving average of the encoder."""

    config_class = VJEPAConfig
