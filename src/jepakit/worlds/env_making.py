"""Make gymnasium environments by name, with or without a screen, and say which actions a world can take."""

import os
from typing import Any

import gymnasium

from jepakit.types import UserError, require


def named(name: str, settings: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    """Make an environment that draws pictures.

    Where there is no screen, MuJoCo draws through EGL and pygame without a window, unless MUJOCO_GL or SDL_VIDEODRIVER
    say otherwise.

    Raises:
        UserError: There is none of that name, or its package is not installed.
    """
    if os.name == "posix" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("MUJOCO_GL", "egl")
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    try:
        return gymnasium.make(name, **{"render_mode": "rgb_array"} | settings)
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(
            f"There is no environment {name!r} here ({str(error).splitlines()[0].rstrip('.')}); pip install "
            "'jepakit[envs]' for PointMaze and PushT, and name the module that brings it, as in "
            "'gym_pusht:gym_pusht/PushT-v0'."
        ) from error


def actions_of(space: gymnasium.spaces.Space[Any], name: str) -> Any:
    """Return the action space of an environment.

    Raises:
        UserError: It is neither a bounded box of one axis nor choices.
    """
    is_box = isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 and space.is_bounded()
    require(
        is_box or isinstance(space, gymnasium.spaces.Discrete),
        f"{name} has actions of {space}; a world needs a bounded box of one axis, or choices.",
    )
    return space
