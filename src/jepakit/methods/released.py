"""What others released to be used: one encoder, perhaps with a predictor and a classifier, to embed, probe and export.

    z      = encoder(x)                                       every patch is seen
    energy = distance(predictor(encoder(visible), positions), normalise(z) at the hidden places)
    scores = classifier(z)

Source: Assran et al. 2023, I-JEPA (arXiv 2301.08243), and Assran et al. 2025, V-JEPA 2 (arXiv 2506.09985), which
Hugging Face holds in this form. Deviations: none in the networks. The encoder stands for its moving average too, which
is not there, so this predicts and does not learn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from jaxtyping import Float, Int
from torch import Tensor

from jepakit.jepa import HideThenEncode, Objective
from jepakit.masking import AnyMask
from jepakit.methods.agree import settle
from jepakit.nn import ClassifierConfig, MaskedPredictorConfig, SharedTarget, ViTConfig
from jepakit.nn.target import normalise_tokens
from jepakit.objectives import DISTANCES
from jepakit.random import seeded_init
from jepakit.types import Hidden, Prediction, Samples, UserError, require
from jepakit.views import AnyPreprocess


@dataclass(frozen=True, kw_only=True)
class ReleasedConfig:
    """Describe what was released.

    Args:
        encoder: The Vision Transformer.
        preprocess: What is done to a sample; its size and channels follow the encoder's.
        predictor: What predicts hidden tokens; None where nothing does.
        masks: What is asked about a sample; their grid is the encoder's.
        mask_kind: Which of the predictor's mask tokens asks.
        distance: Energy of a prediction.
        classifier: What names classes from the encoder's tokens; None where nothing does.
        labels: Names of the classes, in their order; none where they are not known.

    Raises:
        UserError: The predictor or the classifier takes other tokens than the encoder gives, a predictor has no masks
            or no such mask token, or there are other labels than classes.
    """

    encoder: ViTConfig
    preprocess: AnyPreprocess
    predictor: MaskedPredictorConfig | None = None
    masks: tuple[AnyMask, ...] = ()
    mask_kind: int = 0
    distance: Literal["smooth_l1", "l1", "mse", "cosine"] = "l1"
    classifier: ClassifierConfig | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Let preprocessing and masks take their sizes from the encoder."""
        settle(self, self.encoder, self.preprocess)
        object.__setattr__(self, "masks", tuple(replace(mask, grid=self.encoder.grid) for mask in self.masks))
        if (predictor := self.predictor) is not None:
            fits = predictor.embedding_dim == self.encoder.dim and predictor.grid == self.encoder.grid
            require(fits, "The predictor is made for another width or another grid than the encoder's.")
            require(bool(self.masks), "A predictor needs masks to be asked by.")
            kinds = predictor.num_mask_tokens
            require(0 <= self.mask_kind < kinds, f"mask_kind is one of {kinds} mask tokens, got {self.mask_kind}.")
        if (classifier := self.classifier) is not None:
            require(classifier.dim == self.encoder.dim, "The classifier is made for tokens of another width.")
            require(
                len(self.labels) in (0, classifier.num_classes),
                f"There are {len(self.labels)} labels for {classifier.num_classes} classes.",
            )

    def build(self, seed: int, num_steps: int) -> "Released":
        """Build it with fresh weights drawn from `seed`; the length of a training changes nothing."""
        with seeded_init(seed, "weights"):
            return Released(self, seed)


class Released(HideThenEncode):
    """Embed, and predict or classify where the networks for it are there; refuse to train."""

    config_class = ReleasedConfig

    def __init__(self, config: ReleasedConfig, seed: int):
        encoder = config.encoder.build()
        target = SharedTarget(encoder, normalise_tokens)
        super().__init__(encoder, target, Objective(DISTANCES[config.distance]), seed)
        self.config = config
        self.preprocess = config.preprocess
        self.predictor: Any = None if config.predictor is None else config.predictor.build()
        self.classifier = None if config.classifier is None else config.classifier.build()
        self.masks = [replace(mask, seed=seed + (number << 64)) for number, mask in enumerate(config.masks)]

    def classify(self, x: Float[Tensor, "b *t c h w"]) -> Float[Tensor, "b _"]:
        """Return a score for each class, in the order of `config.labels`.

        Raises:
            UserError: The model has no classifier.
        """
        if self.classifier is None:
            raise UserError("This model has no classifier; import a probe onto it, or train one.")
        scores: Tensor = self.classifier(self.encoder(x))
        return scores

    def prepare(self, batch: Samples, step: int) -> Float[Tensor, "b *t c h w"]:
        """Refuse: views of a batch are asked for in training alone.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "This model holds one encoder and no moving average, so it cannot be trained as it is; build a method "
            "(IJEPAConfig, say) and load the encoder's weights into its `encoder`, or import Meta's own file."
        )

    def hide(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose what is seen and what is hidden by the first mask."""
        return self.hides(ids, step)[0]

    def hides(self, ids: Int[Tensor, " b"], step: int) -> Sequence[Hidden]:
        """Choose what is seen and what is hidden by every mask."""
        return [replace(mask(ids, step), kind=self.config.mask_kind) for mask in self.masks]

    def questions(self, x: Float[Tensor, "b *t c h w"], ids: Int[Tensor, " b"], step: int) -> Prediction:
        """Ask about hidden tokens.

        Raises:
            UserError: The model has no predictor.
        """
        if self.predictor is None:
            raise UserError(
                "This model is an encoder alone and has no predictor, so it gives no energy; Meta's own files hold "
                "one, Hugging Face's of I-JEPA do not."
            )
        return super().questions(x, ids, step)

    def ask(self, s_x: Float[Tensor, "b k d"], hidden: Hidden) -> Float[Tensor, "b q m d"]:
        """Return what the predictor makes of the context's tokens."""
        z_hat: Tensor = self.predictor(s_x, hidden.context_idx, hidden.target_idx, kind=hidden.kind)
        return z_hat

    def spaces(self, x: Float[Tensor, "b *t c h w"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return the tokens whose health is watched."""
        return {"encoder": self.encoder(x)}
