"""Draw views of sounds in batches on their device: another moment, speed and pitch, another room, noise.

Every sound by parameters of its own, drawn from its id, as `Augment` does for images; what the settings switch off
costs nothing.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream
from jepakit.types import require
from jepakit.views.mel import MelPreprocess, WavePreprocess
from jepakit.views.view import View

_NUM_WAVES = 3


@dataclass(frozen=True, kw_only=True)
class SoundViews:
    """Shift, speed up, colour and disturb sounds, then lay them out as the encoder takes them; by default do nothing.

    Args:
        preprocess: How a sound is laid out; a method sets it to its own.
        shift_fraction: Largest shift either way, as a fraction of the length; silence comes in.
        speed: Largest factor by which a sound becomes faster and higher, or slower and lower; 1 for none.
        tilt_db: Deviation in decibels of each of three cosines over the logarithm of frequency: a smooth equaliser.
        noise_prob: Probability of white noise.
        snr_db: Range of its signal-to-noise ratio in decibels, against the mean power of what was measured.
        name: Name of the random stream.
        seed: Seed of the draws.

    Raises:
        UserError: A setting is out of its range.

    Source: our own selection; speed perturbation after Ko et al. 2015 (Interspeech).
    """

    preprocess: MelPreprocess | WavePreprocess
    shift_fraction: float = 0.0
    speed: float = 1.0
    tilt_db: float = 0.0
    noise_prob: float = 0.0
    snr_db: tuple[float, float] = (5.0, 40.0)
    name: str = "view"
    seed: int = 0

    def __post_init__(self) -> None:
        require(0 <= self.shift_fraction <= 1, f"SoundViews: shift_fraction is in [0, 1], got {self.shift_fraction}.")
        require(self.speed >= 1, f"SoundViews: speed is a factor of at least 1, got {self.speed}.")
        require(self.tilt_db >= 0, f"SoundViews: tilt_db cannot be negative, got {self.tilt_db}.")
        require(0 <= self.noise_prob <= 1, f"SoundViews: noise_prob is a probability, got {self.noise_prob}.")
        require(self.snr_db[0] <= self.snr_db[1], f"SoundViews: snr_db needs low <= high, got {self.snr_db}.")

    def __call__(self, signal: Float[Tensor, "b c t"], ids: Int[Tensor, " b"], step: int, view: int = 0) -> View:
        """Return view number `view` of each sound at this step, and its parameters, named by `params`."""
        params = self.draw(ids, step, view)
        return View(image=self.preprocess(self.apply(signal, params, ids, step, view)), params=params)

    @property
    def params(self) -> tuple[str, ...]:
        """Return the name of each parameter of a view.

        `centre` is the moment of the sound that the view's middle shows, from the sound's own middle, as a fraction of
        the length; `log_speed` the logarithm of the factor; `tilt_i` decibels; `noise` the noise's share of the power.
        """
        return ("centre", "log_speed", *(f"tilt_{i + 1}" for i in range(_NUM_WAVES)), "noise")

    def relative(self, params_from: Float[Tensor, "b p"], params_to: Float[Tensor, "b p"]) -> Float[Tensor, "b p"]:
        """Return the second view's parameters in the frame of the first: its centre in the first one's own time."""
        told = params_to - params_from
        return torch.cat((told[:, :1] * torch.exp(-params_from[:, 1:2]), told[:, 1:]), dim=1)

    @torch.no_grad()
    def draw(self, ids: Int[Tensor, " b"], step: int, view: int) -> Float[Tensor, "b p"]:
        """Draw each sound's parameters, named by `params`."""
        stream = f"{self.name}/{view}"
        u = Stream(self.seed, stream).uniform(step, ids, 4)
        centre = (2.0 * u[:, :1] - 1.0) * self.shift_fraction
        log_speed = (2.0 * u[:, 1:2] - 1.0) * math.log(self.speed)
        tilt = Stream(self.seed, f"{stream}/tilt").normal(step, ids, _NUM_WAVES) * (self.tilt_db / 10.0)
        snr = self.snr_db[0] + u[:, 2:3] * (self.snr_db[1] - self.snr_db[0])
        noise = torch.where(u[:, 3:] < self.noise_prob, 1.0 / (1.0 + 10.0 ** (snr / 10.0)), 0.0)
        return torch.cat((centre, log_speed, tilt, noise), dim=1)

    @torch.no_grad()
    def apply(
        self, signal: Float[Tensor, "b c t"], params: Float[Tensor, "b p"], ids: Int[Tensor, " b"], step: int, view: int
    ) -> Float[Tensor, "b c t"]:
        """Return the sounds that these parameters describe, with nothing left unmeasured."""
        power = signal.square().nanmean(dim=-1, keepdim=True).nan_to_num(0.0)
        x = signal.nan_to_num(0.0)
        if self.shift_fraction > 0 or self.speed > 1:
            x = played(x, params[:, 0], params[:, 1].exp())
        if self.tilt_db > 0:
            x = tilted(x, params[:, 2 : 2 + _NUM_WAVES])
        if self.noise_prob > 0:
            share = params[:, -1, None, None]
            x = x + self._noise(x, ids, step, view) * (power * share / (1.0 - share)).sqrt()
        return x

    def _noise(self, x: Float[Tensor, "b c t"], ids: Int[Tensor, " b"], step: int, view: int) -> Float[Tensor, "b 1 t"]:
        """Return white noise: each sound hears another stretch of one noise of this step and view, played in a circle.

        A noise of its own for every sound would take as long as the network's own work on it.
        """
        num = 8 * x.shape[-1]
        stream = Stream(self.seed, f"{self.name}/{view}/noise")
        noise = stream.normal(step, ids.new_zeros(1), num)[0]
        start = Stream(self.seed, f"{self.name}/{view}/noise-start").integers(step, ids, 1, num)
        return noise[(start + torch.arange(x.shape[-1], device=x.device)) % num][:, None]


def played(
    x: Float[Tensor, "b c t"], centre: Float[Tensor, " b"], speed: Float[Tensor, " b"]
) -> Float[Tensor, "b c t"]:
    """Return sounds at another speed, their middle at another moment; silence lies around them.

    Args:
        x: Sounds.
        centre: Moment that the middle shows, from the sound's middle, as a fraction of the length.
        speed: Factor; above 1 is faster and higher.

    Between samples the value is that of a cubic through four neighbours.
    """
    length = x.shape[-1]
    moment = (2.0 * torch.arange(length, device=x.device) + 1.0) / length - 1.0  # from -1 to 1, as grid_sample counts
    place = 2.0 * centre[:, None] + speed[:, None] * moment
    grid = torch.stack((place, torch.zeros_like(place)), dim=-1)[:, None]
    return F.grid_sample(x[:, :, None], grid, mode="bicubic", padding_mode="zeros", align_corners=False)[:, :, 0]


def tilted(x: Float[Tensor, "b c t"], tilt: Float[Tensor, "b k"]) -> Float[Tensor, "b c t"]:
    """Return sounds through a smooth equaliser.

    Args:
        x: Sounds.
        tilt: Tens of decibels of each cosine: half a wave, a whole one, and so on, over the logarithm of frequency
            from a hundredth of the highest.
    """
    spectrum = torch.fft.rfft(x)
    share = torch.linspace(0.0, 1.0, spectrum.shape[-1], device=x.device).clamp_min(0.01)
    height = 1.0 + torch.log10(share) / 2.0
    waves = torch.cos(math.pi * torch.arange(1, tilt.shape[1] + 1, device=x.device)[:, None] * height)
    gain = 10.0 ** ((tilt @ waves) / 2.0)
    return torch.fft.irfft(spectrum * gain[:, None], n=x.shape[-1])
