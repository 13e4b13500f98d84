"""Put a background behind any world that no action changes: noise, new at every step, or a texture that drifts.

The background shows where the picture has its commonest colour, and less and less where it differs more: what there is
in the world stays in front. Noise is a function of (seed, episode, time) and cannot be predicted; a texture moves by
the same whole pixels at every step of an episode, and can be after two frames. Each channel has its own. Behind a goal
there is what an episode that nobody plays would begin with: a draw of its own, so that no background leads there.

Source: the noisy TV of Burda et al. 2018 (arXiv 1810.12894) and the backgrounds of the Distracting Control Suite (arXiv
2101.02722). Deviations: noise comes in squares of `grain` pixels; textures are drawn, not filmed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import gymnasium
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.views import drawn_texture, whole_specks
from jepakit.worlds.bouncing_balls import BouncingBalls
from jepakit.worlds.painting import parts
from jepakit.worlds.point_maze import PointMaze2D
from jepakit.worlds.push_disc import PushDisc
from jepakit.worlds.reacher import Reacher2D
from jepakit.worlds.roaming import Roaming
from jepakit.worlds.swm_expert import SWMExpert
from jepakit.worlds.swm_two_room import SWMTwoRoom
from jepakit.worlds.trajectories import Behaviour, Trajectories
from jepakit.worlds.two_rooms import TwoRooms
from jepakit.worlds.wandering import Wandering
from jepakit.worlds.world import World

EmbeddedWorld = TwoRooms | SWMTwoRoom | PointMaze2D | PushDisc | Reacher2D | BouncingBalls
EmbeddedBehaviour = Wandering | Roaming | SWMExpert

_GOALS = 1 << 62
"""Added to an episode's id for the background of its goal: no episode has such an id."""

_FASTEST = 2


@dataclass(frozen=True)
class DistractedState:
    """Hold the states of a world and what its background is a function of.

    Args:
        inner: States of the world itself.
        id: Episodes.
        time: Steps taken in each.
    """

    inner: Any
    id: Int[Tensor, " b"]
    time: Int[Tensor, " b"]

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True)
class Distracted:
    """Step a world and draw it before a background.

    Args:
        world: Any world; those that can be written down are named in the annotation.
        kind: `noise` or `texture`.
        strength: How much of the background there is: at 1 it is as bright as can be.
        grain: Side of the squares of noise, in pixels.
        texture: Which texture; where it begins and how it drifts is drawn for each episode.
        seed: Seed of the background alone.

    Example:
        >>> from jepakit.worlds import TwoRooms
        >>> world = Distracted(TwoRooms(), "noise")
        >>> state = world.step(world.start(torch.arange(3)), torch.ones(3, 2))
        >>> world.render(state).shape
        torch.Size([3, 2, 65, 65])
    """

    world: EmbeddedWorld | World
    kind: str = "noise"
    strength: float = 0.5
    grain: int = 4
    texture: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.kind in ("noise", "texture"), f"A background is noise or texture, not {self.kind!r}.")
        require(0.0 < self.strength <= 1.0, f"The strength of a background is in (0, 1], got {self.strength}.")
        require(self.grain >= 1, f"Squares of noise have at least 1 pixel a side, got {self.grain}.")

    @property
    def _inner(self) -> World:
        """Return the world as a world alone, whichever it is."""
        return self.world

    @property
    def action_space(self) -> gymnasium.spaces.Box:
        """Return the world's own."""
        return self._inner.action_space

    @property
    def observation_space(self) -> gymnasium.spaces.Box:
        """Return the world's own."""
        return self._inner.observation_space

    def start(self, ids: Int[Tensor, " b"]) -> DistractedState:
        """Begin episodes from which to learn, at time 0."""
        return DistractedState(self._inner.start(ids), ids, torch.zeros_like(ids))

    def task(self, ids: Int[Tensor, " b"]) -> tuple[DistractedState, DistractedState]:
        """Return where episodes begin and where they are to end, each before a background of its own."""
        start, goal = self._inner.task(ids)
        begin = torch.zeros_like(ids)
        return DistractedState(start, ids, begin), DistractedState(goal, ids + _GOALS, begin)

    def step(self, state: DistractedState, action: Float[Tensor, "b a"]) -> DistractedState:
        """Return the states after an action, one step later."""
        return replace(state, inner=self._inner.step(state.inner, action), time=state.time + 1)

    def distance(self, state: DistractedState, goal: DistractedState) -> Float[Tensor, " b"]:
        """Return the world's own; the background does not count."""
        return self._inner.distance(state.inner, goal.inner)

    def reached(self, state: DistractedState, goal: DistractedState) -> Bool[Tensor, " b"]:
        """Return the world's own; the background does not count."""
        return self._inner.reached(state.inner, goal.inner)

    @property
    def way(self) -> Callable[[DistractedState, DistractedState], Tensor]:
        """Return what tells how far it is to a goal by the way that is left; there is none where the world has none."""
        inner = self._inner.way  # type: ignore[attr-defined]
        return lambda state, goal: inner(state.inner, goal.inner)

    def factors(self, state: DistractedState) -> dict[str, Float[Tensor, "b _"]]:
        """Return the world's own and, of a texture, cosine and sine of how far it is shifted each way."""
        factors = dict(self._inner.factors(state.inner))
        if self.kind == "texture":
            phase = 2.0 * torch.pi * self._shift(state).float() / self._period
            factors["background"] = torch.cat((phase.cos(), phase.sin()), dim=1)
        return factors

    def render(self, state: DistractedState) -> UInt8[Tensor, "b c h w"]:
        """Draw the world, and the background behind it."""
        seen = self._inner.render(state.inner)
        ground = torch.tensor(self._ground, dtype=torch.uint8, device=seen.device)
        drawn = self._noise if self.kind == "noise" else self._texture
        for part in parts(len(state), max(seen.shape[2:])):
            moment = replace(state, id=state.id[part], time=state.time[part])
            seen[part] = behind(seen[part], drawn(moment, ground), ground)
        return seen

    def _noise(self, state: DistractedState, ground: UInt8[Tensor, " c"]) -> Int[Tensor, "b c h w"]:
        """Return how much squares that are uniform between black and white differ from the ground."""
        c, h, w = self.observation_space.shape
        rows, columns = -(-h // self.grain), -(-w // self.grain)
        num = c * rows * columns
        words = Stream(self.seed, "distracted/noise").bits(state.time, state.id, -(-num // 4))
        values = torch.stack([(words >> shift) & 255 for shift in (0, 8, 16, 24)], dim=-1)
        squares = values.flatten(1)[:, :num].view(-1, c, rows, columns)
        shade = _shade(squares, self.strength, ground)
        return shade.repeat_interleave(self.grain, 3).repeat_interleave(self.grain, 2)[:, :, :h, :w].contiguous()

    def _texture(self, state: DistractedState, ground: UInt8[Tensor, " c"]) -> Int[Tensor, "b c h w"]:
        """Return how much the picture's part of a texture without end differs from the ground."""
        c, h, w = self.observation_space.shape
        period = self._period
        shade = _shade(drawn_texture(c, period, self.texture, ground.device), self.strength, ground).repeat(1, 2, 2)
        wide = 2 * period
        parts = shade.as_strided((period, period, c, h, w), (wide, 1, wide * wide, wide, 1))  # by rows and columns cut
        shift = self._shift(state)
        return parts[shift[:, 1], shift[:, 0]]

    def _shift(self, state: DistractedState) -> Int[Tensor, "b 2"]:
        """Return how far the texture is shifted along x and y, in pixels."""
        drawn = Stream(self.seed, "distracted/texture").integers(0, state.id, 4, 1 << 30)
        across = drawn[:, 2] % (2 * _FASTEST + 1) - _FASTEST
        down = drawn[:, 3] % (2 * _FASTEST + 1) - _FASTEST
        across = torch.where((across == 0) & (down == 0), 1, across)
        drift = torch.stack((across, down), dim=1)
        return (drawn[:, :2] + drift * state.time[:, None]) % self._period

    @property
    def _period(self) -> int:
        """Return after how many pixels a texture begins anew."""
        return whole_specks(max(self.observation_space.shape[1:]))

    @cached_property
    def _ground(self) -> list[int]:
        """Return the commonest value of each channel of a picture of this world."""
        seen = self._inner.render(self._inner.start(torch.arange(8)))
        return [int(values.mode().values) for values in seen.transpose(0, 1).flatten(1)]


@dataclass(frozen=True)
class Heedless:
    """Act in a distracted world as another behaviour does in the world behind it.

    Args:
        behaviour: Of the world without background.
    """

    behaviour: EmbeddedBehaviour | Behaviour

    def __call__(self, world: Distracted, ids: Int[Tensor, " b"], num_steps: int) -> Trajectories:
        """Return the trajectories of these ids, `num_steps` actions long."""
        behaviour: Behaviour = self.behaviour
        made = behaviour(world.world, ids, num_steps)
        time = torch.arange(num_steps + 1, device=ids.device).repeat(len(ids))
        return Trajectories(DistractedState(made.states, ids.repeat_interleave(num_steps + 1), time), made.action)


def beneath(world: Any) -> Any:
    """Return the world behind whose things there may be a background."""
    return beneath(world.world) if isinstance(world, Distracted) else world


def reseeded(world: Any, seed: int) -> Any:
    """Return a world that draws from another seed, and the world beneath it too."""
    inner = {"world": reseeded(world.world, seed)} if isinstance(world, Distracted) else {}
    return replace(world, seed=seed, **inner)


def behind(
    seen: UInt8[Tensor, "b c h w"], shade: Int[Tensor, "b c h w"], ground: UInt8[Tensor, " c"]
) -> UInt8[Tensor, "b c h w"]:
    """Add a background's difference from the ground to pictures, the less the more a pixel differs from the ground."""
    flat = ground[:, None, None]
    ahead = (torch.maximum(seen, flat) - torch.minimum(seen, flat)).amax(dim=1, keepdim=True).short()
    farthest = torch.maximum(ground, 255 - ground).amax().short()
    share = (127 * 256 + farthest - 1) // farthest  # 16 bits hold all this
    gap = 127 - (ahead * share >> 8)  # 127 where all is background, 0 where nothing is
    return shade.mul_(gap).bitwise_right_shift_(7).add_(seen).clamp_(0, 255).to(torch.uint8)


def _shade(values: Tensor, strength: float, ground: UInt8[Tensor, " c"]) -> Int[Tensor, "*b c h w"]:
    """Return how much a background of these values differs from the ground, weakened, in [-255, 255]."""
    return (strength * (values.float() - ground[:, None, None].float())).round().to(torch.int16)
