"""Compare imagined with real trajectories: drift, what probes still read, the rank of what was done, spread of costs.

Everything is measured on held-out trajectories, of which the model sees the first state and the actions. Nothing here
searches, so nothing here depends on a planner.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from jepakit.evaluation.factor_probe import FactorProbe, explained, fit_factors
from jepakit.evaluation.intervals import Interval, bounded
from jepakit.evaluation.probed_world import Learned
from jepakit.evaluation.telling import AT_ONCE, Sight
from jepakit.random import Stream
from jepakit.types import UserError, require
from jepakit.worlds.trajectories import Trajectories

Cost = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Say what candidates cost by predicted tokens (b, s, t, n, d), goal tokens (b, n, d) and actions, as in planning."""


@dataclass(frozen=True)
class Imagined:
    """Hold what came of trajectories and what a model had predicted.

    Args:
        z: Tokens of the true states that are looked at, the first included.
        z_hat: Predicted tokens, from the first state and the actions alone.
        frame_skip: Actions between two of them.
    """

    z: Float[Tensor, "b t1 n d"]
    z_hat: Float[Tensor, "b t n d"]
    frame_skip: int


@dataclass(frozen=True)
class Drift:
    """Hold mean squared distances to the embedding that came true after so many actions.

    Args:
        step: Actions.
        model: Of what the model predicts.
        stay: Of the first embedding: nothing predicted, everything stays as it is.
        chance: Of other trajectories' embeddings after as many actions.
    """

    step: int
    model: float
    stay: float
    chance: float


@dataclass(frozen=True)
class Probed:
    """Hold how much of a factor's variance is read (R2) from embeddings of other trajectories than those of the fit.

    Args:
        factor: Its name.
        true: From true embeddings, all steps together.
        predicted: From predicted ones, by step.
    """

    factor: str
    true: float
    predicted: tuple[float, ...]


def imagine(learned: Learned, trajectories: Trajectories, frame_skip: int = 1, at_once: int = AT_ONCE) -> Imagined:
    """Let a model predict trajectories from their first states, and encode what came true.

    Raises:
        UserError: The actions do not fill blocks of `frame_skip`, or the model looks at other states than these.
    """
    thin = trajectories.every(frame_skip)
    z = thin.of(Sight(learned.model, learned.look, at_once)(thin.states))
    state = learned.observe(trajectories.at(0))
    z_hat = learned.rollout(state.expand(1), trajectories.action[:, None])[:, 0]
    if z_hat.shape != z[:, 1:].shape:
        raise UserError(
            f"The model predicts {tuple(z_hat.shape[1:])} (steps, tokens, numbers) where states that are looked at "
            f"every {frame_skip} actions have {tuple(z[:, 1:].shape[1:])}; give the model's own frame_skip."
        )
    return Imagined(z, z_hat, frame_skip)


def drift(imagined: Imagined) -> list[Drift]:
    """Return how far predictions are from what came true, step by step, beside two predictors that know nothing.

    Raises:
        UserError: There are fewer than two trajectories.
    """
    z, z_hat = imagined.z.flatten(2).double(), imagined.z_hat.flatten(2).double()
    require(len(z) >= 2, f"Chance is the distance between trajectories, of which there are {len(z)}; give 2 or more.")
    model = (z_hat - z[:, 1:]).square().mean(dim=(0, 2))
    stay = (z[:, :1] - z[:, 1:]).square().mean(dim=(0, 2))
    chance = 2.0 * z[:, 1:].var(dim=0).mean(dim=1)  # the mean over all pairs of trajectories
    rows = zip(model.tolist(), stay.tolist(), chance.tolist(), strict=True)
    return [Drift(imagined.frame_skip * k, *row) for k, row in enumerate(rows, start=1)]


def read_factors(
    imagined: Imagined, factors: Mapping[str, Float[Tensor, "b t1 _"]], num_features: int = 0, seed: int = 0
) -> tuple[FactorProbe, list[Probed]]:
    """Fit a probe to the true embeddings of the first half of the trajectories, and score it on the second.

    Args:
        imagined: Both kinds of embeddings.
        factors: What is true of the states that are looked at; those that do not vary are left out.
        num_features: Random features of the probe, see `fit_factors`.
        seed: Of these.

    Raises:
        UserError: There are fewer than four trajectories, or no factor varies.
    """
    b = len(imagined.z)
    require(b >= 4, f"A probe is fitted to half of the trajectories, 2 or more, so give 4 or more, got {b}.")
    train, test = slice(0, b // 2), slice(b // 2, b)
    flat = {name: label[train].flatten(0, 1) for name, label in factors.items()}
    probe = fit_factors(imagined.z[train].flatten(0, 1), flat, num_features, seed)
    seen, ahead = imagined.z[test], imagined.z_hat[test]
    on_true = probe(seen.flatten(0, 1))
    on_predicted = [probe(z_hat) for z_hat in ahead.unbind(1)]
    scores = []
    for name, read in on_true.items():
        label = factors[name][test]
        by_step = [explained(label[:, k], step[name]) for k, step in enumerate(on_predicted, start=1)]
        scores.append(Probed(name, explained(label.flatten(0, 1), read), tuple(by_step)))
    return probe, scores


def rank_of_truth(
    learned: Learned, cost: Cost, trajectories: Trajectories, num_candidates: int, seed: int = 0, at_once: int = AT_ONCE
) -> tuple[Interval, float]:
    """Say where what was done ranks among random candidates for where it led, and how much their costs differ.

    Candidates are the actions of other trajectories: of the same kind as the truth, only not the way there.

    Args:
        learned: What predicts.
        cost: What candidates cost.
        trajectories: Their actions are the truth, their last states the goals.
        num_candidates: Candidates beside the truth.
        seed: Of the choice of candidates.
        at_once: Candidates asked about at once.

    Returns:
        The share of candidates that cost less than the truth, ties counted half, over trajectories: 0 is best, 0.5
        chance. The coefficient of variation (standard deviation over mean) of the candidates' costs, the mean over
        trajectories.

    Raises:
        UserError: There are fewer than two trajectories or candidates, or a cost is not a finite number.
    """
    b = len(trajectories.action)
    require(min(b, num_candidates) >= 2, f"A rank needs 2 trajectories and 2 candidates, got {b} and {num_candidates}.")
    ids = torch.arange(b, device=trajectories.action.device)
    other = Stream(seed, "diagnosis/candidates").integers(0, ids, num_candidates, b - 1)
    other = other + (other >= ids[:, None])
    goal = learned.encode_goal(trajectories.at(trajectories.num_states - 1))
    state, costs = learned.observe(trajectories.at(0)), []
    for part in ids.split(max(1, at_once // num_candidates)):
        actions = torch.cat((trajectories.action[part, None], trajectories.action[other[part]]), dim=1)
        z_hat = learned.rollout(state.select(part).expand(num_candidates + 1), actions)
        costs.append(cost(z_hat, goal[part], actions).double())
    price = torch.cat(costs)
    bad = int((~price.isfinite()).sum())
    require(bad == 0, f"{bad} of {price.numel()} candidates cost what is not a finite number, so there is no rank.")
    truth, random = price[:, :1], price[:, 1:]
    rank = ((random < truth).double() + 0.5 * (random == truth)).mean(dim=1)
    spread = random.std(dim=1) / random.mean(dim=1).abs().clamp_min(torch.finfo(torch.float64).tiny)
    return bounded(float(rank.mean()), b), float(spread.mean())
