"""Ask about every patch of a grid: sets of hidden patches that together cover it, of kinds that tell different things.

    moment   columns far apart are hidden: is a stretch of time what the time around it lets expect?
    row      one row is hidden all along: is a channel, or a band, what the others let expect?
    cell     in each column one patch is hidden: is it what all that surrounds it lets expect?
    half     a random half is hidden, then the other: as in training, a bit of everything

The sets are the same for all samples, so what is found about one never depends on its place in a batch.
"""

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch
from jaxtyping import Bool
from torch import Tensor

from jepakit.masking.blocks import Grid, random_order
from jepakit.types import Hidden, require

Kind = Literal["moment", "row", "cell", "half"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_APART = 4
"""Columns from one that is hidden to the next."""


def covering(kind: Kind, grid: Grid) -> list[Hidden]:
    """Return questions about one sample that together ask about every patch once.

    Args:
        kind: What is hidden together.
        grid: Rows and columns of patches.

    Raises:
        UserError: The grid is too small for the kind: nothing would be left to see.

    Example:
        >>> [hidden.target_idx.tolist() for hidden in covering("row", (2, 3))]
        [[[[0, 1, 2]]], [[[3, 4, 5]]]]
    """
    row = torch.arange(grid[0]).repeat_interleave(grid[1])
    column = torch.arange(grid[1]).repeat(grid[0])
    asked = _ASKED[kind](row, column, grid)
    require(
        not bool(asked.all(dim=1).any()),
        f"Of {grid[0]} x {grid[1]} patches nothing is left to see where a {kind} is hidden.",
    )
    return [Hidden((~one).nonzero().view(1, -1), one.nonzero().view(1, 1, -1)) for one in asked]


def _moments(row: Tensor, column: Tensor, grid: Grid) -> Bool[Tensor, "q n"]:
    apart = min(_APART, grid[1])
    return column % apart == torch.arange(apart)[:, None]


def _rows(row: Tensor, column: Tensor, grid: Grid) -> Bool[Tensor, "q n"]:
    return row == torch.arange(grid[0])[:, None]


def _cells(row: Tensor, column: Tensor, grid: Grid) -> Bool[Tensor, "q n"]:
    apart = max(grid[0], 2)
    return (row + column) % apart == torch.arange(apart)[:, None]


def _halves(row: Tensor, column: Tensor, grid: Grid) -> Bool[Tensor, "q n"]:
    order = random_order(0, torch.zeros(1, dtype=torch.long), 0, len(row)).argsort(dim=1)
    is_first = torch.zeros(1, len(row), dtype=torch.bool).scatter(1, order[:, : len(row) // 2], True)
    return torch.cat((is_first, ~is_first))


_ASKED: Mapping[str, Callable[[Tensor, Tensor, Grid], Bool[Tensor, "q n"]]] = {
    "moment": _moments,
    "row": _rows,
    "cell": _cells,
    "half": _halves,
}
