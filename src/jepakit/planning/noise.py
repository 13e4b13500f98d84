"""Draw the noise of candidates: a function of seed, decision, iteration and episode, white or coloured over time."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream


def candidate_noise(
    seed: int,
    step: int,
    ids: Int[Tensor, " b"],
    num_samples: int,
    horizon: int,
    action_dim: int,
    colour: float = 0.0,
    num_frequencies: int | None = None,
    mirrored: bool = False,
) -> Float[Tensor, "b s t a"]:
    """Return noise of mean 0 and standard deviation 1 whose power falls with frequency f as f^-colour over time.

    Args:
        seed: The planner's seed.
        step: Which decision and iteration.
        ids: Episodes; each has noise of its own, whoever else is planned for.
        num_samples: Candidates.
        horizon: Steps.
        action_dim: Length of an action.
        colour: 0 is white; with 2 neighbouring steps go nearly the same way.
        num_frequencies: How many of the lowest frequencies there are; all by default. Fewer are smoother, and cost
            less to draw.
        mirrored: Whether the second half of the candidates is the first half turned round, at half the cost.

    Source: Pinneri et al. 2020 (iCEM, arXiv 2008.06389), section 3.1. Deviations: the lowest frequency, which has no
    finite power, is given that of the next one; amplitudes of frequencies are drawn, not filtered out of white noise.
    """
    stream = Stream(seed, "planning/candidates")
    num_drawn = (num_samples + 1) // 2 if mirrored else num_samples
    num_rows, most = num_drawn * action_dim, horizon // 2 + 1
    if horizon < 2 or (colour == 0.0 and (num_frequencies or most) >= most):
        noise = stream.normal(step, ids, num_rows * horizon).view(len(ids), num_drawn, horizon, action_dim)
    else:
        size = _sizes(horizon, min(num_frequencies or most, most), colour, ids.device)
        drawn = stream.normal(step, ids, num_rows * 2 * len(size)).view(len(ids), num_drawn, action_dim, len(size), 2)
        waves = torch.view_as_complex(drawn) * size
        noise = torch.fft.irfft(waves, n=horizon, norm="forward").transpose(-1, -2)
    return torch.cat((noise, -noise), dim=1)[:, :num_samples] if mirrored else noise


def _sizes(horizon: int, num_frequencies: int, colour: float, device: torch.device) -> Float[Tensor, " f"]:
    """Return the standard deviation of the real and of the imaginary part of each frequency.

    A frequency stands for itself and its mirror image, two unit normals of which give a variance of 4 at every step;
    the lowest and, of an even number of steps, the highest are their own images, and only their real part counts.
    """
    frequency = torch.arange(num_frequencies, device=device).clamp_min(1)
    variance = frequency.float() ** -colour
    variance[0] *= 2.0
    if 2 * (num_frequencies - 1) == horizon:
        variance[-1] *= 2.0
    share = torch.full_like(variance, 4.0)
    share[0] = 1.0
    if 2 * (num_frequencies - 1) == horizon:
        share[-1] = 1.0
    return (variance / (share * variance).sum()).sqrt()
