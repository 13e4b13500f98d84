"""Look into a trained world model for pictures alone: where an embedding says that things are, which frame it tells.

Probe and decoder are fitted on frozen embeddings of trajectories that no training saw. They know true places and
pixels, so nothing of them may reach training, planning or a score.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from jepakit.methods.world import WorldMethod
from jepakit.nn.framedecoder import FrameDecoder, FrameDecoderConfig
from jepakit.random import Stream, seeded_init
from jepakit.worlds import Behaviour, Distracted, PointMaze2D, PushDisc, Reacher2D, SWMTwoRoom, TwoRooms, World
from jepakit.worlds.point_maze import BORDER
from jepakit.worlds.swm_two_room import ARENA as SWM_ARENA
from jepakit.worlds.swm_two_room import SIDE as SWM_SIDE
from jepakit.worlds.trajectories import select
from jepakit.worlds.two_rooms import ARENA

FIRST_ID = 2**40
"""Trajectories from which is learned to look: far beyond those of any training."""

_AT_ONCE = 256
_LARGEST = 4096
"""Most numbers of an embedding's tokens laid end to end; of larger ones the mean token is looked at."""

_PALETTE = torch.tensor([[255.0, 255.0, 255.0], [92.0, 104.0, 122.0]])
"""Colours of the channels of a picture that has two: what moves, and the walls."""


@dataclass(frozen=True)
class Plane:
    """Say where in a world's pictures the thing is that moves, and put it elsewhere.

    Args:
        factor: Name of the factor that is its place, x before y.
        low: Least place along each axis.
        high: Greatest place.
        scale: Pixels a unit of place.
        offset: Pixel of place 0; a pixel's middle is at its index.
        put: Returns states with the thing at other places; None where the picture does not follow from the place alone.
    """

    factor: str
    low: float
    high: float
    scale: float = 1.0
    offset: float = 0.0
    put: Callable[[Any, Float[Tensor, "b 2"]], Any] | None = None

    def pixels(self, place: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 2"]:
        """Return the pixels of places."""
        return self.scale * place + self.offset


def plane_of(world: World) -> Plane | None:
    """Return the plane of an embedded world; None for one in which no single thing is to be moved somewhere."""
    if isinstance(world, TwoRooms):
        return Plane("position", *ARENA, put=_at)
    if isinstance(world, SWMTwoRoom):
        scale = world.image_size / SWM_SIDE
        return Plane("position", *SWM_ARENA, scale, 0.5 * scale - 0.5, put=_at)
    if isinstance(world, PointMaze2D):
        return Plane("position", 0.0, world.size, (world.image_size - 2 * BORDER) / world.size, BORDER - 0.5, put=_at)
    if isinstance(world, PushDisc | Reacher2D):
        scale = world.image_size / 64
        return Plane("object" if isinstance(world, PushDisc) else "tip", 0.0, 64.0, scale, -0.5)
    if isinstance(world, Distracted):
        inner = plane_of(world.world)
        put = None if inner is None else inner.put
        if inner is None or put is None:
            return inner
        return replace(inner, put=lambda state, place: replace(state, inner=put(state.inner, place)))
    return None


def _at(state: Any, place: Float[Tensor, "b 2"]) -> Any:
    return state.at(place)


def seen(method: WorldMethod, world: World, state: Any) -> Float[Tensor, "b n d"]:
    """Return the tokens of the pictures of states, a few hundred pictures at a time."""
    device = next(method.parameters()).device
    parts = torch.arange(len(state)).split(_AT_ONCE)
    return torch.cat([method.encode_goal(world.render(select(state, part)).to(device)) for part in parts])


def numbers(z: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b e"]:
    """Return what probe and decoder read of tokens: all of them end to end, or their mean where they are too many."""
    flat = z.flatten(-2).float()
    return flat if flat.shape[-1] <= _LARGEST else z.float().mean(dim=-2)


@dataclass(frozen=True)
class Places:
    """Read places in pixels off embeddings, linearly.

    Args:
        middle: Mean embedding.
        weight: The linear map.
        bias: Mean place.
    """

    middle: Float[Tensor, " e"]
    weight: Float[Tensor, "e 2"]
    bias: Float[Tensor, " 2"]

    def __call__(self, z: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b 2"]:
        """Return the place that each embedding tells."""
        return (numbers(z) - self.middle) @ self.weight + self.bias


def fit_places(
    method: WorldMethod, world: World, behaviour: Behaviour, plane: Plane, num: int = 64, num_steps: int = 32
) -> Places:
    """Fit a ridge regression of places on the embeddings of `num` trajectories that no training saw."""
    states = behaviour(world, FIRST_ID + torch.arange(num), num_steps).states
    x = numbers(seen(method, world, states))
    y = plane.pixels(world.factors(states)[plane.factor]).to(x)
    middle, bias = x.mean(dim=0), y.mean(dim=0)
    centred = (x - middle).double()
    gram = centred @ centred.T if centred.shape[0] < centred.shape[1] else centred.T @ centred
    penalty = 1e-5 * torch.linalg.diagonal(gram).mean().clamp_min(1e-30)
    gram += penalty * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    target = (y - bias).double()
    if centred.shape[0] < centred.shape[1]:
        weight = centred.T @ torch.linalg.solve(gram, target)
    else:
        weight = torch.linalg.solve(gram, centred.T @ target)
    return Places(middle, weight.float(), bias)


def learn_to_draw(
    method: WorldMethod, world: World, behaviour: Behaviour, num_updates: int = 400, num: int = 128, num_steps: int = 24
) -> FrameDecoder:
    """Train a decoder of frames on frozen embeddings of `num` trajectories that no training saw."""
    states = behaviour(world, FIRST_ID + torch.arange(num), num_steps).states
    x = numbers(seen(method, world, states))
    pictures = world.render(states).to(x.device)
    preprocess: Any = method.preprocess
    with seeded_init(0, "viewing/decoder"):
        decoder = (
            FrameDecoderConfig(widths=(32, 32, 16))
            .build(x.shape[1], preprocess.image_size, preprocess.channels)
            .to(x.device)
        )
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=5e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 * (1.0 + math.cos(math.pi * step / num_updates))
    )
    rows = torch.arange(32)
    with torch.enable_grad():
        for step in range(num_updates):
            chosen = Stream(0, "viewing/frames").integers(step, rows, 1, len(x))[:, 0].to(x.device)
            loss = F.mse_loss(decoder(x[chosen]), preprocess(pictures[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return decoder.eval()


def drawn(method: WorldMethod, decoder: FrameDecoder, z: Float[Tensor, "b t n d"]) -> UInt8[Tensor, "b t c h w"]:
    """Return the pixels that a decoder makes of embeddings."""
    pixels = method.preprocess.to_pixels(decoder(numbers(z).flatten(0, 1)))
    return pixels.unflatten(0, z.shape[:2])


def coloured(frames: UInt8[Tensor, "*b c h w"]) -> NDArray[np.uint8]:
    """Return frames as RGB, (..., h, w, 3): of two channels the first is white and the second gray."""
    channels = rearrange(frames, "... c h w -> ... h w c").cpu()
    if channels.shape[-1] == 1:
        channels = channels.expand(*channels.shape[:-1], 3)
    elif channels.shape[-1] == 2:
        channels = (channels.float() / 255.0 @ _PALETTE).clamp(0, 255).to(torch.uint8)
    array: NDArray[np.uint8] = channels[..., :3].contiguous().numpy()
    return array


def repeated(state: Any, num: int, index: int) -> Any:
    """Return one of the states so many times."""
    many: Int[Tensor, " num"] = torch.full((num,), index)
    return select(state, many)
