"""Share what every masked method has: an encoder of visible patches, masks, views, and a masked predictor."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float, Int
from torch import Tensor

from jepakit.jepa import HideThenEncode, Objective
from jepakit.masking import AnyMask
from jepakit.methods.agree import settle, square_size
from jepakit.nn import MaskedPredictor, Target, ViT, ViTConfig
from jepakit.types import Hidden, Prediction, Samples, require
from jepakit.views import AnyPreprocess, AnyViews, Augment, Incomplete


@dataclass(frozen=True, kw_only=True)
class MaskedConfig:
    """Describe the shared parts; grids and the size of image views follow the encoder's.

    Args:
        encoder: The Vision Transformer that perceives.
        mask: What is hidden.
        further_masks: Masks beside it, each with a context of its own, for which one pass of the target provider
            serves. They may be alike: each draws for itself.
        mask_tokens: Mask tokens of the predictor.
        mask_kinds: Which of them asks for each mask, the first and the further ones; by default all masks share the
            one there is, and each has its own where there are several.
        augment: Views of training samples.
        preprocess: What is done to a sample that is only looked at.
        predictor_dim: Width of the predictor.
        predictor_depth: Blocks of the predictor.
        predictor_heads: Heads of the predictor's attention.
        context_pass: See `MaskedPredictor`: the published form, or the cheaper one.
    """

    encoder: ViTConfig
    mask: AnyMask
    augment: AnyViews
    preprocess: AnyPreprocess
    predictor_dim: int = 384
    predictor_depth: int = 6
    predictor_heads: int = 12
    context_pass: Literal["per_question", "once"] = "per_question"
    further_masks: tuple[AnyMask, ...] = ()
    mask_tokens: int = 1
    mask_kinds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Let masks and views take their sizes from the encoder."""
        settle(self, self.encoder, self.preprocess, augment=self.augment)
        if isinstance(self.augment, Augment):
            object.__setattr__(self, "augment", replace(self.augment, image_size=square_size(self.encoder)))
        object.__setattr__(self, "mask", replace(self.mask, grid=self.encoder.grid))
        further = tuple(replace(mask, grid=self.encoder.grid) for mask in self.further_masks)
        object.__setattr__(self, "further_masks", further)
        num_masks = 1 + len(further)
        kinds = tuple(self.mask_kinds) or (tuple(range(num_masks)) if self.mask_tokens > 1 else (0,) * num_masks)
        object.__setattr__(self, "mask_kinds", kinds)
        require(
            len(kinds) == num_masks and all(0 <= kind < self.mask_tokens for kind in kinds),
            f"mask_kinds names one of {self.mask_tokens} mask token(s) for each of {num_masks} mask(s), got {kinds}.",
        )

    def build_predictor(self, target_dim: int = 0) -> MaskedPredictor:
        """Build the predictor that fits the encoder, for targets of another width if need be."""
        return MaskedPredictor(
            embedding_dim=self.encoder.dim,
            grid=self.encoder.grid,
            dim=self.predictor_dim,
            depth=self.predictor_depth,
            num_heads=self.predictor_heads,
            context_pass=self.context_pass,
            positions=self.encoder.positions,
            target_dim=target_dim,
            num_mask_tokens=self.mask_tokens,
        )


class MaskedMethod(HideThenEncode):
    """Hide patches of one augmented view of each sample and ask about them.

    Args:
        config: The shared parts.
        encoder: Built from `config.encoder`, or any encoder of visible patches.
        target: Provider of what is to be predicted.
        objective: What to minimise.
        seed: Seed of views and masks.
        target_dim: Width of a target, where it is not the encoder's.
    """

    def __init__(
        self,
        config: MaskedConfig,
        encoder: ViT,
        target: Target,
        objective: Objective,
        seed: int,
        target_dim: int = 0,
    ):
        super().__init__(encoder, target, objective, seed)
        self.config = config
        self.predictor = config.build_predictor(target_dim)
        masks = (config.mask, *config.further_masks)
        self.masks = [replace(mask, seed=seed + (number << 64)) for number, mask in enumerate(masks)]
        self.augment = replace(config.augment, seed=seed)
        self.preprocess = config.preprocess

    def prepare(self, batch: Samples, step: int) -> Float[Tensor, "b *t c h w"]:
        """Return one augmented view of each sample."""
        return self.augment(batch.content, batch.id, step).image.to(self.dtype)

    def predict(self, batch: Samples, step: int) -> Prediction:
        """Ask about one view of each sample; what views lose is lost to the encoder, and not to the targets."""
        view = self.augment(batch.content, batch.id, step)
        whole = view.image if view.whole is None else view.whole
        tokens = self.target(whole.to(self.dtype))
        return self.all_answers(view.image.to(self.dtype), tokens, batch.id, step)

    def encode(self, x: Float[Tensor, "b *t c h w"], *, tokens: bool = False) -> Tensor:
        """Return what `JEPA.encode` does; rows and windows are pooled without what was not measured.

        In training the encoder sees subsets of the patches: what is missing is to it like what is hidden. The tokens of
        a row count by how they differ from those of a usual row at their places: a plain mean would move with which
        are there. Windows of which nothing was measured, and images, are pooled as they are.
        """
        if tokens or not isinstance(self.preprocess, Incomplete):
            return super().encode(x, tokens=tokens)
        measured = self.preprocess.measured(x, self.config.encoder.patch_size)
        if bool(measured.all()):
            return super().encode(x)
        example = self.preprocess.usual
        none = x.new_zeros(measured.shape[1], self.config.encoder.dim)
        usual = none if example is None else self.encoder(example.to(x))[0]
        z = x.new_zeros(len(x), self.config.encoder.dim)
        num_measured = measured.sum(dim=1)
        for num in num_measured.unique().tolist():  # samples of which as many patches are there fit into one batch
            rows = num_measured == num
            places = measured[rows].nonzero()[:, 1].view(-1, num)
            unusual = self.encoder(x[rows], places) - usual[places]
            z[rows] = (unusual.mean(dim=1) + usual.mean(dim=0)).to(z.dtype)
        return z

    def hide(self, ids: Int[Tensor, " b"], step: int) -> Hidden:
        """Choose the visible patches and the hidden ones of the first mask."""
        return self.hides(ids, step)[0]

    def hides(self, ids: Int[Tensor, " b"], step: int) -> Sequence[Hidden]:
        """Choose the visible patches and the hidden ones of every mask."""
        kinds = self.config.mask_kinds
        return [replace(mask(ids, step), kind=kind) for mask, kind in zip(self.masks, kinds, strict=True)]

    def ask(self, s_x: Float[Tensor, "b k d"], hidden: Hidden) -> Float[Tensor, "b q m _"]:
        """Return what the predictor makes of the context's tokens, asked by the mask token of the mask's kind.

        A predictor of one mask token, such as anyone's own, is not told the kind.
        """
        if self.config.mask_tokens == 1:
            return super().ask(s_x, hidden)
        z_hat: Tensor = self.predictor(s_x, hidden.context_idx, hidden.target_idx, kind=hidden.kind)
        return z_hat
