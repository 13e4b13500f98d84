"""An encoder alone: what Hugging Face holds of I-JEPA, to embed with, to probe and to export.

    z = encoder(x)            every patch is seen; there is no predictor, no target, no loss

Source: Assran et al. 2023, I-JEPA (arXiv 2301.08243), whose released encoders come in this form too. Deviations: none
in the encoder; what only learning needs is not there, so it neither trains nor tells an energy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from jepakit.jepa import JEPA, Objective
from jepakit.methods.agree import settle
from jepakit.nn import SharedTarget, ViTConfig
from jepakit.objectives import DISTANCES
from jepakit.random import seeded_init
from jepakit.types import Prediction, UserError
from jepakit.views import AnyPreprocess


@dataclass(frozen=True, kw_only=True)
class EncoderOnlyConfig:
    """Describe an encoder.

    Args:
        encoder: The Vision Transformer.
        preprocess: What is done to a sample; its size and channels follow the encoder's.
    """

    encoder: ViTConfig
    preprocess: AnyPreprocess

    def __post_init__(self) -> None:
        """Let the preprocessing take its sizes from the encoder."""
        settle(self, self.encoder, self.preprocess)

    def build(self, seed: int, num_steps: int) -> "EncoderOnly":
        """Build it with fresh weights drawn from `seed`; the length of a training changes nothing."""
        with seeded_init(seed, "weights"):
            return EncoderOnly(self, seed)


class EncoderOnly(JEPA):
    """Embed, and refuse what needs a predictor."""

    config_class = EncoderOnlyConfig

    def __init__(self, config: EncoderOnlyConfig, seed: int):
        encoder = config.encoder.build()
        super().__init__(encoder, SharedTarget(encoder), Objective(DISTANCES["mse"]), seed)
        self.config = config
        self.preprocess = config.preprocess

    def predict(self, batch: Any, step: int) -> Prediction:
        """Refuse: there is nothing to learn by.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "This model is an encoder alone, which predicts nothing, so it cannot be trained by itself; build a method "
            "(IJEPAConfig, say) and load the encoder's weights into its `encoder`."
        )

    def questions(self, x: Float[Tensor, "b c h w"], ids: Int[Tensor, " b"], step: int) -> Prediction:
        """Refuse: an energy needs a prediction.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "This model is an encoder alone and has no predictor, so it gives no energy; Meta's own files hold one, "
            "Hugging Face's of I-JEPA do not."
        )

    def spaces(self, x: Float[Tensor, "b c h w"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return the tokens whose health is watched."""
        return {"encoder": self.encoder(x)}
