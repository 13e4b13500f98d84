"""PushT: actions from where the disc is, episodes begun in the midst of others exactly, and a behaviour that pushes."""

import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from jepakit.types import UserError
from jepakit.worlds import BlockPusher, PushT, Uniform
from jepakit.worlds.angles import turned
from jepakit.worlds.block_pusher import MIDDLE, ROUND, chosen, round_the_block, towards
from jepakit.worlds.env_push_t import NEAR, REACH, SIDE, TURN, Drawn, apart, made, solved

PLACE = torch.tensor([[100.0, 100.0, 256.0, 256.0, 0.0]])


def push_t(**given: Any) -> PushT:
    pytest.importorskip("gym_pusht", reason="jepakit[envs] not installed")
    return PushT(**given)


class Disc(gymnasium.Env[Any, Any]):
    """Show what is asked of gym-pusht: a disc that is at once where it is drawn to, and pictures as observations."""

    success_threshold = 0.95
    obs_type = "state"

    def __init__(self) -> None:
        self.action_space = gymnasium.spaces.Box(0.0, SIDE, (2,))
        self.observation_space = gymnasium.spaces.Box(0.0, SIDE, (2,))
        self.agent: Any = type("Agent", (), {})()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.agent.position = (float(seed or 0), 0.0)
        return np.array(self.agent.position), {}

    def step(self, action: Any) -> Any:
        self.agent.position = tuple(float(part) for part in action)
        return np.array(self.agent.position), 0.0, self.success_threshold < 1.0, False, {}

    def get_obs(self) -> Any:
        assert self.obs_type == "pixels"
        return np.full((4, 4, 3), 9, np.uint8)


def test_actions_are_from_where_the_disc_is_and_stay_in_the_arena() -> None:
    env = Drawn(Disc())
    env.reset(seed=50)
    seen, _, is_over, _, _ = env.step(np.array([0.25, 0.5], np.float32))
    assert seen.tolist() == [50.0 + 0.25 * REACH, 0.5 * REACH] and not is_over
    assert env.step(np.array([-1.0, 1.0], np.float32))[0].tolist() == [0.0, 1.5 * REACH]


def test_pictures_are_drawn_when_they_are_asked_for_and_what_was_done_before_counts_as_the_beginning() -> None:
    env = Drawn(Disc(), draw_every=2)
    seen, _ = env.reset(seed=3, options={"done": np.array([[0.1, 0.0]] * 3)})
    assert seen.tolist() == [pytest.approx(3.0 + 0.3 * REACH), 0.0]
    drawn = []
    for _ in range(4):
        drawn.append(int(env.render().max()))
        env.step(np.zeros(2))
    assert drawn == [9, 0, 9, 0]
    assert env.unwrapped.obs_type == "state"  # type: ignore[attr-defined]


def test_a_goal_is_near_in_both_places_together_and_in_the_angle() -> None:
    goal = PLACE + torch.tensor([[12.0, 0.0, 0.0, 16.0, 2 * math.pi + 0.1]])
    far, turn = apart(PLACE, goal)
    assert far.item() == pytest.approx(20.0) and turn.item() == pytest.approx(0.1, abs=1e-5)
    assert apart(goal, PLACE)[1].item() == pytest.approx(0.1, abs=1e-5)
    ends = PLACE + torch.tensor(
        [[NEAR - 0.1, 0, 0, 0, TURN - 0.01], [0, 0, 0, NEAR + 0.1, 0], [0, 0, 0, 0, TURN + 0.01]]
    )
    assert solved(PLACE.expand(3, -1), ends).tolist() == [True, False, False]


def test_a_push_begins_behind_a_point_of_the_t_and_leads_through_it() -> None:
    u = torch.rand(200, 6, generator=torch.Generator().manual_seed(0))
    place = torch.tensor([[60.0, 60.0, 230.0, 240.0, 1.0]]).expand(200, 5)
    push = chosen(place, u)
    middle = place[:, 2:4] + turned(place[:, 4], torch.tensor(MIDDLE).expand(200, 2))
    way = push.beyond - push.behind
    length = way.norm(dim=1)
    assert (length > 80).all() and (length < 200).all()
    share = ((middle - push.behind) * way).sum(1) / length**2
    assert ((push.behind + share[:, None] * way - middle).norm(dim=1) < 80).all(), "passes the T"
    assert ((push.behind - middle).norm(dim=1) > 15).all()
    assert ((push.beyond > 15) & (push.beyond < SIDE - 15)).all() and ((push.speed >= 3) & (push.speed <= 15)).all()
    assert len(torch.unique((push.beyond / 20).round(), dim=0)) > 50


def test_the_way_leads_round_the_t_where_it_is_barred() -> None:
    middle = PLACE[:, 2:4] + torch.tensor([MIDDLE])
    barred = 2 * middle - PLACE[:, :2] + torch.tensor([[20.0, -20.0]])
    corner = round_the_block(PLACE, barred)
    assert (corner - middle).norm().item() == pytest.approx(ROUND, abs=1e-2)
    assert torch.equal(round_the_block(PLACE, torch.tensor([[100.0, 400.0]])), torch.tensor([[100.0, 400.0]]))
    through = round_the_block(PLACE, 2 * middle - PLACE[:, :2])
    assert (through - middle).norm().item() == pytest.approx(ROUND, abs=1.0), "aside, where it leads through the middle"
    at, place = 0, PLACE
    while (place[:, :2] - barred).norm() > 5 and at < 80:
        action = towards(place[:, :2], round_the_block(place, barred), torch.tensor([12.0]))
        place = torch.cat((place[:, :2] + action * REACH / 2, place[:, 2:]), dim=1)
        assert (place[:, :2] - middle).norm() > 60
        at += 1
    assert at < 60


def test_speed_is_as_asked_and_falls_before_the_target() -> None:
    agent, speed = torch.zeros(2, 2), torch.tensor([12.0, 12.0])
    action = towards(agent, torch.tensor([[300.0, 400.0], [6.0, 8.0]]), speed)
    assert torch.allclose(action.norm(dim=1) * REACH, torch.tensor([24.0, 10.0]))


@pytest.mark.filterwarnings("ignore")
def test_an_episode_begins_in_the_midst_of_another_exactly() -> None:
    world, ids = push_t(seed=5), torch.tensor([4, 9, 2])
    done = BlockPusher()(world, ids, 24)
    assert done.action.abs().max() <= 1.0
    assert torch.equal(BlockPusher()(world, ids[1:], 24).action, done.action[1:]), "a function of the episode"
    lengths = [0, 12, 20]
    state = world.resumed(ids, [done.action[row, :num] for row, num in enumerate(lengths)])
    place, frames = done.of(done.states.place), done.render(world)
    goal = done.at(24)
    assert torch.equal(world.distance(state, goal), apart(state.place, goal.place)[0])
    assert torch.equal(world.reached(state, goal), solved(state.place, goal.place))
    for row, num in enumerate(lengths):
        assert torch.equal(state.place[row], place[row, num]) and torch.equal(state.frames[row], frames[row, num])
    state = world.step(state, torch.stack([done.action[row, num] for row, num in enumerate(lengths)]))
    for row, num in enumerate(lengths):
        assert torch.equal(state.place[row], place[row, num + 1]), "with the speed that the disc had"
        assert torch.equal(state.frames[row], frames[row, num + 1])
    world.close()


@pytest.mark.filterwarnings("ignore")
def test_pictures_do_not_tell_the_action() -> None:
    push_t().close()  # or skip
    env = Drawn(made())
    env.reset(seed=3)
    env.step(np.array([0.0, 0.9], np.float32))

    def red(picture: np.ndarray) -> int:
        return int((picture == [255, 0, 0]).all(axis=2).sum())

    assert red(env.env.render()) > 10, "the environment's own picture has a cross"  # type: ignore[arg-type]
    assert red(env.render()) == 0 and env.render().shape == (512, 512, 3) and len(np.unique(env.render())) > 10
    env.close()


@pytest.mark.filterwarnings("ignore")
def test_the_behaviour_moves_the_t_and_random_actions_hardly_do() -> None:
    world, ids, moved = push_t(draw_every=1000), torch.arange(4), {}
    for name, behaviour in (("pusher", BlockPusher()), ("random", Uniform())):
        done = behaviour(world, ids, 60)
        place = done.of(done.states.place)
        moved[name] = ((place[:, 1:, 2:4] - place[:, :-1, 2:4]).norm(dim=-1) > 0.5).float().mean().item()
    assert moved["pusher"] > max(0.1, 2 * moved["random"])
    world.close()


def test_where_it_is_not_installed_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, **given: Any) -> None:
        raise ImportError("No module named 'gym_pusht'")

    monkeypatch.setattr(gymnasium, "make", missing)
    with pytest.raises(UserError, match=r"No module named 'gym_pusht'.*jepakit\[envs\]"):
        PushT()
