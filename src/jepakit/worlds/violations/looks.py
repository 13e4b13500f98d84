"""Make pairs that differ in looks alone: from some moment on colours are others, or there is noise.

No law says what colour things have, so nothing is asked of a model here: such pairs are reported apart, without target,
and tell how much of its surprise is about appearance.
"""

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import ClipBatch
from jepakit.worlds.violations.pairs import Pairs, Setting, drawn_block, with_frames

FAINTEST, BRIGHTEST = 0.3, 0.8
"""By what the channels of a recoloured picture are multiplied, each by its own."""

NOISE_STD = 20.0
"""Standard deviation of the noise, of 255."""


def recoloured(setting: Setting, num: int) -> Pairs:
    """Return pairs whose changed clips have other colours from some frame on."""
    ids, clip, moment = _ordinary(setting, num)
    u = Stream(setting.world.seed, "violations/colours").uniform(0, ids, clip.frames.shape[2])
    share = (FAINTEST + u * (BRIGHTEST - FAINTEST))[:, None, :, None, None]
    return _changed(clip, moment, (clip.frames * share).to(torch.uint8))


def noisy(setting: Setting, num: int) -> Pairs:
    """Return pairs whose changed clips have noise in every pixel from some frame on."""
    ids, clip, moment = _ordinary(setting, num)
    noise = Stream(setting.world.seed, "violations/noise").normal(0, ids, clip.frames[0].numel())
    seen = clip.frames + NOISE_STD * noise.view(clip.frames.shape)
    return _changed(clip, moment, seen.clamp(0.0, 255.0).to(torch.uint8))


def _ordinary(setting: Setting, num: int) -> tuple[Int[Tensor, " b"], ClipBatch, Int[Tensor, " b"]]:
    ids = torch.arange(num) + setting.first
    return ids, setting.clips(setting.made(ids), ids), drawn_block(setting, ids, "looks") + 1


def _changed(clip: ClipBatch, moment: Int[Tensor, " b"], frames: UInt8[Tensor, "b t c h w"]) -> Pairs:
    is_after: Bool[Tensor, "b t"] = torch.arange(frames.shape[1]) >= moment[:, None]
    return Pairs(clip, with_frames(clip, torch.where(is_after[:, :, None, None, None], frames, clip.frames)), moment)
