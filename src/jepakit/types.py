"""Define the words that every floor shares: the shape alphabet, typed batches, `Prediction` and the protocols.

Shape alphabet (annotations, einops strings and docstrings all use these letters and no others):

    b batch   t time   n tokens   k context tokens   m target tokens   v views   q questions asked about one sample
    d embedding   g groups (positions, times or views)   r rows (one per question and target)
    c h w pixels   s plan samples   a action

Video is `b t c h w` at every public border. Counts are `num_x`, sizes `x_dim`, seconds `x_s`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor


class UserError(ValueError):
    """A mistake that its author can mend: the command line prints its one sentence and leaves with status 2."""


class Caution(UserWarning):
    """What stops nothing, but should be known: the command line prints its one sentence."""


def require(ok: bool, message: str) -> None:
    """Raise `UserError` with this sentence unless `ok`."""
    if not ok:
        raise UserError(message)


B = TypeVar("B", bound="TensorBatch")


class TensorBatch:
    """Share what batches do alike, whatever tensors they hold: each of a sample a row, one of them perhaps absent."""

    id: Int[Tensor, " b"]

    def __len__(self) -> int:
        return len(self.id)

    def to(self: B, device: torch.device | str) -> B:
        """Move all tensors to `device` without waiting for the copies."""
        held = (None if part is None else part.to(device, non_blocking=True) for part in self._held())
        return type(self)(*held)

    def parts(self: B, num: int) -> list[B]:
        """Cut the batch into parts of nearly equal size."""
        cut = ([None] * num if part is None else part.tensor_split(num) for part in self._held())
        return [type(self)(*part) for part in zip(*cut, strict=True)]

    def _held(self) -> list[Tensor | None]:
        held: Any = self
        return [getattr(held, one.name) for one in fields(held)]


@dataclass(frozen=True)
class ImageBatch(TensorBatch):
    """Hold source pixels and the stable id of each sample, on which every random draw about it depends."""

    image: UInt8[Tensor, "b c h w"]
    id: Int[Tensor, " b"]

    @property
    def content(self) -> UInt8[Tensor, "b c h w"]:
        """Return what views are made of."""
        return self.image


@dataclass(frozen=True)
class SignalBatch(TensorBatch):
    """Hold signals, NaN where nothing was measured, and the stable id of each.

    Args:
        signal: Values of each channel over time: of a sound, of a window of a record; a row of a table has `t = 1`.
        id: On which every random draw about a signal depends.
    """

    signal: Float[Tensor, "b c t"]
    id: Int[Tensor, " b"]

    @property
    def content(self) -> Float[Tensor, "b c t"]:
        """Return what views are made of."""
        return self.signal


@dataclass(frozen=True)
class VideoBatch(TensorBatch):
    """Hold source pixels of clips and the stable id of each clip.

    Args:
        video: Frames of each clip, in time.
        id: On which every random draw about a clip depends.
    """

    video: UInt8[Tensor, "b t c h w"]
    id: Int[Tensor, " b"]

    @property
    def content(self) -> UInt8[Tensor, "b t c h w"]:
        """Return what views are made of."""
        return self.video


Samples = ImageBatch | SignalBatch | VideoBatch
"""What methods of images, signals and video learn from: one row a sample, nothing between them."""

Content = Shaped[Tensor, "b ..."]
"""What such a batch holds before any view is made of it: uint8 pixels (b, c, h, w) or (b, t, c, h, w), or floats."""


@dataclass(frozen=True)
class ClipBatch(TensorBatch):
    """Hold clips of `t` frames, the actions between them, and the stable id of each clip.

    Args:
        frames: Source pixels.
        action: What was done between each frame and the next.
        id: On which every random draw about a clip depends.
        proprio: What the body felt at each frame (joint angles, velocities), where there is such a thing.
    """

    frames: UInt8[Tensor, "b t c h w"]
    action: Float[Tensor, "b _ a"]
    id: Int[Tensor, " b"]
    proprio: Float[Tensor, "b t p"] | None = None


@runtime_checkable
class Batch(Protocol):
    """What the training loop knows of a batch."""

    @property
    def id(self) -> Int[Tensor, " b"]:
        """Return the stable id of each sample."""
        ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device | str) -> "Batch":
        """Move to `device`."""
        ...

    def parts(self, num: int) -> Sequence["Batch"]:
        """Cut into parts of nearly equal size."""
        ...


@dataclass(frozen=True)
class Hidden:
    """Say what is seen and what is asked: token indices, `q` questions of `m` targets about each sample.

    Args:
        context_idx: What is seen.
        target_idx: What is asked about.
        kind: Which of a method's kinds of masks this is; a predictor may have a mask token for each.
    """

    context_idx: Int[Tensor, "b k"]
    target_idx: Int[Tensor, "b q m"]
    kind: int = 0


@dataclass(frozen=True)
class Prediction:
    """Hold what a method predicted and what came true: one row per question and target.

    Args:
        z_hat: Predicted embeddings; gradient flows.
        z: Embeddings that came true; carries gradient only where the target provider is shared.
        weight: Weight of each row in the mean energy; not normalised.
        sample: Index into the batch of each row.
        group: Position, time or view of each row. Nothing may pool blindly over it.
        spaces: Embeddings that regularizers read, per group across samples.
        aux: Further scalar losses by name (already global means over all processes).
    """

    z_hat: Float[Tensor, "r d"]
    z: Float[Tensor, "r d"]
    weight: Float[Tensor, " r"]
    sample: Int[Tensor, " r"]
    group: Int[Tensor, " r"]
    spaces: Mapping[str, Float[Tensor, "b g _"]] = field(default_factory=dict)
    aux: Mapping[str, Float[Tensor, ""]] = field(default_factory=dict)


@dataclass(frozen=True)
class StepOutput:
    """Hold the result of one step: a loss to differentiate, its detached terms, and the energy of each sample."""

    loss: Float[Tensor, ""]
    terms: Mapping[str, Float[Tensor, ""]]
    energy: Float[Tensor, " b"]


@runtime_checkable
class Encoder(Protocol):
    """Map what is seen, an image or a signal laid out as one, to tokens: any `nn.Module` that is called like this."""

    embedding_dim: int

    def __call__(
        self, x: Float[Tensor, "b *t c h w"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b n d"]:
        """Return the tokens of the whole input, or of the context alone."""
        ...


@runtime_checkable
class Method(Protocol):
    """What the training loop, the evaluation and the report know of a method, and nothing else."""

    def __call__(self, batch: Any, step: int) -> StepOutput:
        """Predict and score one batch; `step` selects the random draws."""
        ...

    def encode(self, x: Float[Tensor, "b *t c h w"], *, tokens: bool = False) -> Tensor:
        """Return (b, d) pooled embeddings, or (b, n, d) tokens after the final norm."""
        ...

    def spaces(self, x: Float[Tensor, "b *t c h w"]) -> Mapping[str, Float[Tensor, "b g _"]]:
        """Return the embeddings whose health is watched: encoder, target, projector."""
        ...

    def after_step(self, step: int) -> None:
        """Do what follows an optimizer step, such as the moving average of a target."""
        ...

    def param_groups(self) -> Iterable[dict[str, Any]]:
        """Return optimizer groups: {"params", "names", "decay": bool}."""
        ...
