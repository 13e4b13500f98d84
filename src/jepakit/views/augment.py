"""Augment a batch of images on its device: every sample by parameters of its own, drawn from its id.

`draw` chooses the parameters, `apply` does what they say; a call does both. Nothing depends on who else is in the
batch. Operations that the settings switch off cost nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.views.color import COLOR, apply_color, clamp_valid, solarize
from jepakit.views.geometry import affine_sample, blur_weights, crop_weights, resample
from jepakit.views.preprocess import check_normalisation, full_precision, per_channel, to_channels
from jepakit.views.view import PARAMS, View, relative

Range = tuple[float, float]
Params = Mapping[str, Float[Tensor, " b"]]
_DRAWS = (
    *("scale", "aspect", "y", "x", "shift_y", "shift_x", "flip", "rotation"),
    *("jitter", "brightness", "contrast", "saturation", "hue", "gray", "blur", "sigma", "solarize"),
)


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Crop at random and, where switched on, shift, flip, rotate, blur, change colours and add noise; then normalise.

    The order is geometry, blur, colour, solarize, normalise, noise. The defaults are I-JEPA's: a random crop alone.
    Crops lie between pixels, and their scale is uniform in `crop_scale`: the aspect ratio is drawn among those that
    fit, where torchvision draws both anew. Deviations of the colour operations: see `color.py`.

    Args:
        image_size: Side of the views in pixels.
        channels: Channels of the views; sources are converted as in `Preprocess`.
        mean: Mean of pixel values in [0, 1], one for all channels or one each.
        std: Standard deviation of pixel values in [0, 1], likewise.
        crop_scale: Range of the crop's area as a fraction of the source's.
        crop_aspect: Range of the crop's width over its height, drawn uniformly in its logarithm.
        shift_fraction: Largest shift along each axis as a fraction of the source's side; beyond its border the source
            continues as its mirror image.
        flip_prob: Probability of a mirror image, left to right.
        rotation_degrees: Largest rotation either way about the crop's centre.
        jitter: Strengths of brightness, contrast, saturation and hue: factors lie in [1 - strength, 1 + strength], hue
            in [-strength, strength] turns. Saturation, hue and gray need three channels and are skipped otherwise.
        jitter_prob: Probability that colours are changed.
        gray_prob: Probability that colour is removed.
        blur_prob: Probability of a Gaussian blur.
        blur_sigma: Range of its standard deviation in pixels of the view.
        solarize_prob: Probability that bright pixels are inverted.
        noise_std: Standard deviation of Gaussian noise on pixel values in [0, 1].
        name: Name of the random stream.
        seed: Seed of the draws.

    Raises:
        UserError: A setting is out of its range.
    """

    image_size: int
    channels: int = 3
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.5,)
    crop_scale: Range = (0.3, 1.0)
    crop_aspect: Range = (0.75, 4.0 / 3.0)
    shift_fraction: float = 0.0
    flip_prob: float = 0.0
    rotation_degrees: float = 0.0
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)
    jitter_prob: float = 0.0
    gray_prob: float = 0.0
    blur_prob: float = 0.0
    blur_sigma: Range = (0.1, 2.0)
    solarize_prob: float = 0.0
    noise_std: float = 0.0
    name: str = "view"
    seed: int = 0

    def __post_init__(self) -> None:
        check_normalisation("Augment", self.image_size, self.channels, self.mean, self.std)
        for field in ("flip_prob", "jitter_prob", "gray_prob", "blur_prob", "solarize_prob"):
            value = getattr(self, field)
            require(0 <= value <= 1, f"Augment: {field} is a probability between 0 and 1, got {value}.")
        low, high = self.crop_scale
        require(0 < low <= high <= 1, f"Augment: crop_scale needs 0 < low <= high <= 1, got {self.crop_scale}.")
        low, high = self.crop_aspect
        require(0 < low <= high, f"Augment: crop_aspect needs 0 < low <= high, got {self.crop_aspect}.")
        low, high = self.blur_sigma
        require(0 < low <= high, f"Augment: blur_sigma needs 0 < low <= high, got {self.blur_sigma}.")
        require(0 <= self.shift_fraction <= 0.5, f"Augment: shift_fraction is in [0, 0.5], got {self.shift_fraction}.")
        require(0 <= self.rotation_degrees <= 180, f"Augment: rotation is in [0, 180], got {self.rotation_degrees}.")
        require(all(0 <= j < 1 for j in self.jitter), f"Augment: jitter strengths are in [0, 1), got {self.jitter}.")
        require(self.jitter[3] <= 0.5, f"Augment: the strength of hue is at most half a turn, got {self.jitter[3]}.")
        require(self.noise_std >= 0, f"Augment: noise_std cannot be negative, got {self.noise_std}.")

    @property
    def params(self) -> tuple[str, ...]:
        """Return the name of each parameter of a view."""
        return PARAMS

    def relative(self, params_from: Float[Tensor, "b p"], params_to: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
        """Return the second view's parameters in the frame of the first, see `view.relative`."""
        return relative(params_from, params_to)

    def __call__(self, image: UInt8[Tensor, "b _ h w"], ids: Int[Tensor, " b"], step: int, view: int = 0) -> View:
        """Return view number `view` of each image at this step, and its parameters.

        Raises:
            UserError: The images' channels cannot be converted.
        """
        params = self.draw(ids, step, view, (image.shape[-2], image.shape[-1]))
        x = self.apply(image, params)
        if self.noise_std > 0:
            x = self._add_noise(x, ids, step, view)
        return View(image=x, params=params)

    @torch.no_grad()
    def draw(self, ids: Int[Tensor, " b"], step: int, view: int, source_size: tuple[int, int]) -> Float[Tensor, "b p"]:
        """Draw each sample's parameters, named by `PARAMS`, for sources of this height and width."""
        uniform = Stream(self.seed, f"{self.name}/{view}").uniform(step, ids, len(_DRAWS))
        u = dict(zip(_DRAWS, uniform.unbind(dim=1), strict=True))
        drawn = self._draw_crop(u, source_size) | self._draw_color(u)
        drawn["flip"] = (u["flip"] < self.flip_prob).float()
        drawn["rotation"] = (2.0 * u["rotation"] - 1.0) * (self.rotation_degrees / 180.0)
        drawn["blur"] = _between(self.blur_sigma, u["sigma"]) * (u["blur"] < self.blur_prob)
        drawn["solarize"] = (u["solarize"] < self.solarize_prob).float()
        return torch.stack([drawn[name] for name in PARAMS], dim=1)

    def _draw_crop(self, u: Params, source_size: tuple[int, int]) -> dict[str, Tensor]:
        """Draw boxes in units of sqrt(height * width), in which area is the scale and shape the aspect ratio."""
        unit = math.sqrt(source_size[0] * source_size[1])
        full_height, full_width = source_size[0] / unit, source_size[1] / unit
        log_scale = torch.log(_between(self.crop_scale, u["scale"]))
        low, high = math.log(self.crop_aspect[0]), math.log(self.crop_aspect[1])
        # the widest and the narrowest shape of this area that fit; where none does, the box shrinks in its shape
        shape = 2.0 * math.log(full_width)
        lowest = (log_scale + shape).clamp(low, high)
        highest = (shape - log_scale).clamp(low, high)
        log_aspect = lowest + u["aspect"] * (highest - lowest)
        log_height, log_width = (log_scale - log_aspect) / 2, (log_scale + log_aspect) / 2
        excess = torch.maximum(log_height - math.log(full_height), log_width - math.log(full_width)).clamp(min=0.0)
        log_height, log_width = log_height - excess, log_width - excess
        reach_y = 2.0 * self.shift_fraction * full_height
        reach_x = 2.0 * self.shift_fraction * full_width
        return {
            "cy": (u["y"] - 0.5) * (full_height - torch.exp(log_height)) + (u["shift_y"] - 0.5) * reach_y,
            "cx": (u["x"] - 0.5) * (full_width - torch.exp(log_width)) + (u["shift_x"] - 0.5) * reach_x,
            "log_height": log_height,
            "log_width": log_width,
        }

    def _draw_color(self, u: Params) -> dict[str, Tensor]:
        """Draw colour factors, the identity for samples that keep their colours."""
        changed = (u["jitter"] < self.jitter_prob).float()
        colored = changed * (self.channels == 3)
        return {
            "log_brightness": changed * torch.log1p(self.jitter[0] * (2.0 * u["brightness"] - 1.0)),
            "log_contrast": changed * torch.log1p(self.jitter[1] * (2.0 * u["contrast"] - 1.0)),
            "log_saturation": colored * torch.log1p(self.jitter[2] * (2.0 * u["saturation"] - 1.0)),
            "hue": colored * self.jitter[3] * (2.0 * u["hue"] - 1.0),
            "gray": (u["gray"] < self.gray_prob).float() * (self.channels == 3),
        }

    @torch.no_grad()
    def apply(self, image: UInt8[Tensor, "b _ h w"], params: Float[Tensor, "b p"]) -> Float[Tensor, "b c s s"]:
        """Return the normalised views that these parameters describe, without noise.

        What the settings switch off is not looked at: a rotation is ignored where `rotation_degrees` is 0.
        """
        named = dict(zip(PARAMS, params.unbind(dim=1), strict=True))
        with full_precision(image.device):
            x = self._apply_geometry(to_channels(image, self.channels), named)
            mean, std = (per_channel(v, self.channels, x.device) for v in (self.mean, self.std))
            if self.jitter_prob > 0 or (self.gray_prob > 0 and self.channels == 3):
                x = apply_color(x, {name: named[name] for name in COLOR}, mean, std)
            else:
                x = x * (1.0 / (255.0 * std)) - mean / std
            return solarize(x, named["solarize"], mean, std) if self.solarize_prob > 0 else x

    def _apply_geometry(self, x: Float[Tensor, "b c h w"], p: Params) -> Float[Tensor, "b c s s"]:
        """Crop, shift, flip, rotate, resize and blur, by the cheapest way that the settings allow."""
        h, w = x.shape[-2:]
        whole = self.crop_scale == (1.0, 1.0) and self.crop_aspect == (1.0, 1.0) and self.shift_fraction == 0
        resized = not whole or (h, w) != (self.image_size, self.image_size)
        if self.rotation_degrees == 0 and not resized and self.blur_prob == 0:
            return torch.where(p["flip"][:, None, None, None] > 0, x.flip(-1), x) if self.flip_prob > 0 else x
        unit = math.sqrt(h * w)
        center = (p["cy"] * unit + h / 2, p["cx"] * unit + w / 2)
        lengths = (torch.exp(p["log_height"]) * unit, torch.exp(p["log_width"]) * unit)
        mirror = 1.0 - 2.0 * p["flip"]
        blur = blur_weights(p["blur"], self.image_size) if self.blur_prob > 0 else None
        if self.rotation_degrees > 0:
            x = affine_sample(x, center, lengths, mirror, math.pi * p["rotation"], self.image_size)
            return x if blur is None else resample(x, blur, blur)
        reflect = self.shift_fraction > 0
        rows = crop_weights(center[0], lengths[0], None, h, self.image_size, reflect)
        columns = crop_weights(center[1], lengths[1], mirror, w, self.image_size, reflect)
        return resample(x, *((rows, columns) if blur is None else (blur @ rows, blur @ columns)))

    @torch.no_grad()
    def _add_noise(self, x: Float[Tensor, "b c s s"], ids: Int[Tensor, " b"], step: int, view: int) -> Tensor:
        """Add Gaussian noise drawn from the ids, and cut to the range of valid pixels."""
        mean, std = (per_channel(v, self.channels, x.device) for v in (self.mean, self.std))
        noise = Stream(self.seed, f"{self.name}/{view}/noise").normal(step, ids, x[0].numel()).view_as(x)
        return clamp_valid(x + noise * (self.noise_std / std), mean, std)


def _between(bounds: Range, u: Tensor) -> Tensor:
    return bounds[0] + u * (bounds[1] - bounds[0])
