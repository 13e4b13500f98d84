"""Begin a network: with cosines of space and colour for natural images, with weights for each feature of a table.

Patches of natural images are nearly uncorrelated along them, and BatchNorm gives each the same size, so that what is
faint in a patch (its texture) counts from the first step like what is strong (its brightness).
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from jepakit.nn.batchnorm import BatchNorm


class CosineStem(nn.Module):
    """Map each patch alone to a token: cosines, both signs, BatchNorm, GELU, and a linear map.

    A fresh one already describes a patch by what is in it. Its weights are trained like any others.

    Args:
        patch_size: Height and width of a patch; of a signal 1 and the moments of one token.
        in_channels: Channels of the images, or planes of what a signal is laid out as.
        dim: Width of a token.

    Source: our own; a first layer of whitened patches and a rectifier after Coates, Lee and Ng 2011, "An analysis of
    single-layer networks in unsupervised feature learning" (AISTATS), with cosines in place of learned centres.
    """

    def __init__(self, patch_size: tuple[int, int], in_channels: int, dim: int):
        super().__init__()
        self.patch_size = patch_size
        self.in_channels = in_channels
        width = 2 * in_channels * patch_size[0] * patch_size[1]
        self.basis = nn.Linear(width // 2, width, bias=False)
        self.bn = BatchNorm(width)
        self.proj = nn.Linear(width, dim)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set the cosines and draw the linear map, which keeps variances."""
        filters = cosine_filters(self.in_channels, *self.patch_size).flatten(1)
        self.basis.weight.copy_(torch.cat((filters, -filters)))
        self.bn.reset_parameters()
        nn.init.normal_(self.proj.weight, std=self.proj.in_features**-0.5)
        nn.init.zeros_(self.proj.bias)

    def forward(self, patches: Float[Tensor, "b n p"]) -> Float[Tensor, "b n d"]:
        """Return a token for each patch of p = channels * height * width numbers."""
        rows = self.bn(self.basis(patches.flatten(0, 1)))
        tokens: Tensor = self.proj(F.gelu(rows))
        return tokens.unflatten(0, patches.shape[:2])


class FeatureStem(nn.Module):
    """Map what each feature of a row holds to a token by weights of its own: numbers by w x + b, categories by a table.

    There is one linear map for each place; the plane that says what was measured carries the bias, so that a missing
    value is the zero vector, and the planes of the categories carry the table.

    Args:
        num_tokens: Places: the features, and [REG].
        patch_dim: Planes.
        dim: Width of a token.

    Source: the feature tokenizer of Gorishniy et al. 2021, "Revisiting deep learning models for tabular data" (arXiv
    2106.11959), section 3.3. Deviations: first weights are normal, of the size that a token has in the end.
    """

    def __init__(self, num_tokens: int, patch_dim: int, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_tokens, patch_dim, dim))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the weights."""
        nn.init.normal_(self.weight)

    def forward(
        self, patches: Float[Tensor, "b k p"], context_idx: Int[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b k d"]:
        """Return a token for each patch; `context_idx` says which places they are of, where not all are there."""
        weight = self.weight if context_idx is None else self.weight[context_idx]
        return torch.einsum("bkp,kpd->bkd" if context_idx is None else "bkp,bkpd->bkd", patches, weight)


def cosine_filters(channels: int, height: int, width: int) -> Float[Tensor, "n channels height width"]:
    """Return an orthonormal basis of patches: products of cosines along channels, rows and columns, smoothest first.

    Over three channels the cosines are brightness, red against blue, and green against both. The order is that of
    falling variance in natural images: 1 / (1 + frequency squared) in space, and steeper along the colours.

    Source: the type-II discrete cosine transform. Deviations: none.
    """
    basis = torch.einsum("ac,ih,jw->aijchw", *(_cosines(n) for n in (channels, height, width))).flatten(0, 2)
    colour, rows, columns = (torch.arange(n, dtype=torch.float32).square() for n in (channels, height, width))
    energy = 1 / ((1 + 9 * colour)[:, None, None] * (1 + rows[:, None] + columns))
    return basis[energy.flatten().argsort(descending=True, stable=True)]


def _cosines(n: int) -> Float[Tensor, "n n"]:
    """Return the orthonormal cosines of n samples, one a row, slowest first."""
    index = torch.arange(n, dtype=torch.float32)
    waves = torch.cos(math.pi * index[:, None] * (index + 0.5) / n)
    return waves / waves.norm(dim=1, keepdim=True)
