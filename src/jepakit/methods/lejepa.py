"""LeJEPA: views of an image predict their common centre, and SIGReg makes their embeddings an isotropic Gaussian.

    z_v   = projector(mean token of encoder(view v))
    loss  = mean (z_v - mean of the global views' z)^2 + w * mean over views of SIGReg(z_v)

No predictor, no second network, no stop-gradient, no schedule of either.

Source: Balestriero and LeCun 2025, "LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics"
(arXiv 2511.08544), algorithm 2. Deviations: the mean instead of the sum over the embedding in the squared distance, as
in the authors' minimal example; pooled mean tokens also for ViTs.
"""

from dataclasses import dataclass, replace

from einops import repeat
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.jepa import Objective, Term
from jepakit.methods.agree import EncoderConfig, match, settle
from jepakit.methods.multiview import MultiViewMethod
from jepakit.objectives import SIGReg, mse
from jepakit.random import seeded_init
from jepakit.types import Content
from jepakit.views import AnyPreprocess, MultiCrop, View


@dataclass(frozen=True, kw_only=True)
class LeJEPAConfig:
    """Describe a LeJEPA.

    Args:
        encoder: The network that perceives.
        views: Global and local crops.
        preprocess: What is done to a sample that is only looked at.
        projector_dims: Widths of the projector's layers.
        sigreg_weight: Weight `w` of SIGReg, in the normalisation of `objectives.sigreg`; the prediction weighs 1.
        num_slices: Random directions a step.
    """

    encoder: EncoderConfig
    views: MultiCrop
    preprocess: AnyPreprocess
    projector_dims: tuple[int, ...] = (2048, 2048, 128)
    sigreg_weight: float = 10.0
    num_slices: int = 1024

    def __post_init__(self) -> None:
        """Let the views take channels and normalisation from encoder and preprocessing."""
        settle(self, self.encoder, self.preprocess)
        views = self.views
        local = views.local and match(views.local, self.preprocess)
        object.__setattr__(self, "views", replace(views, global_=match(views.global_, self.preprocess), local=local))

    def build(self, seed: int, num_steps: int) -> "LeJEPA":
        """Build the method with fresh weights drawn from `seed`; the length of training changes nothing."""
        with seeded_init(seed, "weights"):
            return LeJEPA(self, seed)


class LeJEPA(MultiViewMethod):
    """Predict the centre of the global views from every view."""

    config_class = LeJEPAConfig

    def __init__(self, config: LeJEPAConfig, seed: int):
        sigreg = Term("projector", SIGReg(num_slices=config.num_slices, seed=seed), config.sigreg_weight)
        objective = Objective(mse, {"sigreg": sigreg})
        super().__init__(config.encoder.build(), config.projector_dims, objective, seed)
        self.config = config
        self.preprocess = config.preprocess
        self.num_global = config.views.num_global
        views = config.views
        local = views.local and replace(views.local, seed=seed)
        self.views = replace(views, global_=replace(views.global_, seed=seed), local=local)

    def make_views(self, content: Content, ids: Int[Tensor, " b"], step: int) -> list[View]:
        """Draw the global views, then the local ones."""
        return list(self.views(content, ids, step))

    def relate(
        self, z: Float[Tensor, "b v d"], views: list[View]
    ) -> tuple[Float[Tensor, "b v d"], Float[Tensor, "b v d"]]:
        """Return every view's embedding, and the centre of the global views for each of them."""
        centre = z[:, : self.num_global].mean(dim=1)
        return z, repeat(centre, "b d -> b v d", v=z.shape[1])
