"""What every planner shares: each episode as if alone, bounds, costs that are no numbers, and refusals in a sentence."""

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from toy_worlds import Step, Walk, straight

from jepakit.planning import (
    CEM,
    GRASP,
    ICEM,
    MPPI,
    Amortised,
    CategoricalCEM,
    GradientPlanner,
    Hierarchical,
    LatentDistance,
    Planner,
    Proposed,
)
from jepakit.planning.bounds import bounds_of
from jepakit.planning.search import Search
from jepakit.types import UserError

START = torch.zeros(5, 2)
GOAL = torch.tensor([[3.0, 1.0], [-2.0, 2.0], [0.0, 0.0], [4.0, -4.0], [50.0, 0.0]])
LAST = LatentDistance(over="last")


CEM_5 = CEM(horizon=5, num_samples=60, num_elites=8, num_iterations=6, cost=LAST)
ASK_5 = Amortised(horizon=5, policy=straight, cost=LAST)
SEARCHES: dict[str, Search] = {
    "cem": CEM_5,
    "icem": ICEM(horizon=5, num_samples=60, num_elites=8, num_iterations=8, cost=LAST),
    "mppi": MPPI(horizon=5, num_samples=200, temperature=0.03, num_iterations=10, cost=LAST),
    "gradient": GradientPlanner(horizon=5, num_samples=4, num_iterations=30, cost=LAST),
    "gradient-tanh": GradientPlanner(
        horizon=5, num_samples=4, num_iterations=30, learning_rate=0.3, cost=LAST, box="tanh"
    ),
    "grasp": GRASP(horizon=5, num_samples=4, num_iterations=50, learning_rate=0.2, sync_every=10, cost=LAST),
    "amortised": ASK_5,
}
PLANNERS: dict[str, Planner] = SEARCHES | {
    "proposed": Proposed(planner=CEM_5, proposal=ASK_5),
    "hierarchical": Hierarchical(
        coarse_model=Step(reach=3.0, dtype=torch.float64), coarse=replace(CEM_5, horizon=2), fine=CEM_5
    ),
}


@pytest.mark.parametrize("name", PLANNERS)
def test_planned_together_is_planned_alone_bit_for_bit_in_float64(name: str) -> None:
    planner, model, ids = PLANNERS[name], Step(dtype=torch.float64), torch.tensor([3, 9, 4, 1, 7])
    together = planner(model, START, GOAL, ids=ids, decision=2)
    assert together.actions.dtype == torch.float64
    for row in (0, 3, 4):
        one = slice(row, row + 1)
        alone = planner(model, START[one], GOAL[one], ids=ids[one], decision=2)
        assert torch.equal(alone.actions[0], together.actions[row])
        assert torch.equal(alone.cost[0], together.cost[row])


@pytest.mark.parametrize("name", SEARCHES)
def test_a_bound_on_memory_changes_nothing_but_the_number_of_episodes_at_once(name: str) -> None:
    asked: list[tuple[int, ...]] = []
    planner = SEARCHES[name]
    few = replace(planner, max_numbers=2 * planner.num_candidates * 5 * 2)
    plan, whole = few(Step(asked=asked), START, GOAL), planner(Step(), START, GOAL)
    assert {shape[0] for shape in asked} == {2, 1}
    torch.testing.assert_close(plan.actions, whole.actions)
    assert plan.info.keys() == whole.info.keys()
    for key, value in whole.info.items():
        assert plan.info[key].shape == value.shape


@pytest.mark.parametrize("name", [*SEARCHES, "proposed"])
def test_every_planner_ends_at_the_goal_or_as_near_as_bounds_allow(name: str) -> None:
    plan = PLANNERS[name](Step(), START, GOAL)
    end = plan.actions.sum(dim=1)
    torch.testing.assert_close(end[:4], GOAL[:4], atol=0.25, rtol=0.0)
    assert float(plan.actions.abs().max()) <= 1.0
    assert float(end[4, 0]) > 4.5  # five steps of at most 1


@pytest.mark.parametrize("name", SEARCHES)
def test_the_cost_is_that_of_the_plan(name: str) -> None:
    plan = SEARCHES[name](Step(), START, GOAL)
    torch.testing.assert_close(plan.cost, (plan.actions.sum(dim=1) - GOAL).square().mean(dim=1))


@pytest.mark.parametrize("name", SEARCHES)
def test_actions_keep_to_a_greatest_length(name: str) -> None:
    plan = replace(SEARCHES[name], max_norm=0.5)(Step(), START, GOAL)
    length = plan.actions.norm(dim=-1)
    assert float(length.max()) <= 0.5 + 1e-6
    assert float(length[4].min()) > 0.3  # and use it where the goal is far


@pytest.mark.parametrize("name", SEARCHES)
def test_a_cost_that_is_not_a_number_never_wins(name: str) -> None:
    def cost(z_hat: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        far = LAST(z_hat, goal, actions)
        return torch.where(actions[:, :, 0, 0] > 0, torch.nan, far)

    plan = replace(SEARCHES[name], cost=cost)(Step(), START, GOAL)
    if name != "amortised":  # which does not search
        assert bool((plan.actions[:, 0, 0] <= 0).all())
        assert bool(plan.cost.isfinite().all())
    nothing = replace(SEARCHES[name], cost=lambda z_hat, goal, actions: cost(z_hat, goal, actions) * torch.nan)
    begin = torch.full((5, 5, 2), 0.3)
    lost = nothing(Step(), START, GOAL, begin=begin)
    assert bool(lost.cost.isinf().all())
    if name != "amortised":
        torch.testing.assert_close(lost.actions, begin)


@pytest.mark.parametrize("name", PLANNERS)
def test_what_cannot_be_planned_is_refused_in_a_sentence(name: str) -> None:
    planner, nan = PLANNERS[name], torch.full((5, 2), torch.nan)
    with pytest.raises(UserError, match="no episodes"):
        planner(Step(), START[:0], GOAL[:0])
    with pytest.raises(UserError, match="The observation holds values that are not numbers"):
        planner(Step(), nan, GOAL)
    with pytest.raises(UserError, match="embedding of the goal holds values that are not numbers"):
        planner(Step(), START, nan)
    with pytest.raises(UserError, match="looks 3 actions ahead, so a plan cannot have 5"):
        planner(Step(max_horizon=3), START, GOAL)
    with pytest.raises(UserError, match="5 actions of length 2 cannot begin with 4 of length 2"):
        planner(Step(), START, GOAL, begin=torch.zeros(5, 4, 2))
    with pytest.raises(UserError, match="Got 5 goals, 3 ids"):
        planner(Step(), START, GOAL, ids=torch.arange(3))


def test_observations_of_several_parts_are_looked_through() -> None:
    class Parts(Walk):
        def observe(self, observation: dict[str, Tensor]):  # type: ignore[override]
            return super().observe(observation["place"])

    seen = {"place": START, "picture": torch.zeros(5, dtype=torch.uint8)}
    assert len(CEM_5(Parts(), seen, GOAL).cost) == 5
    with pytest.raises(UserError, match="not numbers"):
        CEM_5(Parts(), seen | {"place": START * torch.nan}, GOAL)


def test_the_users_space_is_searched_and_held_against_the_models() -> None:
    narrow = gymnasium.spaces.Box(np.float32([0.0, -0.1]), np.float32([0.2, 0.1]))
    plan = replace(CEM_5, action_space=narrow)(Walk(), START, GOAL)
    assert float(plan.actions[..., 0].min()) >= 0.0 and float(plan.actions[..., 0].max()) <= 0.2
    for other in (gymnasium.spaces.Box(-1, 1, (3,)), gymnasium.spaces.Discrete(2)):
        with pytest.raises(UserError, match="model takes actions of Box.* but the planner's action_space is"):
            replace(CEM_5, action_space=other)(Walk(), START, GOAL)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (gymnasium.spaces.Box(-np.inf, np.inf, (2,)), "bounded action space"),
        (gymnasium.spaces.Discrete(3), "search it with CategoricalCEM"),
        (gymnasium.spaces.MultiBinary(3), "one-axis Box, got MultiBinary"),
        (gymnasium.spaces.Box(-1, 1, (2, 2)), "one-axis Box"),
    ],
)
def test_an_action_space_that_cannot_be_searched_is_refused(space: gymnasium.spaces.Space, words: str) -> None:
    with pytest.raises(UserError, match=words):
        bounds_of(space)


def test_a_greatest_length_needs_the_action_zero() -> None:
    with pytest.raises(UserError, match="holds the action zero"):
        bounds_of(gymnasium.spaces.Box(1, 2, (2,)), max_norm=1.0)
    with pytest.raises(UserError, match="length above 0"):
        bounds_of(gymnasium.spaces.Box(-1, 2, (2,)), max_norm=0.0)


def test_a_cost_that_asks_for_no_goal_needs_none() -> None:
    def east(z_hat: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        return -z_hat[:, :, -1, 0, 0]

    plan = replace(CEM_5, cost=east)(Walk(), START, None)
    assert float(plan.actions[..., 0].mean()) > 0.9


def test_plans_that_compete_win_where_they_are_better() -> None:
    best = (GOAL / 5)[:, None].expand(-1, 5, -1).clamp(-1, 1)
    begin = torch.stack((torch.zeros_like(best), -best, best), dim=1)
    for name in ("icem", "gradient", "grasp"):
        planner = replace(SEARCHES[name], num_iterations=1)
        plan = planner(Step(), START, GOAL, begin=begin)
        assert bool((plan.cost <= (best.sum(dim=1) - GOAL).square().mean(dim=1) + 1e-6).all()), name


@pytest.mark.parametrize(
    ("planner", "settings"),
    [
        (CEM_5, {"horizon": 0}),
        (CEM_5, {"num_elites": 1}),
        (CEM_5, {"num_kept": 99}),
        (CEM_5, {"std": 0.0}),
        (CEM_5, {"num_frequencies": 0}),
        (CEM_5, {"momentum": 1.0}),
        (CEM_5, {"decay": 0.5}),
        (CEM_5, {"num_iterations": 0}),
        (SEARCHES["mppi"], {"temperature": 0.0}),
        (SEARCHES["gradient"], {"box": "sphere"}),
        (SEARCHES["grasp"], {"state_rate": 0.0}),
        (SEARCHES["grasp"], {"state_noise": -1.0}),
        (SEARCHES["grasp"], {"sync_every": 0}),
        (ASK_5, {"within": 0}),
        (CategoricalCEM(horizon=2), {"smoothing": 0.0}),
        (CategoricalCEM(horizon=2), {"num_kept": 0}),
        (CategoricalCEM(horizon=2), {"num_elites": 0}),
    ],
)
def test_settings_without_a_meaning_are_refused(planner: Search, settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"{type(planner).__name__} needs"):
        replace(planner, **settings)


class Seen(Walk):
    """A walk through a matrix product, which notes what it computes in."""

    def moved(self, place: Tensor, action: Tensor) -> Tensor:
        moved = place + action @ torch.eye(2)
        DTYPES.append((action @ torch.eye(2)).dtype)
        return moved.to(DTYPES[-1])

    def advance(self, z: Tensor, action: Tensor) -> Tensor:
        return self.moved(z[..., 0, :], action)[..., None, :]


DTYPES: list[torch.dtype] = []


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_model_alone_imagines_in_the_precision_asked_for(name: str, precision: str) -> None:
    priced = set()

    def cost(z_hat: Tensor, goal: Tensor, actions: Tensor) -> Tensor:
        priced.add((z_hat.dtype, actions.dtype, (actions @ torch.eye(2)).dtype))
        return LAST(z_hat, goal, actions)

    DTYPES.clear()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "fp32"):  # a caller's own changes no plan
        plan = replace(SEARCHES[name], cost=cost, precision=precision)(Seen(), START, GOAL)
    assert set(DTYPES) == {torch.bfloat16 if precision == "bf16" else torch.float32}
    assert priced == {(torch.float32,) * 3} and plan.actions.dtype == plan.cost.dtype == torch.float32
    exact = SEARCHES[name](Walk(), START, GOAL) if name != "grasp" else SEARCHES[name](Step(), START, GOAL)
    tolerance = 0.3 if precision == "bf16" else 1e-5
    torch.testing.assert_close(plan.actions.sum(1), exact.actions.sum(1), rtol=0.0, atol=tolerance)


def test_a_precision_that_is_unknown_is_refused() -> None:
    with pytest.raises(UserError, match="CEM needs a precision of fp32 or bf16"):
        replace(CEM_5, precision="fp16")


class Casts(TorchDispatchMode):
    """Count how often a matrix of weights is narrowed."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._to_copy.default and tuple(args[0].shape) == (2, 2)
        return func(*args, **kwargs or {})


def test_weights_are_narrowed_once_for_a_whole_search() -> None:
    weight = torch.eye(2).requires_grad_()

    class Weighed(Walk):
        def moved(self, place: Tensor, action: Tensor) -> Tensor:
            return place + action @ weight

    with Casts() as casts:
        replace(CEM_5, precision="bf16")(Weighed(), START, GOAL)
    assert casts.count == 1
