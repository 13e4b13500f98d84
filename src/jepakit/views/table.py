"""Lay rows of a table out as pictures: a line for each feature below one for [REG], a single column, several planes.

The planes are the value, whether it was measured, and one for each category; so a token's embedding is linear in them:
a weight times the number and a bias, or the row of a table of categories.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.views.incomplete import Incomplete
from jepakit.views.preprocess import constants
from jepakit.views.view import View

_SHOWN = 3.0
"""Value that is white in a picture for people."""


@dataclass(frozen=True, kw_only=True)
class TablePreprocess(Incomplete):
    """Scale numbers by what training saw, tell categories apart, say what was measured, and put [REG] before all.

    A number becomes asinh((x - center) / scale): about linear near the center, and logarithmic far away, so that one
    wild value does not drown the others.

    Args:
        num_categories: Of each feature; 0 for a number.
        center: Median of each number in training, or one for all.
        scale: Its interquartile range in units of a deviation, or one for all.
        reg: Whether a token that is the same in every row stands before the features.

    Raises:
        UserError: There are no features, a scale is not above 0, or there is not one value for each feature.

    Source: [REG] after Thimonier et al. 2024, T-JEPA (arXiv 2410.05016). Deviations: numbers are scaled robustly, and
    not into [0, 1] by the least and the largest.
    """

    num_categories: tuple[int, ...]
    center: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    reg: bool = True

    def __post_init__(self) -> None:
        num = len(self.num_categories)
        require(num >= 1 and min(self.num_categories) >= 0, f"A row has at least 1 feature, got {self.num_categories}.")
        for name, values in (("center", self.center), ("scale", self.scale)):
            require(len(values) in (1, num), f"TablePreprocess: {name} has {len(values)} values for {num} features.")
        require(min(self.scale) > 0, f"TablePreprocess: every scale must be above 0, got {self.scale}.")

    @property
    def signal_channels(self) -> int:
        """Return how many features a row has."""
        return len(self.num_categories)

    @property
    def length(self) -> int:
        """Return the moments of a row as a signal: 1."""
        return 1

    @property
    def channels(self) -> int:
        """Return the planes of the result."""
        return 2 + max(self.num_categories)

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and the width of the result."""
        return self.signal_channels + self.reg, 1

    @torch.no_grad()
    def __call__(self, signal: Float[Tensor, "b c 1"]) -> Float[Tensor, "b p h 1"]:
        """Return rows laid out, all planes 0 where nothing was measured.

        Raises:
            UserError: The rows have another number of features.
        """
        require(
            signal.shape[1:] == (self.signal_channels, 1),
            f"The model takes rows of {self.signal_channels} features, got {' x '.join(map(str, signal.shape[1:]))}.",
        )
        x = signal[..., 0].float()
        num, center, scale = self._of_features(x.device)
        measured = x.isfinite() & ((num == 0) | ((x >= 0) & (x < num)))
        x = torch.where(measured, x, 0.0)
        value = torch.where(measured & (num == 0), torch.asinh((x - center) / scale), 0.0)
        category = torch.where(measured & (num > 0), x + 1, 0.0).long()  # 0 is none
        planes = F.one_hot(category, self.channels - 1)[..., 1:].float()
        laid_out = torch.cat((value[..., None], measured[..., None].float(), planes), dim=-1).mT[..., None]
        if not self.reg:
            return laid_out
        reg = laid_out.new_zeros(len(x), self.channels, 1, 1)
        reg[:, 1] = 1.0
        return torch.cat((reg, laid_out), dim=2)

    def _of_features(self, device: torch.device) -> list[Tensor]:
        """Return each feature's number of categories, center and scale."""
        given = (tuple(map(float, self.num_categories)), self.center, self.scale)
        return [constants(values, device) for values in given]

    @property
    def usual(self) -> Float[Tensor, "1 p h 1"]:
        """Return a row laid out in which all is measured and usual: numbers at their center, no category."""
        row = torch.zeros(1, self.channels, *self.shape)
        row[:, 1] = 1.0
        return row

    def to_source(self, x: Float[Tensor, "b p h 1"]) -> Float[Tensor, "b c 1"]:
        """Return laid out rows as what views are made of, NaN where nothing was measured."""
        x = x[:, :, int(self.reg) :, 0]
        num, center, scale = self._of_features(x.device)
        number = x[:, 0].sinh() * scale + center
        category = (x[:, 2:] * torch.arange(self.channels - 2, device=x.device)[:, None]).sum(dim=1)
        return torch.where(x[:, 1] > 0, torch.where(num > 0, category, number), torch.nan)[..., None]

    def to_pixels(self, x: Float[Tensor, "b p h 1"]) -> UInt8[Tensor, "b 1 h 1"]:
        """Return grey pictures for people: the center is grey, categories go from dark to light."""
        place = torch.arange(1, self.channels - 1, device=x.device)[:, None, None] / max(self.channels - 1, 1)
        shade = x[:, :1] / (2 * _SHOWN) + 0.5
        category = (x[:, 2:] * place).sum(dim=1, keepdim=True)
        is_category = x[:, 2:].sum(dim=1, keepdim=True) > 0
        return (torch.where(is_category, category, shade) * 255.0).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True, kw_only=True)
class TableViews:
    """Lay rows out, with further values missing or noise on the numbers; by default nothing is done.

    Args:
        preprocess: How a row is laid out; a method sets it to its own.
        missing: Largest share of the features that go missing; how many is drawn per sample.
        noise: Deviation of added noise, in units of each number's scale.
        name: Name of the random stream.
        seed: Seed of the draws.

    Raises:
        UserError: A setting is out of its range.
    """

    preprocess: TablePreprocess
    missing: float = 0.0
    noise: float = 0.0
    name: str = "view"
    seed: int = 0

    def __post_init__(self) -> None:
        require(0 <= self.missing < 1, f"TableViews: missing is in [0, 1), got {self.missing}.")
        require(self.noise >= 0, f"TableViews: noise cannot be negative, got {self.noise}.")

    @torch.no_grad()
    def __call__(self, signal: Float[Tensor, "b c 1"], ids: Int[Tensor, " b"], step: int, view: int = 0) -> View:
        """Return view number `view` of each row at this step; its one parameter is the share that is missing."""
        name = f"{self.name}/{view}"
        share = Stream(self.seed, f"{name}/share").uniform(step, ids, 1) * self.missing
        if self.noise > 0:
            signal = with_noise(signal, self.preprocess, self.noise, ids, step, Stream(self.seed, f"{name}/noise"))
        if self.missing > 0:
            signal = with_missing(signal, share, ids, step, Stream(self.seed, f"{name}/missing"))
        return View(image=self.preprocess(signal), params=share)

    @property
    def params(self) -> tuple[str, ...]:
        """Return the name of each parameter of a view."""
        return ("missing",)

    def relative(self, params_from: Float[Tensor, "b p"], params_to: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
        """Return the second view's parameters less those of the first."""
        return params_to - params_from


def with_noise(
    signal: Float[Tensor, "b c 1"],
    preprocess: TablePreprocess,
    level: float,
    ids: Int[Tensor, " b"],
    step: int,
    stream: Stream,
) -> Float[Tensor, "b c 1"]:
    """Return rows with noise on their numbers, in units of each one's scale; categories stay."""
    scale = constants(preprocess.scale, signal.device).expand(signal.shape[1])
    is_number = constants(tuple(map(float, preprocess.num_categories)), signal.device) == 0
    drawn = stream.normal(step, ids, signal.shape[1])
    return signal + (drawn * torch.where(is_number, level * scale, 0.0))[..., None].to(signal.dtype)


def with_missing(
    signal: Float[Tensor, "b c t"], share: Float[Tensor, "b 1"], ids: Int[Tensor, " b"], step: int, stream: Stream
) -> Float[Tensor, "b c t"]:
    """Return rows, or signals, of which a share of the features is missing, all at random; one always stays."""
    num = signal.shape[1]
    rank = stream.bits(step, ids, num).argsort(dim=1, stable=True).argsort(dim=1, stable=True)
    gone = rank < (share * num).round().clamp(max=num - 1)
    return torch.where(gone[..., None], torch.nan, signal)
