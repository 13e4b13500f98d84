"""A small gymnasium environment, made to be asked anything: a dot on a line of pixels, pushed left and right."""

from typing import Any

import gymnasium
import numpy as np


class Line(gymnasium.Env[Any, Any]):
    """Push a dot along 32 pixels, 32 high; the environment's own goal is pixel 30, and an episode is cut at `steps`."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - gymnasium's own form

    def __init__(self, choices: bool = False, steps: int = 50, repeatable: bool = True, unbounded: bool = False):
        edge = np.inf if unbounded else 3.0
        box = gymnasium.spaces.Box(-edge, edge, (1,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(3, start=-1) if choices else box
        self.observation_space = gymnasium.spaces.Dict(
            {"place": gymnasium.spaces.Box(0, 31, (1,)), "pixels": gymnasium.spaces.Box(0, 255, (32, 32, 3), np.uint8)}
        )
        self.steps, self.repeatable, self.render_mode = steps, repeatable, "rgb_array"
        self.closed = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed if self.repeatable else None)
        self.place = float(self.np_random.uniform(4, 12))
        self.place = float((options or {}).get("place", self.place))
        self.since = 0
        return self._seen(), self._info()

    def step(self, action: Any) -> Any:
        assert self.since < self.steps, "stepped after its end"
        moved = float(np.asarray(action).reshape(-1)[0])
        self.place = float(np.clip(self.place + moved, 0, 31))
        self.since += 1
        return self._seen(), 0.0, False, self.since >= self.steps, self._info()

    def render(self) -> Any:
        return self._picture()

    def _picture(self) -> Any:
        picture = np.zeros((32, 32, 3), np.uint8)
        picture[:, round(self.place), 0] = 200
        return picture

    def close(self) -> None:
        self.closed = True

    def _seen(self) -> dict[str, Any]:
        return {"place": np.array([self.place]), "pixels": self._picture()}

    def _info(self) -> dict[str, Any]:
        return {"reached": self.place > 29.5, "speed": 0.5, "words": "none", "hole": np.nan}
