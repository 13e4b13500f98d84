"""Draw mazes on square grids of cells, tell which are for training and which held out, and measure their ways.

A maze is a random spanning tree of the grid (Kruskal's algorithm on random weights), with a share of the walls that are
left opened too, so that some ways have alternatives. Whether it is held out is decided by a hash of its walls alone:
the two kinds have no maze in common, whatever seeds, numbers or other settings they were drawn with.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import UserError

_AT_ONCE, _PATIENCE = 64, 40
"""Candidates drawn at once, and how many of them, for each maze asked for, are tried before giving up."""


@dataclass(frozen=True)
class Mazes:
    """Hold l mazes of n x n cells, cell (row, column) being number n row + column.

    Args:
        closed: Whether a cell has a wall on its left, right, upper and lower side, in this order.
        ways: Cells to walk between any two, 0 from a cell to itself.
    """

    closed: Bool[Tensor, "l 4 n n"]
    ways: Int[Tensor, "l cells cells"]

    def to(self, device: torch.device) -> "Mazes":
        """Return them on a device."""
        return Mazes(self.closed.to(device), self.ways.to(device))


@lru_cache(maxsize=8)
def draw_mazes(size: int, loops: float, num: int, seed: int) -> Mazes:
    """Return `num` different mazes for training and, after them, `num` that are held out.

    Args:
        size: Cells of a side.
        loops: Share of the walls left by the spanning tree that are opened.
        num: Mazes of each kind; those of a smaller number are the first of a larger one's.
        seed: Seed of the draws.

    Raises:
        UserError: So small a grid has not so many different mazes.
    """
    found: dict[bool, dict[bytes, Tensor]] = {False: {}, True: {}}
    for first in range(0, _PATIENCE * num + _AT_ONCE, _AT_ONCE):
        for maze in _candidates(size, loops, seed, first):
            content = bytes(maze.byte().tolist())
            kind = found[is_held_out(content)]
            if len(kind) < num:
                kind.setdefault(content, maze)
        if min(len(kind) for kind in found.values()) == num:
            closed = _sides(torch.stack([*found[False].values(), *found[True].values()]), size)
            return Mazes(closed, measured_ways(closed))
    raise UserError(
        f"Grids of {size} x {size} cells have no {num} different mazes of each kind; ask for fewer layouts."
    )


def is_held_out(content: bytes) -> bool:
    """Return whether the maze with these walls (a byte for each, 1: open) is one of those never trained on."""
    return bool(hashlib.blake2b(content, digest_size=1).digest()[0] & 1)


def _candidates(size: int, loops: float, seed: int, first: int) -> list[Bool[Tensor, " walls"]]:
    """Return which walls are open in the mazes from number `first` on."""
    ends = _ends(size)
    u = Stream(seed, f"mazes/{size}").uniform(0, torch.arange(first, first + _AT_ONCE), 2 * len(ends))
    order = u[:, : len(ends)].argsort(dim=1, stable=True).tolist()
    opened = u[:, len(ends) :] < loops
    for maze, walls in enumerate(order):
        opened[maze, _spanning_tree(walls, ends, size * size)] = True
    return list(opened)


def _spanning_tree(walls: list[int], ends: list[tuple[int, int]], num_cells: int) -> list[int]:
    """Return the walls that, opened in this order, each join two parts that were apart."""
    part = list(range(num_cells))

    def root(cell: int) -> int:
        while part[cell] != cell:
            part[cell] = part[part[cell]]
            cell = part[cell]
        return cell

    tree = []
    for wall in walls:
        one, other = (root(cell) for cell in ends[wall])
        if one != other:
            part[one] = other
            tree.append(wall)
    return tree


def _ends(size: int) -> list[tuple[int, int]]:
    """Return the two cells beside each wall: first the walls between columns, then those between rows."""
    across = [(size * row + column, size * row + column + 1) for row in range(size) for column in range(size - 1)]
    down = [(size * row + column, size * (row + 1) + column) for row in range(size - 1) for column in range(size)]
    return across + down


def _sides(opened: Bool[Tensor, "l walls"], size: int) -> Bool[Tensor, "l 4 n n"]:
    """Return which sides of each cell are closed; those around the grid always are."""
    num = size * (size - 1)
    closed = torch.ones(len(opened), 4, size, size, dtype=torch.bool)
    across, down = ~opened[:, :num].view(-1, size, size - 1), ~opened[:, num:].view(-1, size - 1, size)
    closed[:, 0, :, 1:], closed[:, 1, :, :-1] = across, across
    closed[:, 2, 1:, :], closed[:, 3, :-1, :] = down, down
    return closed


def measured_ways(closed: Bool[Tensor, "l 4 n n"]) -> Int[Tensor, "l cells cells"]:
    """Return the cells to walk between any two (Floyd and Warshall's algorithm)."""
    size, cells = closed.shape[-1], torch.arange(closed.shape[-1] ** 2).view(closed.shape[-1], -1)
    ways: Float[Tensor, "l cells cells"] = torch.full((len(closed), size**2, size**2), torch.inf)
    ways[:, cells.flatten(), cells.flatten()] = 0.0
    for side, here, there in ((1, cells[:, :-1], cells[:, 1:]), (3, cells[:-1], cells[1:])):
        is_open = ~closed[:, side, : here.shape[0], : here.shape[1]].flatten(1)
        step = torch.where(is_open, 1.0, torch.inf)
        ways[:, here.flatten(), there.flatten()] = step
        ways[:, there.flatten(), here.flatten()] = step
    for cell in range(size**2):
        ways = torch.minimum(ways, ways[:, :, cell, None] + ways[:, None, cell])
    return ways.short()
