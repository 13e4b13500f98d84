"""VICReg: two views of an image have one embedding; variance and covariance terms keep the space open.

    z_v   = projector(mean token of encoder(view v))
    loss  = i * mse(z_1, z_2) + v * mean over views of hinge(std) + c * mean over views of covariance

Source: Bardes, Ponce and LeCun 2022, "VICReg" (arXiv 2105.04906), equations 1-6, as in EB-JEPA's image example (Terver
et al. 2026). Deviations: variance and covariance are means over the views where the paper adds them, so the default
weights 25, 25 and 1 are the paper's 25, 12.5 and 0.5; both views pass BatchNorm together.
"""

from dataclasses import dataclass, replace

from jaxtyping import Float, Int
from torch import Tensor

from jepakit.jepa import Objective, Term
from jepakit.methods.agree import EncoderConfig, settle
from jepakit.methods.multiview import MultiViewMethod
from jepakit.objectives import Covariance, Variance, mse
from jepakit.random import seeded_init
from jepakit.types import Content
from jepakit.views import AnyPreprocess, AnyViews, View


@dataclass(frozen=True, kw_only=True)
class VICRegConfig:
    """Describe a VICReg.

    Args:
        encoder: The network that perceives.
        augment: How both views are drawn.
        preprocess: What is done to a sample that is only looked at.
        projector_dims: Widths of the projector's layers.
        invariance_weight: Weight of the distance between the views.
        variance_weight: Weight of the hinge on each dimension's deviation.
        covariance_weight: Weight of the squared covariances between dimensions.
    """

    encoder: EncoderConfig
    augment: AnyViews
    preprocess: AnyPreprocess
    projector_dims: tuple[int, ...] = (2048, 2048, 2048)
    invariance_weight: float = 25.0
    variance_weight: float = 25.0
    covariance_weight: float = 1.0

    def __post_init__(self) -> None:
        """Let the views take channels and normalisation from encoder and preprocessing."""
        settle(self, self.encoder, self.preprocess, augment=self.augment)

    def build(self, seed: int, num_steps: int) -> "VICReg":
        """Build the method with fresh weights drawn from `seed`; the length of training changes nothing."""
        with seeded_init(seed, "weights"):
            return VICReg(self, seed)


class VICReg(MultiViewMethod):
    """Let two views of an image have the same embedding."""

    config_class = VICRegConfig

    def __init__(self, config: VICRegConfig, seed: int):
        terms = {
            "variance": Term("projector", Variance(), config.variance_weight),
            "covariance": Term("projector", Covariance(), config.covariance_weight),
        }
        objective = Objective(mse, terms, prediction_weight=config.invariance_weight)
        super().__init__(config.encoder.build(), config.projector_dims, objective, seed)
        self.config = config
        self.preprocess = config.preprocess
        self.augment = replace(config.augment, seed=seed)

    def make_views(self, content: Content, ids: Int[Tensor, " b"], step: int) -> list[View]:
        """Draw two views of each sample."""
        return [self.augment(content, ids, step, view) for view in range(2)]

    def relate(
        self, z: Float[Tensor, "b v d"], views: list[View]
    ) -> tuple[Float[Tensor, "b q d"], Float[Tensor, "b q d"]]:
        """Ask one question: is the second view where the first one is?"""
        return z[:, :1], z[:, 1:]
