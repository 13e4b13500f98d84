"""Draw the noise of candidates: a function of seed, decision, iteration and episode, white or coloured over time."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from jepakit.random import Stream


def candidate_noise(
    seed: int, step: int, ids: Int[Tensor, " b"], num_samples: int, horizon: int, action_dim: int, colour: float = 0.0
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

    Source: Pinneri et al. 2020 (iCEM, arXiv 2008.06389), section 3.1. Deviations: the lowest frequency, which has no
    finite power, is given that of the next one.
    """
    white = Stream(seed, "planning/candidates").normal(step, ids, num_samples * horizon * action_dim)
    white = white.view(len(ids), num_samples, action_dim, horizon)
    if colour == 0.0 or horizon < 2:
        return white.transpose(-1, -2)
    frequency = torch.fft.rfftfreq(horizon, device=white.device)
    frequency[0] = frequency[1]
    amplitude = frequency ** (-colour / 2)
    shaped = torch.fft.irfft(torch.fft.rfft(white) * amplitude, n=horizon)
    count = torch.full_like(amplitude, 2.0)  # each frequency stands for itself and its mirror image
    count[0] = 1.0
    if horizon % 2 == 0:
        count[-1] = 1.0
    power = (count * amplitude.square()).sum() / horizon
    return (shaped / power.sqrt()).transpose(-1, -2)
