"""Give any gymnasium environment the face of a world: b instances at once, pictures, proprioception, goals, distances.

What it cannot do, it does not pretend to. An environment has one present: a state is a record of what was seen, and
only the latest one can be stepped; another batch of episodes ends the one before. An episode is a function of the
world's seed and the episode's id as far as the environment is one of the seed that it is reset with, which `task`
checks. An episode that the environment has ended stays as it was seen last (`over`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import ClipBatch, UserError, require
from jepakit.worlds.env_making import actions_of, named
from jepakit.worlds.env_seeing import picture_of, vector_of

SEEDS = 2**31
Row = tuple[Tensor, ...]


@dataclass(frozen=True)
class EnvState:
    """Record what b instances showed at one moment; it can be looked at for ever, and stepped while it is the latest.

    Args:
        frames: What was seen.
        proprio: What the body felt; no numbers where nothing was asked for.
        place: Where distances are measured; no numbers where nothing was asked for.
        success: Whether the environment says that its own goal is reached.
        over: Whether the environment has ended the episode.
        id: The episodes.
        since: Steps since the episodes began.
        batch: Which batch of episodes of the world it is.
    """

    frames: UInt8[Tensor, "b c h w"]
    proprio: Float[Tensor, "b p"]
    place: Float[Tensor, "b k"]
    success: Bool[Tensor, " b"]
    over: Bool[Tensor, " b"]
    id: Int[Tensor, " b"]
    since: Int[Tensor, " b"]
    batch: int

    def as_clip(self, action_dim: int) -> ClipBatch:
        """Return what was seen and felt as clips of one frame, as models with proprioception observe it."""
        nothing = torch.zeros(len(self.id), 0, action_dim)
        proprio = self.proprio[:, None] if self.proprio.shape[1] else None
        return ClipBatch(self.frames[:, None], nothing, self.id, proprio)


Goals = Callable[["GymnasiumWorld", EnvState], EnvState]
"""Say where episodes that begin so are to end; it may act in the world, which is then begun anew."""


class GymnasiumWorld:
    """Step instances of an environment together.

    Args:
        make: The environment's name as `gymnasium.make` takes it, with a module to import where it needs one
            ("gymnasium_robotics:PointMaze_UMaze-v3"), or a function that makes one.
        image_size: Height and width of pictures.
        settings: What to make a named environment with.
        pictures: "render", or the part of the observations that holds pictures.
        proprio: A part of the observations or of `info`, or "observation" for all of them; none by default.
        place: The same, where distances are measured.
        success: The name in `info` of whether the environment's own goal is reached; none by default.
        goals: How tasks get their goals, such as `Ahead`; without it there are no tasks.
        near: Distance below which a goal is reached.
        max_envs: Most instances at once.
        seed: Seed of all episodes.

    Raises:
        UserError: There is no such environment, its package is not installed, it shows no pictures, its actions are
            neither a bounded box of one axis nor choices, or a part that is asked for does not exist.
    """

    def __init__(
        self,
        make: str | Callable[[], gymnasium.Env[Any, Any]],
        *,
        image_size: int = 64,
        settings: Mapping[str, Any] | None = None,
        pictures: str = "render",
        proprio: str | None = None,
        place: str | None = None,
        success: str | None = None,
        goals: Goals | None = None,
        near: float = 0.5,
        max_envs: int = 64,
        seed: int = 0,
    ):
        self.seed = seed
        self.image_size = image_size
        self.goals = goals
        self.near = near
        self.max_envs = max_envs
        self._make = (lambda: named(make, dict(settings or {}))) if isinstance(make, str) else make
        self._parts = {"pictures": pictures, "proprio": proprio, "place": place, "success": success}
        self._envs = [self._make()]
        self._latest: EnvState | None = None
        self.name = make if isinstance(make, str) else str(self._envs[0])
        self.action_space = actions_of(self._envs[0].action_space, self.name)
        channels = self.start(torch.zeros(1, dtype=torch.long)).frames.shape[1]
        self.observation_space = gymnasium.spaces.Box(0, 255, (channels, image_size, image_size), np.uint8)

    @property
    def action_dim(self) -> int:
        """Return how many numbers an action has."""
        return int(np.prod(self.action_space.shape or (1,)))

    def start(self, ids: Int[Tensor, " b"]) -> EnvState:
        """Begin episodes, each in an instance reset with a seed of its own.

        Raises:
            UserError: There are more episodes than instances allowed.
        """
        return self._begin(ids, [None] * len(ids))

    def show(self, ids: Int[Tensor, " b"], options: list[dict[str, Any]]) -> EnvState:
        """Begin episodes with options for the environment's reset: such as one that puts it where a goal is."""
        return self._begin(ids, list(options))

    def task(self, ids: Int[Tensor, " b"]) -> tuple[EnvState, EnvState]:
        """Return where episodes begin and where they are to end.

        Raises:
            UserError: The world has no goals, or the environment does not begin alike when it is reset alike.
        """
        if self.goals is None:
            raise UserError(f"{self.name} has no goals; give the world some, such as goals=Ahead(25).")
        first = self.start(ids)
        goal = self.goals(self, first)
        again = self.start(ids)
        same = torch.equal(first.frames, again.frames) and torch.equal(first.place, again.place)
        require(same, f"{self.name} does not begin alike when reset with the same seed, so it has no repeatable tasks.")
        return again, goal

    def step(self, state: EnvState, action: Float[Tensor, "b a"]) -> EnvState:
        """Act in every episode that is not over.

        Raises:
            UserError: The state is not the latest, or an action is of another size, not finite, or no choice.
        """
        latest = self._latest
        is_latest = latest is not None and state.batch == latest.batch and torch.equal(state.since, latest.since)
        require(
            is_latest and torch.equal(state.id, latest.id if latest else state.id),
            f"{self.name} cannot go back: only the latest state of the latest episodes, and all of it, can be stepped.",
        )
        rows: list[Row | None] = []
        for number, chosen in enumerate(self._actions(action)):
            if bool(state.over[number]):
                rows.append(None)
                continue
            seen, _, terminated, truncated, info = self._envs[number].step(chosen)
            rows.append(self._row(number, seen, info, bool(terminated or truncated)))
        self._latest = self._state(rows, state, state.id, state.since + 1, state.batch)
        return self._latest

    def render(self, state: EnvState) -> UInt8[Tensor, "b c h w"]:
        """Return what was seen."""
        return state.frames

    def distance(self, state: EnvState, goal: EnvState) -> Float[Tensor, " b"]:
        """Return the Euclidean distance between places.

        Raises:
            UserError: The world was not told what a place is.
        """
        require(
            state.place.shape[1] > 0, f"{self.name} has no distances; say what a place is, such as place='observation'."
        )
        return torch.linalg.vector_norm(state.place - goal.place, dim=1)

    def reached(self, state: EnvState, goal: EnvState) -> Bool[Tensor, " b"]:
        """Return whether places are nearer than `near`."""
        return self.distance(state, goal) < self.near

    def factors(self, state: EnvState) -> dict[str, Float[Tensor, "b _"]]:
        """Return the place, which a probe may ask for."""
        return {"place": state.place} if state.place.shape[1] else {}

    def close(self) -> None:
        """Close all instances."""
        for env in self._envs:
            env.close()
        self._envs, self._latest = [], None

    def _begin(self, ids: Int[Tensor, " b"], options: list[dict[str, Any] | None]) -> EnvState:
        require(
            0 < len(ids) <= self.max_envs,
            f"{self.name} plays 1 to {self.max_envs} episodes at once (max_envs), not {len(ids)}.",
        )
        while len(self._envs) < len(ids):
            self._envs.append(self._make())
        seeds = Stream(self.seed, "gymnasium").integers(0, ids, 1, SEEDS - 1)[:, 0].tolist()
        rows: list[Row | None] = []
        for number, (seed, option) in enumerate(zip(seeds, options, strict=True)):
            seen, info = self._envs[number].reset(seed=seed, options=option)
            rows.append(self._row(number, seen, info, False))
        batch = 0 if self._latest is None else self._latest.batch + 1
        self._latest = self._state(rows, None, ids, torch.zeros_like(ids), batch)
        return self._latest

    def _row(self, number: int, seen: Any, info: Mapping[str, Any], over: bool) -> Row:
        """Return what one instance shows."""
        parts = self._parts
        picture = picture_of(self._envs[number], seen, str(parts["pictures"]), self.image_size, self.name)
        felt, place = (vector_of(seen, info, parts[name], self.name) for name in ("proprio", "place"))
        reached = parts["success"] is not None and bool(info.get(parts["success"], False))
        return picture, felt, place, torch.tensor(reached), torch.tensor(over)

    def _state(
        self,
        rows: Sequence[Row | None],
        before: EnvState | None,
        ids: Int[Tensor, " b"],
        since: Int[Tensor, " b"],
        batch: int,
    ) -> EnvState:
        """Put rows together; those of episodes that were over stay as they were."""
        held = () if before is None else (before.frames, before.proprio, before.place, before.success, before.over)
        whole = [tuple(part[number] for part in held) if row is None else row for number, row in enumerate(rows)]
        frames, proprio, place, success, over = (torch.stack(part) for part in zip(*whole, strict=True))
        return EnvState(frames, proprio, place, success, over, ids, since, batch)

    def _actions(self, action: Float[Tensor, "b a"]) -> list[Any]:
        space = self.action_space
        require(
            action.shape[1] == self.action_dim and bool(action.isfinite().all()),
            f"An action of {self.name} is {self.action_dim} finite numbers, got {action.tolist()[:2]}.",
        )
        if isinstance(space, gymnasium.spaces.Box):
            chosen = np.clip(action.detach().cpu().numpy(), space.low, space.high).astype(space.dtype)
            return list(chosen)
        choices = action[:, 0].round().long()
        require(bool(((choices >= 0) & (choices < space.n)).all()), f"{self.name} has choices 0 to {space.n - 1}.")
        return [int(choice) + int(space.start) for choice in choices]


class WithProprio:
    """Show a world's states with what the body feels, for models that take it: `render` gives clips of one frame.

    Args:
        world: Where.
    """

    def __init__(self, world: GymnasiumWorld):
        self.world = world

    def step(self, state: EnvState, action: Float[Tensor, "b a"]) -> EnvState:
        """Act."""
        return self.world.step(state, action)

    def render(self, state: EnvState) -> ClipBatch:
        """Return what was seen and felt."""
        return state.as_clip(self.world.action_dim)
