"""Make pairs of PointMaze2D in which the ball moves from cell to cell: through an opening, or where there is a wall.

Ball and actions are the same in both clips. The unlawful one has one wall more, in all of its frames, drawn as the
world draws walls; the ball touches it in no frame.
"""

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from jepakit.types import UserError
from jepakit.worlds.painting import capsule
from jepakit.worlds.point_maze import BORDER, HALF_WALL, MARGIN, WALL_COLOUR, PointMaze2D
from jepakit.worlds.trajectories import Trajectories
from jepakit.worlds.violations.pairs import Pairs, Setting, chosen, gathered, in_blocks, with_frames

_CLEAR = MARGIN + 0.1
"""Distance in cells from the middle of a wall at which a ball's picture does not touch it."""


def through_a_wall(setting: Setting, num: int) -> Pairs:
    """Return pairs in which a wall is, or is not, where the ball passes.

    Raises:
        UserError: It is another world, or too few pairs come up.
    """
    if not isinstance(setting.world, PointMaze2D):
        raise UserError(f"Walls are put into PointMaze2D, not into {type(setting.world).__name__}.")

    def attempt(ids: Int[Tensor, " b"]) -> Pairs | None:
        made = setting.made(ids)
        block, begin, end, is_good = passages(made, setting.frame_skip)
        if not is_good.any():
            return None
        lawful = setting.clips(chosen(made, is_good), ids[is_good])
        walls = drawn_wall(setting.world, begin[is_good], end[is_good])
        return Pairs(lawful, with_frames(lawful, torch.maximum(lawful.frames, walls)), block[is_good] + 1)

    return gathered(attempt, num, setting.first)


def passages(
    made: Trajectories, frame_skip: int
) -> tuple[Int[Tensor, " b"], Float[Tensor, "b 2"], Float[Tensor, "b 2"], Bool[Tensor, " b"]]:
    """Return in which block a ball passes into another cell, the ends of the line it passes, and where that will do.

    In that block it passes from a cell into a neighbour, and nothing else; it stays clear of the line but for then.
    """
    position = made.of(made.states.position)
    cell = position.floor()
    by_block = in_blocks(cell, frame_skip)
    is_passage = by_block.diff(dim=2).abs().sum(dim=(2, 3)) == 1
    is_passage[:, [0, -1]] = False  # something is to be seen before and after
    block = is_passage.int().argmax(dim=1)
    rows = torch.arange(len(block))
    here, there = by_block[rows, block, 0], by_block[rows, block, -1]
    begin = torch.maximum(here, there)  # the corner that both cells share
    end = begin + (there - here).abs().flip(1)
    away = distance_to(position, begin, end)
    is_in_block = torch.arange(position.shape[1]) // frame_skip == block[:, None]
    is_clear = ((away >= MARGIN) | is_in_block).all(dim=1) & (away[:, ::frame_skip] >= _CLEAR).all(dim=1)
    return block, begin, end, is_passage.any(dim=1) & is_clear


def distance_to(
    position: Float[Tensor, "b t 2"], begin: Float[Tensor, "b 2"], end: Float[Tensor, "b 2"]
) -> Float[Tensor, "b t"]:
    """Return how far places are from lines one cell long, along x or y."""
    low, high = torch.minimum(begin, end)[:, None], torch.maximum(begin, end)[:, None]
    nearest = torch.minimum(torch.maximum(position, low), high)
    return (position - nearest).norm(dim=-1)


def drawn_wall(
    world: PointMaze2D, begin: Float[Tensor, "b 2"], end: Float[Tensor, "b 2"]
) -> UInt8[Tensor, "b 1 1 h w"]:
    """Draw walls on black as the world does."""
    scale = (world.image_size - 2 * BORDER) / world.size
    pixels = torch.arange(world.image_size).expand(len(begin), 2, -1)
    first, last = (BORDER - 0.5 + scale * place for place in (begin, end))
    cover = capsule(pixels, first, last, HALF_WALL * scale)
    return (WALL_COLOUR * cover).to(torch.uint8)[:, None, None]
