"""Transformation-conditioned JEPA: predict the embedding of another view, told the transformation between the two.

    z_v   = projector(mean token of encoder(view v))
    z_hat = predictor(z_1, crop, flip, rotation and colour change from view 1 to view 2)
    loss  = mean (z_hat - z_2)^2 (both ways) + w * mean over views of SIGReg(z_v)

A world model of images whose action is the transformation. A method that must make two views equal throws away what
differs between them; this one is told the difference, so it can keep it.

Source: Garrido et al. 2024, "Learning and Leveraging World Models in Visual Representation Learning" (arXiv
2403.00504), sections 3-4. Deviations: one embedding per view instead of patch tokens, so that any encoder serves;
SIGReg (arXiv 2511.08544) instead of a moving average; both directions of each pair.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.jepa import Objective, Term
from jepakit.methods.agree import EncoderConfig, settle
from jepakit.methods.multiview import MultiViewMethod
from jepakit.nn import ConditionedPredictor
from jepakit.objectives import SIGReg, mse
from jepakit.random import seeded_init
from jepakit.types import Content, Prediction
from jepakit.views import AnyPreprocess, AnyViews, View


@dataclass(frozen=True, kw_only=True)
class TransformJEPAConfig:
    """Describe a transformation-conditioned JEPA.

    Args:
        encoder: The network that perceives.
        augment: How both views are drawn; its parameters are what the predictor is told.
        preprocess: What is done to a sample that is only looked at.
        projector_dims: Widths of the projector's layers.
        predictor_dim: Width of the predictor's hidden layers.
        sigreg_weight: Weight `w` of SIGReg, in the normalisation of `objectives.sigreg`; the prediction weighs 1.
        num_slices: Random directions a step.
    """

    encoder: EncoderConfig
    augment: AnyViews
    preprocess: AnyPreprocess
    projector_dims: tuple[int, ...] = (512, 128)
    predictor_dim: int = 512
    sigreg_weight: float = 10.0
    num_slices: int = 256

    def __post_init__(self) -> None:
        """Let the views take channels and normalisation from encoder and preprocessing."""
        settle(self, self.encoder, self.preprocess, augment=self.augment)

    def build(self, seed: int, num_steps: int) -> "TransformJEPA":
        """Build the method with fresh weights drawn from `seed`; the length of training changes nothing."""
        with seeded_init(seed, "weights"):
            return TransformJEPA(self, seed)


class TransformJEPA(MultiViewMethod):
    """Predict how an image's embedding changes under a known transformation."""

    config_class = TransformJEPAConfig

    def __init__(self, config: TransformJEPAConfig, seed: int):
        sigreg = Term("projector", SIGReg(num_slices=config.num_slices, seed=seed), config.sigreg_weight)
        objective = Objective(mse, {"sigreg": sigreg})
        super().__init__(config.encoder.build(), config.projector_dims, objective, seed)
        self.config = config
        self.predictor = ConditionedPredictor(
            config.projector_dims[-1], len(config.augment.params), config.predictor_dim
        )
        self.augment = replace(config.augment, seed=seed)
        self.preprocess = config.preprocess

    def make_views(self, content: Content, ids: Int[Tensor, " b"], step: int) -> list[View]:
        """Draw two views of each sample."""
        return [self.augment(content, ids, step, view) for view in range(2)]

    def relate(
        self, z: Float[Tensor, "b v d"], views: list[View]
    ) -> tuple[Float[Tensor, "b q d"], Float[Tensor, "b q d"]]:
        """Predict each view from the other, told the way from one to the other."""
        first, second = (view.params for view in views)
        way = self.augment.relative
        told = torch.stack((way(first, second), way(second, first)), dim=1)
        return self.predictor(z, told), z.flip(1)

    def questions(self, x: Float[Tensor, "b c h w"], ids: Int[Tensor, " b"], step: int) -> Prediction:
        """Draw two views of prepared inputs, taken back to their source, and ask both ways."""
        return self.ask(self.preprocess.to_source(x), ids, step)
