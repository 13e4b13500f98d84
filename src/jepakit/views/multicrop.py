"""Make several views of each image: a few large ones and some small local ones.

Source: Caron et al. 2020, "Unsupervised learning of visual features by contrasting cluster assignments" (arXiv
2006.09882), section 3.3. Deviations: none beyond those of `Augment`.
"""

from dataclasses import dataclass

from jaxtyping import Int, UInt8
from torch import Tensor

from jepakit.types import require
from jepakit.views.augment import Augment
from jepakit.views.view import View


@dataclass(frozen=True, kw_only=True)
class MultiCrop:
    """Make `num_global` views by one set of rules, then `num_local` by another; no two views share a draw.

    Args:
        global_: Rules of the large views.
        local: Rules of the small views; may be absent if there are none.
        num_global: Number of large views.
        num_local: Number of small views.

    Raises:
        UserError: There are no views, or small views without rules.
    """

    global_: Augment
    local: Augment | None = None
    num_global: int = 2
    num_local: int = 0

    def __post_init__(self) -> None:
        require(self.num_global >= 1, f"MultiCrop: num_global must be at least 1, got {self.num_global}.")
        require(self.num_local >= 0, f"MultiCrop: num_local cannot be negative, got {self.num_local}.")
        require(
            self.num_local == 0 or self.local is not None,
            f"MultiCrop: num_local is {self.num_local}, but `local` says nothing; give an Augment for the small views.",
        )

    def __call__(self, image: UInt8[Tensor, "b _ h w"], ids: Int[Tensor, " b"], step: int) -> tuple[View, ...]:
        """Return the global views, then the local ones."""
        rules = [self.global_] * self.num_global + [self.local or self.global_] * self.num_local
        return tuple(augment(image, ids, step, view) for view, augment in enumerate(rules))
