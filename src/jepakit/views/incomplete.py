"""Share what layouts of incomplete data do alike: their second plane says what was measured."""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


class Incomplete:
    """Tell which patches of what is laid out hold anything that was measured."""

    def measured(self, x: Float[Tensor, "b p h w"], patch_size: int | tuple[int, int]) -> Bool[Tensor, "b n"]:
        """Return of which patches something was measured; of all where nothing was, since there is no choice then."""
        found = F.max_pool2d(x[:, 1:2].float(), patch_size).flatten(1) > 0
        return found | ~found.any(dim=1, keepdim=True)

    @property
    def usual(self) -> Float[Tensor, "1 p h w"] | None:
        """Return what a usual sample looks like, where there is such a thing: places differ in what they hold."""
        return None
