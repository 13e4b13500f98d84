"""Make the arms of a comparison: an encoder's features, and the floors that it has to beat.

An arm is nothing but features of one train and one test set with a sentence on where they come from, so that every
arm goes through the same probes by the same rule.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor

from jepakit.evaluation.features import Encode, Preprocess, extract, pixels
from jepakit.evaluation.robustness import CorruptedFeatures, CorruptSource, Predict
from jepakit.types import UserError

AugmentImages = Callable[[UInt8[Tensor, "n c h w"], Int[Tensor, " n"], int], Float[Tensor, "n c h w"]]
"""Augment source pixels: (images, sample ids, number of the copy) to floats of any range, as training views are."""

DropTokens = Callable[[Float[Tensor, "b c h w"], Int[Tensor, " b"], int], Float[Tensor, "b d"]]
"""Encode preprocessed images from the patches alone that "patch_drop" leaves: (images, sample ids, severity)."""


Classifier = Callable[[Float[Tensor, "n d"], Int[Tensor, " n"], int], Predict]
"""Fit a classifier to train features and labels, of so many classes."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Hold one arm's features of the train and the test set, in the order of their labels.

    Args:
        train: Features of each train item in `v` augmented copies, `v = 1` for plain features.
        test: Features of each test item.
        layer: Which layer they come from, e.g. "last block after the final norm".
        pooling: How tokens became one vector, e.g. "mean of tokens".
        is_floor: Whether this arm is a floor that the others must beat.
        tokens: Train and test tokens, where an attentive probe can be fitted.
        corrupted: Gives features of the corrupted test images, where robustness can be measured.
        classifier: Takes the place of every probe, for what is a learner of its own and no features.
    """

    train: Float[Tensor, "n v d"]
    test: Float[Tensor, "m d_test"]
    layer: str
    pooling: str
    is_floor: bool = False
    tokens: tuple[Float[Tensor, "n k d_token"], Float[Tensor, "m k d_token"]] | None = None
    corrupted: CorruptedFeatures | None = None
    classifier: Classifier | None = None

    def __post_init__(self) -> None:
        if self.train.ndim != 3 or self.test.ndim != 2 or self.train.shape[2] != self.test.shape[1]:
            raise UserError(
                f"An arm takes train features (n, v, d) and test features (m, d) of one width, got "
                f"{tuple(self.train.shape)} and {tuple(self.test.shape)}."
            )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Hold the source that every arm sees, uint8 pixels or signals, and how to corrupt the test part.

    Args:
        train: Train samples.
        test: Test samples.
        train_ids: Stable ids of the train samples, on which augmentation depends.
        test_ids: Stable ids of the test samples, on which corruption depends.
        corrupt: Returns corrupted samples of the same kind; None leaves robustness out.
        seed: Seed of the corruptions.
    """

    train: Shaped[Tensor, "n ..."]
    test: Shaped[Tensor, "m ..."]
    train_ids: Int[Tensor, " n"]
    test_ids: Int[Tensor, " m"]
    corrupt: CorruptSource | None = None
    seed: int = 0

    def corrupted(self, kind: str, severity: int) -> Shaped[Tensor, "m ..."]:
        """Return corrupted test samples.

        Raises:
            UserError: If no corruption was given.
        """
        if self.corrupt is None:
            raise UserError("These samples were given without a corruption; pass `corrupt=` to measure robustness.")
        return self.corrupt(kind, self.test, severity, self.test_ids, self.seed)


def encoder_arm(
    images: Inputs,
    encode: Encode,
    preprocess: Preprocess,
    layer: str,
    pooling: str,
    is_floor: bool = False,
    encode_tokens: Encode | None = None,
    drop_tokens: DropTokens | None = None,
    batch_size: int = 256,
) -> Arm:
    """Return the arm of a frozen encoder; a randomly initialised one is a floor.

    Args:
        images: What is encoded.
        encode: Pooled features, in eval mode.
        preprocess: Makes of the source what `encode` takes.
        layer: Which layer `encode` reads.
        pooling: How it pools.
        is_floor: Whether the others must beat it.
        encode_tokens: Tokens for an attentive probe.
        drop_tokens: For encoders that can leave patches out: used for "patch_drop" in place of gray patches.
        batch_size: Images at a time.
    """

    def corrupted(kind: str, severity: int) -> Tensor:
        if kind == "patch_drop" and drop_tokens is not None:
            pairs = zip(images.test.split(batch_size), images.test_ids.split(batch_size), strict=True)
            with torch.no_grad():
                return torch.cat([drop_tokens(preprocess(x), ids, severity).float().cpu() for x, ids in pairs])
        return extract(encode, images.corrupted(kind, severity), preprocess, batch_size)

    tokens = None
    if encode_tokens is not None:
        train, test = (extract(encode_tokens, part, preprocess, batch_size) for part in (images.train, images.test))
        tokens = (train, test)
    return Arm(
        train=extract(encode, images.train, preprocess, batch_size)[:, None],
        test=extract(encode, images.test, preprocess, batch_size),
        layer=layer,
        pooling=pooling,
        is_floor=is_floor,
        tokens=tokens,
        corrupted=None if images.corrupt is None else corrupted,
    )


def pixels_arm(images: Inputs) -> Arm:
    """Return the floor of raw pixels."""
    return Arm(
        train=pixels(images.train)[:, None],
        test=pixels(images.test),
        layer="raw pixels",
        pooling="none",
        is_floor=True,
        corrupted=None if images.corrupt is None else lambda kind, severity: pixels(images.corrupted(kind, severity)),
    )


def augmented_pixels_arm(images: Inputs, augment: AugmentImages, preprocess: Preprocess, num_copies: int = 4) -> Arm:
    """Return the floor of raw pixels whose probe also sees augmented copies: what the augmentations alone bring.

    Args:
        images: Source pixels.
        augment: The augmentations that the encoder was trained with; returns what the encoder would take.
        preprocess: Makes of source pixels what the encoder takes, so that copies and originals have one scale.
        num_copies: Augmented copies of each train image, beside the original.

    Raises:
        UserError: If copies and originals differ in size.
    """
    original = preprocess(images.train).flatten(1)
    copies = [augment(images.train, images.train_ids, copy).flatten(1) for copy in range(num_copies)]
    if any(copy.shape != original.shape for copy in copies):
        raise UserError(
            f"Augmented and plain images must have one size to share a probe, got {tuple(copies[0].shape)} and "
            f"{tuple(original.shape)} after flattening."
        )
    plain = preprocess(images.test).flatten(1)
    return Arm(
        train=torch.stack([original, *copies], dim=1).float().cpu(),
        test=plain.float().cpu(),
        layer="raw pixels",
        pooling=f"none; train set with {num_copies} augmented copies of each image",
        is_floor=True,
        corrupted=None
        if images.corrupt is None
        else lambda kind, severity: preprocess(images.corrupted(kind, severity)).flatten(1).float().cpu(),
    )
