"""Give the floors that clips must pass: their raw pixels, and how bright each place is and how much it changes."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from jepakit.evaluation import Arm, Inputs
from jepakit.recipes.signal_floors import floor_arm
from jepakit.views import ClipPreprocess

_FRAMES, _SIDE = 4, 16
"""Frames and pixels of a side of the floor of raw pixels; of longer and larger clips neighbours are averaged."""


def clip_arms(preprocess: ClipPreprocess, inputs: Inputs) -> dict[str, Arm]:
    """Return the arms of raw pixels and of statistics of each place over time.

    Args:
        preprocess: What is done to clips.
        inputs: The labelled clips.
    """

    def smaller(video: UInt8[Tensor, "b t _ h w"], num_frames: int) -> Float[Tensor, "b c _ s s"]:
        x = preprocess(video).transpose(1, 2)
        side = min(_SIDE, x.shape[-1])
        return F.adaptive_avg_pool3d(x, (min(num_frames, x.shape[2]), side, side))

    def raw(video: Tensor) -> Float[Tensor, "b d"]:
        return smaller(video, _FRAMES).flatten(1)

    def statistics(video: Tensor) -> Float[Tensor, "b d"]:
        x = smaller(video, preprocess.num_frames)
        change = x.diff(dim=2).abs().mean(dim=2) if x.shape[2] > 1 else torch.zeros_like(x[:, :, 0])
        return torch.cat((x.mean(dim=2).flatten(1), change.flatten(1)), dim=1)

    return {
        "raw pixels": floor_arm(inputs, raw, "raw pixels", f"means over parts, at most {_FRAMES} x {_SIDE} x {_SIDE}"),
        "statistics": floor_arm(inputs, statistics, "raw pixels", "mean and mean change of each place over time"),
    }
