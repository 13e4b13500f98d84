"""Give a world the face of a gymnasium environment: one episode at a time, pictures as observations."""

from typing import Any

import gymnasium
import numpy as np
import torch

from jepakit.types import UserError
from jepakit.worlds.world import World

Picture = np.ndarray[Any, np.dtype[np.uint8]]


class WorldEnv(gymnasium.Env[Any, Any]):
    """Reach a world's goals.

    The reward is 0 at the goal and -1 elsewhere; an episode ends there. `info` holds the goal's picture, the distance
    to it in the world's units, and every factor of the state and, as `goal_NAME`, of the goal.

    Args:
        world: Where.
        num_steps: Steps after which an episode is cut off.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - gymnasium's own form

    def __init__(self, world: World, num_steps: int = 200):
        self.world = world
        self.num_steps = num_steps
        self.render_mode = "rgb_array"
        self.action_space = world.action_space
        self.observation_space = world.observation_space
        self._state: Any = None
        self._goal: Any = None
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Picture, dict[str, Any]]:
        """Begin an episode: that of `options["episode"]`, or one drawn by gymnasium's generator."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31))
        episode = torch.tensor([int((options or {}).get("episode", drawn))])
        self._state, self._goal = self.world.task(episode)
        self._steps = 0
        return self._picture(self._state), self._info()

    def step(self, action: Any) -> tuple[Picture, float, bool, bool, dict[str, Any]]:
        """Act.

        Raises:
            UserError: There is no episode yet, or the action is not as many finite numbers as the world's are.
        """
        if self._state is None:
            raise UserError("No episode has begun; call reset() first.")
        self._state = self.world.step(self._state, self._checked(action)[None])
        self._steps += 1
        reached = bool(self.world.reached(self._state, self._goal))
        reward = 0.0 if reached else -1.0
        return self._picture(self._state), reward, reached, self._steps >= self.num_steps, self._info()

    def render(self) -> Picture:
        """Return what is seen and, to its right, the goal, in red, green and blue.

        Raises:
            UserError: There is no episode yet.
        """
        if self._state is None:
            raise UserError("No episode has begun; call reset() first.")
        both = np.concatenate([self._picture(state) for state in (self._state, self._goal)], axis=2)
        colours = np.zeros((3, *both.shape[1:]), np.uint8)
        colours[: len(both)] = both[:3]
        return colours.transpose(1, 2, 0)

    def _checked(self, action: Any) -> torch.Tensor:
        shape, name = self.action_space.shape or (), type(self.world).__name__
        try:
            values = torch.as_tensor(np.asarray(action, dtype=np.float32))
        except (TypeError, ValueError):
            values = torch.empty(0)
        if values.shape != shape or not bool(values.isfinite().all()):
            raise UserError(f"An action of {name} is {shape[0]} finite numbers, got {action!r}.")
        return values

    def _picture(self, state: Any) -> Picture:
        picture: Picture = self.world.render(state)[0].numpy()
        return picture

    def _info(self) -> dict[str, Any]:
        now = {name: value[0].clone().numpy() for name, value in self.world.factors(self._state).items()}
        end = {f"goal_{name}": value[0].clone().numpy() for name, value in self.world.factors(self._goal).items()}
        distance = float(self.world.distance(self._state, self._goal))
        return {**now, **end, "goal": self._picture(self._goal), "distance": distance}
