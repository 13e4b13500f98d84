"""Give a world the face of a gymnasium environment: one episode at a time, pictures as observations."""

from typing import Any

import gymnasium
import numpy as np
import torch

from jepakit.types import UserError
from jepakit.worlds.two_rooms import NEAR, TwoRooms, TwoRoomsState

Picture = np.ndarray[Any, np.dtype[np.uint8]]


class TwoRoomsEnv(gymnasium.Env[Any, Any]):
    """Reach a goal in the other room.

    The reward is 0 at the goal and -1 elsewhere; an episode ends within 4.5 pixels of it. `info` holds the goal's
    picture, both places in pixels, and the distance between them.

    Args:
        world: Layouts and seed.
        num_steps: Steps after which an episode is cut off.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - gymnasium's own form

    def __init__(self, world: TwoRooms | None = None, num_steps: int = 200):
        self.world = world or TwoRooms()
        self.num_steps = num_steps
        self.render_mode = "rgb_array"
        self.action_space = self.world.action_space
        self.observation_space = self.world.observation_space
        self._state: TwoRoomsState | None = None
        self._goal: TwoRoomsState | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Picture, dict[str, Any]]:
        """Begin an episode: that of `options["episode"]`, or one drawn by gymnasium's generator."""
        super().reset(seed=seed)
        drawn = int(self.np_random.integers(2**31))
        episode = torch.tensor([int((options or {}).get("episode", drawn))])
        self._state, self._goal = self.world.task(episode)
        return self._seen(), self._info()

    def step(self, action: Any) -> tuple[Picture, float, bool, bool, dict[str, Any]]:
        """Move by an action.

        Raises:
            UserError: There is no episode yet, or the action is not two finite numbers.
        """
        if self._state is None:
            raise UserError("No episode has begun; call reset() first.")
        moved = torch.as_tensor(np.asarray(action), dtype=torch.float32)
        if moved.shape != (2,) or not bool(moved.isfinite().all()):
            raise UserError(f"An action of TwoRooms is two finite numbers, got {action!r}.")
        self._state = self.world.step(self._state, moved[None])
        info = self._info()
        reached = info["distance"] < NEAR
        return self._seen(), 0.0 if reached else -1.0, reached, self._state.time >= self.num_steps, info

    def render(self) -> Picture:
        """Return the walls in gray, the dot in red and the goal in green."""
        assert self._state is not None and self._goal is not None
        (dot, walls), goal = self._seen(), self.world.render(self._goal)[0, 0].numpy()
        return np.stack((np.maximum(dot, walls // 2), np.maximum(goal, walls // 2), walls // 2), axis=-1)

    def _seen(self) -> Picture:
        assert self._state is not None
        seen: Picture = self.world.render(self._state)[0].numpy()
        return seen

    def _info(self) -> dict[str, Any]:
        assert self._state is not None and self._goal is not None
        return {
            "goal": self.world.render(self._goal)[0].numpy(),
            "position": self._state.position[0].clone().numpy(),
            "goal_position": self._goal.position[0].clone().numpy(),
            "distance": float(self.world.distance(self._state, self._goal)),
        }
