"""PushT: the package gym-pusht behind a world's face, with actions as in stable-worldmodel and LeWM.

A disc is moved in an arena of 512 units and pushes a T. An action in [-1, 1]^2 sets where the disc is drawn to, up to
100 units from where it is; it goes there by a spring and a damper, in a tenth of a second a step. A place is disc x, y,
T x, y (of the middle of its bar's outer edge) and the T's angle in radians.

An episode can begin in the midst of another one: the environment is reset with that one's seed and does again what was
done there (`resumed`). So disc, T, the disc's speed and what touches what are as they were; `reset_to_state` puts the T
beside where it is told and lets the disc stand.

Source: gym-pusht (Chi et al. 2023, arXiv 2303.04137); actions and success of LeWM (arXiv 2603.19312) and
stable-worldmodel (arXiv 2605.21800). Deviations: gym-pusht's own physics and colours; its green goal, which never
moves, stays in the picture but ends no episode; where the disc is drawn to lies inside the arena.
"""

import math
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from jepakit.worlds.angles import wrapped
from jepakit.worlds.env_making import named
from jepakit.worlds.gymnasium_world import EnvState, GymnasiumWorld

SIDE = 512.0
REACH = 100.0
"""Units from the disc to where an action of length 1 along an axis draws it."""

NEAR, TURN = 20.0, math.pi / 9
"""Distance of both places together, and angle in radians, below which a goal is reached."""


class PushT(GymnasiumWorld):
    """Push a T.

    Args:
        image_size: Height and width of pictures, drawn with 512 pixels and shrunk by area.
        draw_every: Steps from one picture to the next; those between are black. Drawing takes most of a step's time.
        seed: Seed of all episodes.
        max_envs: Most episodes at once.

    Raises:
        UserError: gym-pusht is not installed.
    """

    def __init__(self, *, image_size: int = 64, draw_every: int = 1, seed: int = 0, max_envs: int = 64):
        super().__init__(
            lambda: Drawn(made(), draw_every),
            image_size=image_size,
            proprio="observation",
            place="observation",
            max_envs=max_envs,
            seed=seed,
        )

    def resumed(self, ids: Int[Tensor, " b"], done: Sequence[Float[Tensor, "_ 2"]]) -> EnvState:
        """Begin episodes and do at once what is said for each, as if it had been done step by step.

        Args:
            ids: The episodes.
            done: Actions of each, as many as there were.
        """
        return self.show(ids, [{"done": actions.numpy()} for actions in done])

    def distance(self, state: EnvState, goal: EnvState) -> Float[Tensor, " b"]:
        """Return the Euclidean distance over both places, in units; the angle does not count."""
        return apart(state.place, goal.place)[0]

    def reached(self, state: EnvState, goal: EnvState) -> Bool[Tensor, " b"]:
        """Return whether disc and T are where they are to be."""
        return solved(state.place, goal.place)


def apart(place: Float[Tensor, "*b 5"], goal: Float[Tensor, "*b 5"]) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Return the distance over both places in units, and by how much the T's angles differ, from 0 to pi."""
    way = goal - place
    return torch.linalg.vector_norm(way[..., :4], dim=-1), wrapped(way[..., 4]).abs()


def solved(place: Float[Tensor, "*b 5"], goal: Float[Tensor, "*b 5"]) -> Bool[Tensor, "*b"]:
    """Return whether both places together are nearer than 20 units and the T is turned by less than 20 degrees."""
    far, turn = apart(place, goal)
    return (far < NEAR) & (turn < TURN)


class Drawn(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Draw the disc towards a point beside it, show no action, end no episode, and begin in the midst of one.

    Args:
        env: PushT, showing its state and drawing itself when asked.
        draw_every: Steps from one picture to the next.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], draw_every: int = 1):
        super().__init__(env)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.draw_every = draw_every
        self.since = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; the option `done` holds actions to be done before it is looked at."""
        seen, info = self.env.reset(seed=seed)
        base: Any = self.unwrapped
        base.success_threshold = math.inf  # its own goal is not ours
        for action in (options or {}).get("done", ()):
            seen, _, _, _, info = self.step(action)
        self.since = 0
        return seen, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Draw the disc up to `REACH` along each axis."""
        base: Any = self.unwrapped
        self.since += 1
        target = np.clip(np.asarray(base.agent.position) + REACH * np.asarray(action, np.float64), 0.0, SIDE)
        return self.env.step(target)

    def render(self) -> Any:
        """Return the picture that the environment takes for an observation, without a mark of the last action."""
        base: Any = self.unwrapped
        if self.since % self.draw_every:
            return np.zeros((1, 1, 3), np.uint8)  # grown to a picture, which costs less than shrinking a large one
        base.obs_type = "pixels"
        try:
            return base.get_obs()
        finally:
            base.obs_type = "state"


def made() -> gymnasium.Env[Any, Any]:
    """Make the environment.

    Raises:
        UserError: gym-pusht is not installed.
    """
    pixels = {"observation_width": int(SIDE), "observation_height": int(SIDE)}
    unwatched = {"disable_env_checker": True, "max_episode_steps": -1}
    return named("gym_pusht:gym_pusht/PushT-v0", {"obs_type": "state"} | pixels | unwatched)
