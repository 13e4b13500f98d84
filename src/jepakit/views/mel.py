"""Lay sounds out as pictures, a log-mel spectrogram of mels by frames, or keep the waveform as a picture of one row.

Every sound is measured against itself: a spectrogram against its own loudest point, a waveform against its own
deviation. How loud a recording is then changes nothing, and what was not measured (NaN) is silence.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from jepakit.types import UserError, require
from jepakit.views.preprocess import full_precision

_QUIET = 1e-20
"""What is not louder than this anywhere is silence."""
_SHOWN = 3.0
"""Deviations either way that fill the height of a waveform in a picture for people."""
_SHAPE_SHOWN = (49, 200)
"""Rows, and about as many columns, of such a picture."""


class OfSounds:
    """Say what both ways to lay out a sound share: one channel, one plane."""

    @property
    def channels(self) -> int:
        """Return the planes of the result."""
        return 1

    @property
    def signal_channels(self) -> int:
        """Return the channels of a sound."""
        return 1


@dataclass(frozen=True, kw_only=True)
class MelPreprocess(OfSounds):
    """Turn sounds into log-mel spectrograms: decibels below the sound's loudest point, less `mean`, over `std`.

    Args:
        rate: Samples a second.
        length: Samples of a sound.
        num_mels: Bands, equally wide on the mel scale from 0 to half the rate: the rows, the highest first.
        window_s: Seconds of the Hann window.
        hop_s: Seconds from one frame, a column, to the next.
        floor_db: Decibels below the loudest point under which all is alike.
        mean: Of the decibels, which lie between minus `floor_db` and 0.
        std: Deviation of the decibels.

    Raises:
        UserError: A size is below 1, or a sound is shorter than a hop.

    Source: mel scale of O'Shaughnessy 1987 as in HTK, triangles of height 1. Deviations: each sound is normalised by
    its loudest point instead of statistics of a data set.
    """

    rate: int
    length: int
    num_mels: int = 32
    window_s: float = 0.032
    hop_s: float = 0.016
    floor_db: float = 80.0
    mean: float = -50.0
    std: float = 20.0

    def __post_init__(self) -> None:
        require(self.rate >= 1, f"MelPreprocess: a sound has at least 1 sample a second, got {self.rate}.")
        require(self.num_mels >= 1, f"MelPreprocess: num_mels must be at least 1, got {self.num_mels}.")
        require(
            min(self.floor_db, self.std) > 0,
            f"MelPreprocess: floor_db and std must be above 0, got {self.floor_db} and {self.std}.",
        )
        require(
            1 <= self.hop <= min(self.window, self.length),
            f"MelPreprocess: a hop of {self.hop} samples must be at least 1, and at most the window of {self.window} "
            f"and the sound's {self.length}.",
        )

    @property
    def window(self) -> int:
        """Return the samples of a window."""
        return round(self.window_s * self.rate)

    @property
    def hop(self) -> int:
        """Return the samples from one frame to the next."""
        return round(self.hop_s * self.rate)

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and the width of the result: mels and frames."""
        return self.num_mels, self.length // self.hop

    @torch.no_grad()
    def __call__(self, signal: Float[Tensor, "b c t"]) -> Float[Tensor, "b 1 h w"]:
        """Return normalised spectrograms.

        Raises:
            UserError: The sounds have several channels or another length.
        """
        sound = _mono(signal, self.length)
        with full_precision(signal.device):
            power = self._mel_power(sound)
            loudest = power.amax(dim=(1, 2), keepdim=True).clamp_min(_QUIET)
            decibels = 10.0 * torch.log10((power / loudest).clamp_min(10.0 ** (-self.floor_db / 10.0)))
        return ((decibels - self.mean) / self.std)[:, None]

    def _mel_power(self, sound: Float[Tensor, "b t"]) -> Float[Tensor, "b h w"]:
        """Return the power in each band and frame; frames are centred on their hops, silence lies around the sound."""
        frames, lead = self.shape[1], (self.window - self.hop) // 2
        padded = F.pad(sound, (lead, (frames - 1) * self.hop + self.window - lead - sound.shape[1]))
        window = torch.hann_window(self.window, device=sound.device)
        spectrum = torch.stft(padded, self.window, self.hop, window=window, center=False, return_complex=True)
        power = torch.view_as_real(spectrum).square().sum(dim=-1)
        return mel_filters(self.num_mels, self.window, self.rate).to(sound.device).flip(0) @ power

    def to_source(self, x: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b c t"]:
        """Refuse: views are made of sounds, and a spectrogram does not hold the one it came from."""
        raise UserError(
            "A spectrogram cannot be turned back into its sound, and this method asks about views of sounds, not of it."
        )

    def to_pixels(self, x: Float[Tensor, "b 1 h w"]) -> UInt8[Tensor, "b 1 h w"]:
        """Return grey pictures for people: the loudest point is white, the floor black."""
        share = (x * self.std + self.mean) / self.floor_db + 1.0
        return (share * 255.0).round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True, kw_only=True)
class WavePreprocess(OfSounds):
    """Keep sounds as waveforms, less their mean and over their own deviation: pictures of one row.

    Args:
        rate: Samples a second.
        length: Samples of a sound.

    Raises:
        UserError: There is not one sample, or not one a second.
    """

    rate: int
    length: int

    def __post_init__(self) -> None:
        require(self.rate >= 1, f"WavePreprocess: a sound has at least 1 sample a second, got {self.rate}.")
        require(self.length >= 1, f"WavePreprocess: a sound has at least 1 sample, got {self.length}.")

    @property
    def shape(self) -> tuple[int, int]:
        """Return the height and the width of the result."""
        return 1, self.length

    @torch.no_grad()
    def __call__(self, signal: Float[Tensor, "b c t"]) -> Float[Tensor, "b 1 1 t"]:
        """Return normalised waveforms, 0 where all is silent.

        Raises:
            UserError: The sounds have several channels or another length.
        """
        sound = torch.where(signal[:, 0].isfinite(), _mono(signal, self.length), torch.nan)
        centred = sound - sound.nanmean(dim=1, keepdim=True)
        std = centred.square().nanmean(dim=1, keepdim=True).sqrt()
        return (centred / std.clamp_min(_QUIET)).nan_to_num(0.0)[:, None, None]

    def to_source(self, x: Float[Tensor, "b 1 1 t"]) -> Float[Tensor, "b 1 t"]:
        """Return waveforms as what views are made of."""
        return x[:, 0]

    def to_pixels(self, x: Float[Tensor, "b 1 1 t"]) -> UInt8[Tensor, "b 1 h w"]:
        """Return pictures for people: from the least to the largest value of each of some stretches, black on white."""
        stretch = max(1, self.length // _SHAPE_SHOWN[1])
        high, low = (F.max_pool1d(sign * x[:, 0], stretch, ceil_mode=True)[:, :, None] * sign for sign in (1, -1))
        level = torch.linspace(_SHOWN, -_SHOWN, _SHAPE_SHOWN[0], device=x.device)[:, None]
        half = _SHOWN / _SHAPE_SHOWN[0]
        return torch.where((level <= high + half) & (level >= low - half), 0, 255).to(torch.uint8)


def _mono(signal: Float[Tensor, "b c t"], length: int) -> Float[Tensor, "b t"]:
    """Return sounds without their channel axis, at most 1 loud, silent where nothing was measured."""
    require(
        signal.shape[1:] == (1, length),
        f"The model takes sounds of 1 channel x {length} samples, got {' x '.join(map(str, signal.shape[1:]))}.",
    )
    sound = signal[:, 0].float().nan_to_num(0.0, 0.0, 0.0)
    return sound / sound.abs().amax(dim=1, keepdim=True).clamp_min(_QUIET)


@lru_cache(maxsize=8)
def mel_filters(num_mels: int, window: int, rate: int) -> Float[Tensor, "m f"]:
    """Return the weight of each frequency of a Fourier transform in each mel band: triangles that cover all of them.

    Example:
        >>> filters = mel_filters(num_mels=4, window=64, rate=8000)
        >>> filters.shape, bool((filters[:, 8:16].sum(dim=0) - 1).abs().max() < 1e-6)
        (torch.Size([4, 33]), True)
    """
    top = 2595.0 * math.log10(1.0 + rate / 2 / 700.0)
    corner = 700.0 * (10.0 ** (torch.linspace(0.0, top, num_mels + 2, dtype=torch.float64) / 2595.0) - 1.0)
    frequency = torch.linspace(0.0, rate / 2, window // 2 + 1, dtype=torch.float64)
    width = corner.diff()[:, None]
    rising = (frequency - corner[:-2, None]) / width[:-1]
    falling = (corner[2:, None] - frequency) / width[1:]
    return torch.minimum(rising, falling).clamp_min(0.0).float()
