"""Turn predicted and wanted embeddings into costs; only `ProbeSpace` has seen a label.

A cost is any function of predicted tokens, goal tokens and actions, so a user's own stands wherever these do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.planning.plan import Cost, narrowed
from jepakit.types import UserError

_TINY = 1e-12
"""Square below which a root's gradient would be none."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Weigh the steps of a plan against each other; what costs that look at every step share.

    Args:
        over: `last` looks at the last step, `mean` at all alike (the order of plans is that of their sum).
        discount: Weight of each step relative to the one before it, where all are looked at.

    Raises:
        UserError: `over` is neither, or the discount is not positive.
    """

    over: str = "mean"
    discount: float = 1.0

    def __post_init__(self) -> None:
        if self.over not in ("last", "mean") or self.discount <= 0:
            name = type(self).__name__
            raise UserError(
                f"{name} is over 'last' or 'mean', with a discount above 0, got {self.over}, {self.discount}."
            )

    def seen(self, z_hat: Float[Tensor, "b s t n d"]) -> Float[Tensor, "b s t1 n d"]:
        """Return the steps that count."""
        return z_hat[:, :, -1:] if self.over == "last" else z_hat

    def weighed(self, cost: Float[Tensor, "b s t"]) -> Float[Tensor, "b s"]:
        """Return the weighted mean over those steps."""
        weight = self.discount ** torch.arange(cost.shape[-1], device=cost.device, dtype=cost.dtype)
        return (cost * (weight / weight.sum())).sum(dim=-1)


@dataclass(frozen=True, kw_only=True)
class LatentDistance(Steps):
    """Take the mean squared distance between predicted and goal tokens, weighed over the steps of a plan.

    Args:
        root: Take its root: as steep near a goal as far from it, where squares are flat near a goal.

    The other arguments and the errors are those of `Steps`.
    """

    root: bool = False

    def __call__(
        self, z_hat: Float[Tensor, "b s t n d"], goal: Float[Tensor, "b n d"], actions: Float[Tensor, "b s _ a"]
    ) -> Float[Tensor, "b s"]:
        """Return the cost of each candidate, in at least float32."""
        apart = (_wide(self.seen(z_hat)) - _wide(goal)[:, None, None]).square().mean(dim=(-2, -1))
        return self.weighed(apart.clamp_min(_TINY).sqrt() if self.root else apart)


@dataclass(frozen=True, kw_only=True)
class Reachability(Steps):
    """Take the steps that a head says are left to the goal, learned from time alone, weighed over the steps of a plan.

    Args:
        head: Maps embeddings of two places, (..., d) each, to the steps from the first to the second, such as
            `jepakit.nn.ReachabilityHead` trained by `learn_reachability`. Tokens of a place are laid end to end.
        every: Ask about every so many steps of a plan, and about its last.
        precision: `bf16` lets the head compute under bf16 autocast; what it says is added up in float32.

    Source: TRM, arXiv 2605.22164. Deviations: steps to go are asked about along the way too, not at the end alone.
    """

    head: Callable[[Tensor, Tensor], Tensor]
    every: int = 1
    precision: str = "fp32"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every < 1:
            raise UserError(f"Reachability asks about every 1 or more steps, not every {self.every}.")
        if self.precision not in ("fp32", "bf16"):
            raise UserError(f"Reachability computes in fp32 or bf16, not in {self.precision!r}.")

    def __call__(
        self, z_hat: Float[Tensor, "b s t n d"], goal: Float[Tensor, "b n d"], actions: Float[Tensor, "b s _ a"]
    ) -> Float[Tensor, "b s"]:
        """Return the cost of each candidate, in steps."""
        asked = self.seen(z_hat).flip(2)[:, :, :: self.every].flip(2)  # counted from the end, which always counts
        with narrowed(self.precision, asked.device):
            steps = self.head(asked.flatten(-2), goal.to(asked).flatten(-2)[:, None, None])
        return self.weighed(_wide(steps))


@dataclass(frozen=True, kw_only=True)
class ActionPenalty:
    """Take the mean square of actions, or of the change from each to the next.

    Args:
        of: `size` or `change`.

    Raises:
        UserError: `of` is neither.
    """

    of: str = "size"

    def __post_init__(self) -> None:
        if self.of not in ("size", "change"):
            raise UserError(f"ActionPenalty is of 'size' or 'change', got {self.of!r}.")

    def __call__(
        self, z_hat: Float[Tensor, "b s t n d"], goal: Float[Tensor, "b n d"], actions: Float[Tensor, "b s _ a"]
    ) -> Float[Tensor, "b s"]:
        """Return the cost of each candidate."""
        if self.of == "size":
            return actions.square().mean(dim=(-2, -1))
        return actions.diff(dim=2).square().sum(dim=(-2, -1)) / (actions.shape[2] * actions.shape[3])


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbeSpace(Steps):
    """Take the mean squared distance in the space of a linear probe, which was fitted to labels.

    Args:
        weight: The probe's weight, from tokens laid end to end to the state; its bias cancels.
    """

    weight: Float[Tensor, "k d"]
    uses_labels: ClassVar[bool] = True

    def __call__(
        self, z_hat: Float[Tensor, "b s t n d"], goal: Float[Tensor, "b n d"], actions: Float[Tensor, "b s _ a"]
    ) -> Float[Tensor, "b s"]:
        """Return the cost of each candidate."""
        apart = (_wide(self.seen(z_hat)) - _wide(goal)[:, None, None]).flatten(-2)
        return self.weighed((apart @ self.weight.to(apart).T).square().mean(dim=-1))


@dataclass(frozen=True)
class WeightedSum:
    """Add several costs up.

    Args:
        terms: A weight and a cost each.

    Raises:
        UserError: There are none.
    """

    terms: tuple[tuple[float, Cost], ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise UserError("A sum of costs needs at least one.")

    @property
    def uses_labels(self) -> bool:
        """Return whether any of them has seen a label."""
        return any(uses_labels(cost) for _, cost in self.terms)

    def __call__(
        self, z_hat: Float[Tensor, "b s t n d"], goal: Float[Tensor, "b n d"], actions: Float[Tensor, "b s _ a"]
    ) -> Float[Tensor, "b s"]:
        """Return the cost of each candidate."""
        first, *rest = (weight * cost(z_hat, goal, actions) for weight, cost in self.terms)
        return sum(rest, start=first)


def uses_labels(cost: Cost) -> bool:
    """Return whether a cost says that it has seen state labels; a user's own function says so by that attribute."""
    return bool(getattr(cost, "uses_labels", False))


def _wide(x: Tensor) -> Tensor:
    """Return numbers in at least float32: sums over an embedding lose too much in half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
