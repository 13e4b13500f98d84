"""Diagnose planning by swapping in the truth: four arms on the same episodes, what was imagined, and one verdict.

    learned model, latent cost     as it is
    true world, latent cost        the simulator steps, the model's encoder sees what came of it
    learned model, true cost       a probe reads places from predictions, the world says how far they are from the goal
    true world, true cost          nothing learned is left but the search's own settings

The search is handed in, the same for all arms; it observes true states, so whoever makes it passes on what it is given.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from jepakit.evaluation.episodes import Act, Played, play, success
from jepakit.evaluation.imagination import Cost, Drift, Probed, drift, imagine, rank_of_truth, read_factors
from jepakit.evaluation.intervals import Interval
from jepakit.evaluation.probed_world import Learned, ProbedWorld, Read
from jepakit.evaluation.telling import AT_ONCE, Embedded, Far, Model, Remaining, Sight, TrueCost
from jepakit.evaluation.true_world import TrueWorld
from jepakit.evaluation.verdict import ENOUGH, LEARNED, TRUE_BOTH, TRUE_COST, TRUE_WORLD, Verdict, judge
from jepakit.types import UserError, require
from jepakit.worlds import Trajectories, World

MakeAct = Callable[[Model, Cost, Any, Tensor], Act]
"""Make what chooses actions of (model, cost, goal states, episode ids); it is then called with true states."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """Say what is diagnosed, and with which search.

    Args:
        world: Where.
        model: What predicts.
        cost: What it plans by.
        far: How far states are from goals: the true cost, such as the length of the way that is left.
        make_act: Makes the closed loop of one arm; keep its search small, one arm encodes a picture of each candidate.
        search: That search in words, for the record.
        ids: Episodes; `world.task` says where they begin and are to end.
        num_steps: Steps of an episode.
        held_out: Trajectories that the model has not learned from, no longer than it may plan.
        look: What the model is given of states; by default the world's pictures.
        reads: Factors that a probe reads for `far`; they take the place of the state's fields of the same names.
        over: Whether the true cost is the `mean` over the steps that are looked at, or the `last`; as `cost` is.
        frame_skip: Actions between two states that the model looks at.
        num_candidates: Random candidates among which what was done is ranked.
        num_features: Random features of the probe; 0 for a linear one.
        enough: Share of episodes from which on nothing is called failing.
        seed: Of candidates and features.
        at_once: States rendered, or candidates stepped, at once.

    Raises:
        UserError: There are no episodes or no steps.
    """

    world: World
    model: Model
    cost: Cost
    far: Far
    make_act: MakeAct
    search: str
    ids: Int[Tensor, " b"]
    num_steps: int
    held_out: Trajectories
    look: Callable[[Any], Any] | None = None
    reads: tuple[str, ...] = ("position",)
    over: str = "mean"
    frame_skip: int = 1
    num_candidates: int = 128
    num_features: int = 0
    enough: float = ENOUGH
    seed: int = 0
    at_once: int = AT_ONCE

    def __post_init__(self) -> None:
        require(
            min(len(self.ids), self.num_steps) >= 1,
            f"A diagnosis plays at least 1 episode of 1 step, got {len(self.ids)} of {self.num_steps}.",
        )

    @property
    def learned(self) -> Learned:
        """Return the model, looking at states."""
        return Learned(self.model, self.look or self.world.render)


@dataclass(frozen=True)
class Diagnosis:
    """Hold all of it.

    Args:
        search: The search in words.
        ends: By arm, the share of episodes that end at the goal.
        comes: By arm, the share that is ever there.
        rank: Share of random candidates that cost less than what was done.
        spread: Coefficient of variation of the cost over random candidates.
        drift: How far predictions are from what came true.
        probe: What probes read from true and from predicted embeddings.
        verdict: What fails.
    """

    search: str
    ends: Mapping[str, Interval]
    comes: Mapping[str, Interval]
    rank: Interval
    spread: float
    drift: tuple[Drift, ...]
    probe: tuple[Probed, ...]
    verdict: Verdict

    def record(self) -> dict[str, Any]:
        """Return it as a run's `evaluation.json` holds it, of numbers, words, lists and mappings alone."""
        arms = [{"arm": arm, "ends": asdict(ends), "comes": asdict(self.comes[arm])} for arm, ends in self.ends.items()]
        return {
            "num_episodes": self.ends[LEARNED].n,
            "search": self.search,
            "arms": arms,
            "rank": {"value": self.rank.value, "low": self.rank.low, "high": self.rank.high},
            "spread": self.spread,
            "drift": [asdict(step) for step in self.drift],
            "probe": [{**asdict(probed), "predicted": list(probed.predicted)} for probed in self.probe],
            "fails": self.verdict.fails,
            "sentence": self.verdict.sentence,
        }


@torch.no_grad()
def diagnose(case: Case) -> Diagnosis:
    """Measure what a model imagines, play the four arms, and judge.

    Raises:
        UserError: What `reads` names is no factor of the world or does not vary, or held-out data do not suffice.
    """
    imagined = imagine(case.learned, case.held_out, case.frame_skip, case.at_once)
    thin = case.held_out.every(case.frame_skip)
    factors = {name: thin.of(value) for name, value in case.world.factors(thin.states).items()}
    probe, scores = read_factors(imagined, factors, case.num_features, case.seed)
    quality = {probed.factor: probed.true for probed in scores}
    if not case.reads or not set(case.reads) <= set(quality):
        raise UserError(
            f"The true cost of predictions reads {', '.join(case.reads) or 'nothing'}; the factors that vary are "
            f"{', '.join(quality)}."
        )

    def read(z: Tensor) -> dict[str, Tensor]:
        told = probe(z)
        return {name: told[name] for name in case.reads}

    played = {name: _play(case, *arm) for name, arm in _arms(case, read).items()}
    ends = {name: arm.ends_near(0.5) for name, arm in played.items()}
    rank, spread = rank_of_truth(case.learned, case.cost, case.held_out, case.num_candidates, case.seed, case.at_once)
    return Diagnosis(
        search=case.search,
        ends={name: success(reached) for name, reached in ends.items()},
        comes={name: success(arm.comes_near(0.5)) for name, arm in played.items()},
        rank=rank,
        spread=spread,
        drift=tuple(drift(imagined)),
        probe=tuple(scores),
        verdict=judge(ends, min(quality[name] for name in case.reads), case.enough),
    )


def _arms(case: Case, read: Read) -> dict[str, tuple[Model, Cost]]:
    """Return model and cost of each arm."""
    goal, learned, true_cost = case.world.task(case.ids)[1], case.learned, TrueCost(case.over)

    def true_world(telling: Embedded | Remaining) -> TrueWorld:
        return TrueWorld(case.world, goal, telling, case.model.action_space, case.frame_skip, case.at_once)

    return {
        LEARNED: (learned, case.cost),
        TRUE_WORLD: (true_world(Embedded(Sight(case.model, learned.look, case.at_once))), case.cost),
        TRUE_COST: (ProbedWorld(learned, read, goal, case.far), true_cost),
        TRUE_BOTH: (true_world(Remaining(case.far)), true_cost),
    }


@dataclass(frozen=True)
class _Shown:
    """Show states themselves in the place of their pictures."""

    world: World

    def step(self, state: Any, action: Tensor) -> Any:
        """Return the states after an action."""
        return self.world.step(state, action)

    def render(self, state: Any) -> Any:
        """Return the states."""
        return state


def _play(case: Case, model: Model, cost: Cost) -> Played:
    """Play the episodes of one arm; the distance is 0 at the goal and 1 elsewhere, as the world itself counts."""
    start, goal = case.world.task(case.ids)
    act = case.make_act(model, cost, goal, case.ids)
    return play(
        _Shown(case.world), start, act, case.num_steps, lambda state: (~case.world.reached(state, goal)).float()
    )
