"""Pairs of clips, one lawful and one not: the same pictures before and after, and something that does not follow."""

from collections.abc import Callable
from typing import Any

from jepakit.types import UserError
from jepakit.worlds.bouncing_balls import BouncingBalls
from jepakit.worlds.point_maze import PointMaze2D
from jepakit.worlds.push_disc import PushDisc
from jepakit.worlds.reacher import Reacher2D
from jepakit.worlds.swm_two_room import SWMTwoRoom
from jepakit.worlds.two_rooms import TwoRooms
from jepakit.worlds.violations.balls import back as back
from jepakit.worlds.violations.balls import elsewhere as elsewhere
from jepakit.worlds.violations.balls import undisturbed as undisturbed
from jepakit.worlds.violations.balls import untimely as untimely
from jepakit.worlds.violations.looks import noisy as noisy
from jepakit.worlds.violations.looks import recoloured as recoloured
from jepakit.worlds.violations.mazes import through_a_wall as through_a_wall
from jepakit.worlds.violations.pairs import Pairs as Pairs
from jepakit.worlds.violations.pairs import Setting as Setting
from jepakit.worlds.violations.pushes import moved_by_nothing as moved_by_nothing
from jepakit.worlds.violations.rooms import through_the_wall as through_the_wall
from jepakit.worlds.violations.told import told_the_opposite as told_the_opposite

Maker = Callable[[Setting, int], Pairs]

LOOKS: dict[str, Maker] = {"colour": recoloured, "noise": noisy}
"""Changes that break no law, in any world."""


def violations_of(world: Any) -> dict[str, Maker]:
    """Return the kinds of violation that can be made in a world, by name.

    Raises:
        UserError: There are none: it is not one of the embedded worlds, or of a form in which nothing can be unlawful.
    """
    kinds: dict[str, Maker] = {}
    if isinstance(world, BouncingBalls):
        if world.num_balls == 1 and world.screen_width:
            kinds = {"elsewhere": elsewhere, "back": back, "untimely": untimely}
    elif isinstance(world, TwoRooms):
        kinds = {"told": told_the_opposite}
        if world.layout == "random":
            kinds["wall"] = through_the_wall
    elif isinstance(world, PointMaze2D):
        kinds = {"told": told_the_opposite, "wall": through_a_wall}
    elif isinstance(world, PushDisc):
        kinds = {"told": told_the_opposite, "untouched": moved_by_nothing}
    elif isinstance(world, (SWMTwoRoom, Reacher2D)):
        kinds = {"told": told_the_opposite}
    if not kinds:
        raise UserError(
            f"No violations are known of {world}; BouncingBalls needs num_balls=1 and a screen, and worlds before a "
            "background are asked without it."
        )
    return kinds
