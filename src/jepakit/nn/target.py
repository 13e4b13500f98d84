"""Provide the embeddings that a predictor must hit: from the same weights, from a moving average, or from a frozen net.

All three see the whole input and return its tokens. They differ in who carries gradient and who moves:

    SharedTarget   the live encoder itself; gradient flows (a regularizer must prevent collapse)
    EMATarget      a copy that follows the encoder after every optimizer step; no gradient
    FrozenTarget   a network that never changes; no gradient, always in eval mode
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.types import UserError

TokenMap = Callable[[Tensor], Tensor]


def normalise_tokens(tokens: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """Return the tokens with mean 0 and variance 1 over the embedding (LayerNorm without parameters), in >= float32."""
    wide = torch.promote_types(tokens.dtype, torch.float32)
    return F.layer_norm(tokens.to(wide), tokens.shape[-1:])


class Target(nn.Module, ABC):
    """Map an input to the tokens that a predictor has to predict.

    Args:
        head: What is done to the tokens before they are predicted: `normalise_tokens`, a `Whitening`; of a shared
            target also a `Projector`; None for nothing.

    Attributes:
        shared: Whether the targets are the live encoder's own tokens, so that gradient flows through them.
    """

    shared: bool = False

    def __init__(self, head: TokenMap | None = None):
        super().__init__()
        self.head = head

    @abstractmethod
    def tokens(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b n d"]:
        """Return the tokens of the whole input, before the head."""

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b n d"]:
        """Return the target tokens of the whole input."""
        tokens = self.tokens(x)
        return tokens if self.head is None else self.head(tokens)

    def after_step(self, step: int) -> None:
        """Do what follows optimizer step `step` (counted from 0); nothing, unless the target moves."""
        return None


class SharedTarget(Target):
    """Take the live encoder's own tokens as targets; gradient flows through them.

    The encoder is *not* registered here: the method that owns it registers it, so that `parameters()`, `state_dict()`
    and the optimizer see each weight once.

    Args:
        encoder: The live encoder.
        head: See `Target`.
    """

    shared = True

    def __init__(self, encoder: nn.Module, head: TokenMap | None = None):
        super().__init__(head)
        self._live = (encoder,)  # a tuple, because nn.Module would register a bare module a second time

    def tokens(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b n d"]:
        """Encode the whole input with the live weights."""
        tokens: Tensor = self._live[0](x)
        return tokens


class EMATarget(Target):
    """Take targets from an exponential moving average of the encoder's weights; no gradient reaches either.

    After optimizer step i every parameter becomes `m * average + (1 - m) * live` with m = schedule(i). Buffers are
    left alone: a BatchNorm of the copy keeps running statistics of its own, from the batches the copy sees, which is
    why the copy follows `train()` and `eval()` like any other module.

    Args:
        encoder: The live encoder; copied once, and read after every step. Only the copy is registered here.
        schedule: Momentum at each step, in [0, 1], e.g. `Linear(start=0.996, end=1.0, num_steps=...)`.
        head: See `Target`.

    Raises:
        UserError: If the weights are kept in less than float32 (1 - m is below bfloat16's resolution), or the head has
            weights, which nothing would train.

    Source: Assran et al. 2023, I-JEPA (arXiv 2301.08243), section 3; Grill et al. 2020, BYOL (arXiv 2006.07733).
    Deviations: none.
    """

    def __init__(self, encoder: nn.Module, schedule: Callable[[int], float], head: TokenMap | None = normalise_tokens):
        super().__init__(_without_weights(head))
        self._live = (encoder,)  # a tuple, because nn.Module would register a bare module a second time
        self.encoder = copy.deepcopy(encoder).requires_grad_(False)
        self.schedule = schedule
        _check_precision(list(self.encoder.parameters()))

    @torch.no_grad()
    def tokens(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b n d"]:
        """Encode the whole input with the averaged weights, without gradient."""
        tokens: Tensor = self.encoder(x)
        return tokens

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Move the average towards the live weights with momentum `schedule(step)`, all tensors in one call."""
        average: list[Tensor] = list(self.encoder.parameters())
        if not average:
            return
        _check_precision(average)
        live = [p.detach() for p in self._live[0].parameters()]
        torch._foreach_lerp_(average, live, 1.0 - self.schedule(step))


class FrozenTarget(Target):
    """Take targets from a network that never changes: no gradient, no updates, eval mode whatever `train()` says.

    Args:
        module: Maps inputs to tokens; copied, so that a live encoder given here stays trainable.
        head: See `Target`.

    Raises:
        UserError: The head has weights, which nothing would train.
    """

    def __init__(self, module: nn.Module, head: TokenMap | None = normalise_tokens):
        super().__init__(_without_weights(head))
        self.module = copy.deepcopy(module).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "FrozenTarget":
        """Set this module's mode, and keep the frozen network in eval mode."""
        super().train(mode)
        self.module.eval()
        return self

    @torch.no_grad()
    def tokens(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b n d"]:
        """Encode the whole input with the frozen weights, without gradient."""
        tokens: Tensor = self.module(x)
        return tokens


def _without_weights(head: TokenMap | None) -> TokenMap | None:
    if isinstance(head, nn.Module) and any(True for _ in head.parameters()):
        raise UserError(
            f"a target without gradient cannot have a head with weights, such as this {type(head).__name__}; "
            "give normalise_tokens, a Whitening or None, or take a SharedTarget."
        )
    return head


def _check_precision(parameters: Sequence[Tensor]) -> None:
    narrow = {p.dtype for p in parameters if p.dtype in (torch.bfloat16, torch.float16)}
    if narrow:
        raise UserError(
            f"a moving average needs weights in float32, got {', '.join(sorted(map(str, narrow)))}; "
            "keep the model in float32 and use autocast for speed."
        )
