"""Share what searches that draw candidates have: noise around a mean, inside the bounds, beside plans that are kept."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.planning.noise import candidate_noise
from jepakit.planning.search import Problem, Search


@dataclass(frozen=True, kw_only=True)
class Sampling(Search):
    """Draw candidates around a mean. The other settings are those of every `Search`.

    Args:
        num_samples: Candidates of an episode.
        num_iterations: Rounds.
        std: First standard deviation, in shares of the largest action.
        colour: Of the noise over time, see `candidate_noise`.
        num_frequencies: Lowest frequencies of the noise that there are; all by default.
        mirrored: Whether candidates come in pairs, noise and its opposite: half the draws, and a mean that is exact.
    """

    num_samples: int = 150
    num_iterations: int = 6
    std: float = 0.5
    colour: float = 0.0
    num_frequencies: int | None = None
    mirrored: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.needs(min(self.num_samples, self.num_iterations) >= 1, "candidates and iterations of at least 1")
        self.needs(self.std > 0, "a std above 0")
        self.needs(self.num_frequencies is None or self.num_frequencies >= 1, "num_frequencies of at least 1")

    @property
    def num_candidates(self) -> int:
        """Return how many plans of an episode are asked about at once."""
        return self.num_samples

    def first_std(self, problem: Problem) -> Float[Tensor, "b t a"]:
        """Return the standard deviation of the first round."""
        return (self.std * problem.bounds.widest).expand_as(problem.begin[:, 0])

    def candidates(
        self,
        problem: Problem,
        iteration: int,
        mean: Float[Tensor, "b t a"],
        std: Float[Tensor, "b t a"],
        kept: Float[Tensor, "b k t a"],
        num_samples: int | None = None,
    ) -> Float[Tensor, "b s t a"]:
        """Return plans that are kept, as they are, and others drawn around a mean and moved into the bounds."""
        step = problem.decision * self.num_iterations + iteration
        num_samples = self.num_samples if num_samples is None else num_samples
        shape = num_samples, self.horizon, mean.shape[-1], self.colour, self.num_frequencies, self.mirrored
        noise = candidate_noise(self.seed, step, problem.ids, *shape).to(mean)
        drawn = problem.bounds.clamp(torch.addcmul(mean[:, None], std[:, None], noise))
        drawn[:, : kept.shape[1]] = kept[:, :num_samples]
        return drawn
