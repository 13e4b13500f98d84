"""Take from what a gymnasium environment returns the picture and the numbers that were asked for."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from jepakit.types import UserError, require

WHOLE = "observation"
RENDER = "render"


def picture_of(
    env: gymnasium.Env[Any, Any], seen: Any, part: str, image_size: int, name: str
) -> UInt8[Tensor, "c s s"]:
    """Return a picture of an environment, shrunk by area or grown to a square of the size asked for.

    Args:
        env: The environment, asked to draw where `part` is "render".
        seen: Its observation.
        part: "render", "observation" where the observation is a picture, or a part of it.
        image_size: Height and width.
        name: What to call the environment in messages.

    Raises:
        UserError: It draws nothing, or the part is missing or no picture.
    """
    picture = drawn_by(env, name) if part == RENDER else _part(seen, {}, part, name)
    pixels = np.asarray(picture) if picture is not None else np.empty(0)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.ndim == 3 and pixels.shape[2] not in (1, 3, 4) and pixels.shape[0] in (1, 3, 4):
        pixels = pixels.transpose(1, 2, 0)
    is_picture = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4)
    require(
        is_picture,
        f"{name} gives no uint8 picture as {part!r}, but {pixels.dtype} {pixels.shape}; make it with "
        "render_mode='rgb_array', or name the part of its observations that holds pictures.",
    )
    if pixels.shape[:2] != (image_size, image_size):
        mode = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        shrinks = min(pixels.shape[:2]) >= image_size
        kernel = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
        pixels = np.asarray(mode.resize((image_size, image_size), kernel)).reshape(image_size, image_size, -1)
    return torch.from_numpy(pixels[:, :, :3].transpose(2, 0, 1).copy())


def drawn_by(env: gymnasium.Env[Any, Any], name: str) -> Any:
    """Return what an environment draws.

    Raises:
        UserError: It cannot draw on this machine.
    """
    try:
        return env.render()
    except (ImportError, AttributeError, RuntimeError) as error:  # what lacking OpenGL ends in
        raise UserError(
            f"{name} cannot draw here ({error}); without a screen MuJoCo needs EGL (apt-get install libegl1 "
            "libgl1-mesa-dri), or MUJOCO_GL set to what there is."
        ) from error


def vector_of(seen: Any, info: Mapping[str, Any], part: str | None, name: str) -> Float[Tensor, " p"]:
    """Return the numbers of a part of an observation or of `info`; none where no part is asked for.

    Raises:
        UserError: There is no such part, or it holds no numbers, or some that are not finite.
    """
    if part is None:
        return torch.zeros(0)
    found = _part(seen, info, part, name)
    try:
        numbers = np.asarray(found, dtype=np.float32).reshape(-1)
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: {part!r} holds no numbers, but {type(found).__name__}.") from error
    require(
        bool(np.isfinite(numbers).all()), f"{name}: {part!r} holds numbers that are not finite: {numbers.tolist()}."
    )
    return torch.from_numpy(numbers.copy())


def _part(seen: Any, info: Mapping[str, Any], part: str, name: str) -> Any:
    """Return a part by its name: first of the observation, then of `info`, then the observation itself."""
    if isinstance(seen, Mapping) and part in seen:
        return seen[part]
    if part in info:
        return info[part]
    if part == WHOLE and not isinstance(seen, Mapping):
        return seen
    there = [*(seen if isinstance(seen, Mapping) else [WHOLE]), *info]
    raise UserError(f"{name} has no {part!r}; its observations and info have {', '.join(map(str, there))}.")
