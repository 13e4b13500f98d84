"""Drift, probes on predictions, rank and spread are what closed forms say they are."""

import itertools

import pytest
import torch
from plane_world import Plane, PlaneModel

from jepakit.evaluation.imagination import Imagined, drift, imagine, rank_of_truth, read_factors
from jepakit.evaluation.probed_world import Learned
from jepakit.planning import LatentDistance
from jepakit.types import UserError
from jepakit.worlds import Roaming

WORLD = Plane()
MADE = Roaming()(WORLD, torch.arange(40), 6)


def learned(gain: float = 1.0, frame_skip: int = 1) -> Learned:
    return Learned(PlaneModel(gain=gain, frame_skip=frame_skip), WORLD.render)


def test_a_perfect_model_does_not_drift_and_one_that_stays_drifts_as_staying_does() -> None:
    perfect, frozen = (drift(imagine(learned(gain), MADE)) for gain in (1.0, 0.0))
    assert [step.step for step in perfect] == [1, 2, 3, 4, 5, 6]
    assert max(step.model for step in perfect) < 1e-9
    assert all(step.model == pytest.approx(step.stay) and step.stay > 0.1 for step in frozen)
    assert frozen[-1].stay > frozen[0].stay


def test_drift_in_closed_form_and_chance_over_all_pairs() -> None:
    imagined = imagine(learned(0.5, 2), MADE, frame_skip=2, at_once=7)
    steps = drift(imagined)
    assert [step.step for step in steps] == [2, 4, 6]
    assert all(step.model == pytest.approx(step.stay / 4, rel=1e-5) for step in steps)
    places = MADE.of(MADE.states.position)[:, 4]
    pairs = [(places[i] - places[j]).square().mean() for i, j in itertools.permutations(range(40), 2)]
    assert steps[1].chance == pytest.approx(float(torch.stack(pairs).mean()), rel=1e-5)
    with pytest.raises(UserError, match="frame_skip"):
        imagine(learned(), MADE, frame_skip=2)
    with pytest.raises(UserError, match="give 2 or more"):
        drift(Imagined(imagined.z[:1], imagined.z_hat[:1], 2))


def test_a_probe_reads_true_embeddings_and_mistaken_predictions_step_by_step() -> None:
    factors = {"position": MADE.of(MADE.states.position), "constant": torch.ones(40, 7, 1)}
    _, (perfect,) = read_factors(imagine(learned(), MADE), factors)
    probe, (wrong,) = read_factors(imagine(learned(-1.0), MADE), factors)
    assert perfect.factor == "position"
    assert perfect.true > 0.9999 and min(perfect.predicted) > 0.9999
    assert wrong.true > 0.9999
    assert wrong.predicted[0] < 1.0 and wrong.predicted[-1] < wrong.predicted[0] - 0.3
    test = slice(20, 40)
    missed = 2 * MADE.action[test].sum(dim=1)  # a model that goes the other way is off by twice the way
    true = MADE.of(MADE.states.position)[test, -1]
    share = missed.square().sum() / (true - true.mean(dim=0)).square().sum()
    assert wrong.predicted[-1] == pytest.approx(1.0 - float(share), abs=1e-3)
    assert probe.weight.keys() == {"position"}
    with pytest.raises(UserError, match="give 4 or more, got 3"):
        read_factors(Imagined(torch.zeros(3, 2, 1, 1), torch.zeros(3, 1, 1, 1), 1), factors)


def test_the_truth_is_first_by_a_perfect_model_last_by_its_opposite_and_anywhere_by_a_blind_one() -> None:
    cost = LatentDistance(over="last")
    best, _ = rank_of_truth(learned(), cost, MADE, 16)
    worst, _ = rank_of_truth(learned(), lambda z_hat, goal, actions: -cost(z_hat, goal, actions), MADE, 16)
    blind, spread = rank_of_truth(learned(0.0), cost, MADE, 16)
    assert (best.value, worst.value, blind.value, spread) == (0.0, 1.0, 0.5, 0.0)
    assert best.high > best.low == 0.0 and worst.low < worst.high == 1.0  # however sure, not of width zero
    assert blind.n == 40 and blind.low < 0.5 < blind.high


def test_rank_and_spread_count_each_candidate() -> None:
    def cost(z_hat: torch.Tensor, goal: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return torch.tensor([2.0, 1.0, 2.0, 3.0, 6.0]).expand(len(goal), 5)  # the truth is the first

    rank, spread = rank_of_truth(learned(), cost, MADE, 4, at_once=9)
    assert rank.value == pytest.approx((1 + 0.5) / 4)
    assert spread == pytest.approx((14 / 3) ** 0.5 / 3)


def test_candidates_are_other_trajectories_and_depend_on_the_seed_alone() -> None:
    seen = []

    def cost(z_hat: torch.Tensor, goal: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        seen.append(actions)
        return actions.sum(dim=(-2, -1))

    results = [rank_of_truth(learned(), cost, MADE, 8, seed, at_once) for seed, at_once in ((0, 1024), (0, 8), (1, 8))]
    assert results[0] == results[1] != results[2]
    given = seen[0]
    assert torch.equal(given[:, 0], MADE.action)
    assert not (given[:, 1:] == given[:, :1]).flatten(2).all(dim=2).any()
    assert (given[:, 1:, None] == MADE.action).flatten(3).all(dim=3).any(dim=2).all()


def test_costs_that_are_no_numbers_and_too_few_candidates_are_refused() -> None:
    with pytest.raises(UserError, match="not a finite number"):
        rank_of_truth(learned(float("nan")), LatentDistance(), MADE, 4)
    with pytest.raises(UserError, match="2 candidates"):
        rank_of_truth(learned(), LatentDistance(), MADE, 1)
