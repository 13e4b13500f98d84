"""I-JEPA without a moving average: masked prediction in the live encoder's own space, kept from collapse by SIGReg.

    s_x   = encoder(visible patches)
    s_y   = projector(encoder(whole image))               same weights, gradient flows
    loss  = mean distance(predictor(s_x, positions), s_y at the hidden patches)
            + w * SIGReg(s_y of the whole image, per position across images)

No momentum, no stop-gradient, no schedule of a second network: one weight `w`. The regularizer reads tokens per
position across images. Pooled over positions it would be satisfied by an encoder of nothing but positions. The
projector (LeJEPA's) is optional: with it the encoder's own tokens need not be Gaussian.

Source: the combination asked for by users of LeJEPA (Balestriero and LeCun 2025, arXiv 2511.08544, for SIGReg; Assran
et al. 2023, arXiv 2301.08243, for the masks); no paper ships it. Deviations from I-JEPA: target provider, distance MSE.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from jepakit.jepa import Objective, Term
from jepakit.methods.masked import MaskedConfig, MaskedMethod
from jepakit.nn import Projector, SharedTarget
from jepakit.objectives import DISTANCES, SIGReg
from jepakit.random import Stream, seeded_init


@dataclass(frozen=True, kw_only=True)
class IJEPASIGRegConfig(MaskedConfig):
    """Describe an I-JEPA with SIGReg; the shared parts are `MaskedConfig`'s.

    Args:
        distance: Energy of a prediction.
        sigreg_weight: Weight `w` of SIGReg, in the normalisation of `objectives.sigreg`; the prediction weighs 1.
        num_slices: Random directions a step.
        projector_dims: Layer sizes of the projector after the encoder; none predicts the encoder's tokens themselves.
        num_positions: Positions whose distribution is tested at each step, drawn anew.
    """

    distance: Literal["smooth_l1", "l1", "mse", "cosine"] = "mse"
    sigreg_weight: float = 10.0
    num_slices: int = 128
    projector_dims: tuple[int, ...] = ()
    num_positions: int = 4

    def build(self, seed: int, num_steps: int) -> "IJEPASIGReg":
        """Build the method with fresh weights drawn from `seed`; the length of training changes nothing."""
        with seeded_init(seed, "weights"):
            return IJEPASIGReg(self, seed)


class IJEPASIGReg(MaskedMethod):
    """Predict hidden patches in the live encoder's space, with its tokens pushed towards a Gaussian per position."""

    config_class = IJEPASIGRegConfig

    def __init__(self, config: IJEPASIGRegConfig, seed: int):
        encoder = config.encoder.build()
        sigreg = Term("target", SIGReg(num_slices=config.num_slices, seed=seed), config.sigreg_weight)
        objective = Objective(DISTANCES[config.distance], {"sigreg": sigreg})
        dims = config.projector_dims
        projector = Projector(encoder.embedding_dim, dims[:-1], dims[-1]) if dims else None
        target = SharedTarget(encoder, projector)
        super().__init__(config, encoder, target, objective, seed, target_dim=dims[-1] if dims else 0)
        self.positions = Stream(seed, "sigreg/positions")
        self.num_positions = min(config.num_positions, encoder.num_tokens)

    def regularized(self, target_tokens: Float[Tensor, "b n d"], step: int) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return the tokens at this step's positions, one group each."""
        chosen = self.positions.permutation(step, target_tokens.shape[1])[: self.num_positions]
        return {"target": target_tokens[:, chosen.to(target_tokens.device)]}
