"""Hold several small networks of one shape as one: a batched product of matrices does the work of all at once."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from jepakit.nn.whiten import Whitening
from jepakit.random import seeded_init
from jepakit.types import require


class StackedMLP(nn.Module):
    """Apply one MLP of its own to each slice of a batch: (Linear, LayerNorm, GELU) for each hidden size, then a Linear.

    No network knows of the others: outputs, gradients and, by an optimizer that treats every number alone, such as
    Adam without clipping, weights are those of each network trained by itself.

    Args:
        seeds: One for each network, which alone says its initial weights (torch's defaults for `Linear`).
        name: What is drawn; networks of other names share nothing.
        widths: Sizes of input, hidden layers and output.

    Raises:
        UserError: There is no seed, or there are not two widths.

    Example:
        >>> nets = StackedMLP([0, 1, 2], "encoder", (4, 8, 2))
        >>> nets(torch.zeros(3, 10, 4)).shape
        torch.Size([3, 10, 2])
    """

    def __init__(self, seeds: Sequence[int], name: str, widths: Sequence[int]):
        super().__init__()
        has_all = len(seeds) >= 1 and len(widths) >= 2
        require(has_all, f"A StackedMLP needs a seed and two widths or more, got {list(seeds)} and {list(widths)}.")
        alone = []
        for seed in seeds:
            with seeded_init(seed, name):
                alone.append([nn.Linear(width_in, width_out) for width_in, width_out in pairwise(widths)])
        layers = list(zip(*alone, strict=True))
        self.weights = nn.ParameterList(torch.stack([layer.weight.detach().T for layer in same]) for same in layers)
        self.biases = nn.ParameterList(torch.stack([layer.bias.detach()[None] for layer in same]) for same in layers)

    def forward(self, x: Float[Tensor, "s b k"]) -> Float[Tensor, "s b d"]:
        """Return what each network makes of its own rows."""
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if i:
                x = F.gelu(F.layer_norm(x, x.shape[-1:]))
            x = torch.baddbmm(bias, x, weight)
        return x


class StackedWhitening(nn.Module):
    """Whiten the rows of each slice by statistics of its own (`Whitening`); no gradient passes.

    Args:
        num: Slices.
        dim: Width of a row.
    """

    def __init__(self, num: int, dim: int):
        super().__init__()
        self.each = nn.ModuleList(Whitening(1, dim) for _ in range(num))

    def forward(self, rows: Float[Tensor, "s b d"]) -> Float[Tensor, "s b d"]:
        """Return whitened rows."""
        return torch.stack([white(slice_[:, None])[:, 0] for white, slice_ in zip(self.each, rows, strict=True)])
