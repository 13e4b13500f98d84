"""A gymnasium environment behaves as a world as far as it can, and says where it cannot."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from small_envs import Line

from jepakit.evaluation.episodes import play
from jepakit.planning import CEM
from jepakit.planning.control import Control
from jepakit.types import ClipBatch, UserError
from jepakit.worlds import Ahead, GymnasiumWorld, Roaming, Scripted, Shown, Uniform, WithProprio, World, collect
from jepakit.worlds.stream import ClipStream
from jepakit.worlds.trajectories import select

IDS = torch.tensor([7, 3, 11])


def world(**settings: Any) -> GymnasiumWorld:
    made = {name: settings.pop(name) for name in ("choices", "steps", "repeatable", "unbounded") if name in settings}
    kept: dict[str, Any] = {"image_size": 16, "proprio": "place", "place": "place", "success": "reached"} | settings
    return GymnasiumWorld(lambda: Line(**made), **kept)


def right(state: Any) -> torch.Tensor:
    return torch.full((len(state.id), 1), 2.0)


def test_it_is_a_world_whose_episodes_are_those_they_are_alone() -> None:
    line = world()
    assert isinstance(line, World)
    assert line.observation_space.shape == (3, 16, 16)
    together = Roaming()(line, IDS, 5)
    frames, places = together.render(line), together.of(together.states.place)
    assert len(set(places[:, 0, 0].tolist())) == 3
    for row, id in enumerate(IDS):
        alone = Roaming()(line, id[None], 5)
        assert torch.equal(alone.render(line)[0], frames[row])
        assert torch.equal(alone.of(alone.states.place)[0], places[row])
    other = world(seed=1).start(IDS)
    assert not torch.equal(other.place, line.start(IDS).place)


def test_actions_move_it_and_pictures_are_shrunk_by_area() -> None:
    line = world()
    start = line.start(IDS)
    state = line.step(start, torch.tensor([[1.0], [2.5], [9.0]]))
    assert torch.allclose((state.place - start.place)[:, 0], torch.tensor([1.0, 2.5, 3.0]), atol=1e-5)
    assert torch.equal(state.proprio, state.place)
    expected = torch.zeros(3, 3, 16, 16, dtype=torch.uint8)
    for row, place in enumerate(state.place[:, 0].tolist()):
        expected[row, 0, :, round(place) // 2] = 100
    assert torch.equal(line.render(state), expected)
    assert torch.equal(line.render(start), start.frames)
    seen = world(pictures="pixels").start(IDS)
    assert torch.equal(seen.frames, start.frames)


def test_it_cannot_go_back_and_says_so() -> None:
    line = world()
    start = line.start(IDS)
    state = line.step(start, right(start))
    with pytest.raises(UserError, match="cannot go back"):
        line.step(start, right(start))
    part = select(state, slice(0, 2))
    with pytest.raises(UserError, match="cannot go back"):
        line.step(part, right(part))
    again = line.start(IDS)
    with pytest.raises(UserError, match="cannot go back"):
        line.step(start, right(start))
    assert torch.equal(line.step(again, right(again)).place, state.place)


def test_an_episode_that_is_over_stays_as_it_was() -> None:
    line = world(steps=2)
    state = line.start(IDS)
    for _ in range(4):
        state = line.step(state, right(state))
    assert state.over.all()
    start = line.start(IDS)
    assert torch.allclose(state.place - start.place, torch.tensor(4.0))


def test_goals_ahead_are_where_the_same_actions_lead() -> None:
    line = world(goals=Ahead(6), near=1e-6)
    start, goal = line.task(IDS)
    assert line.distance(start, goal).min() > 0
    made = Uniform()(line, IDS, 6)
    end = made.at(6)
    assert torch.equal(end.place, goal.place) and torch.equal(end.frames, goal.frames)
    assert line.reached(end, goal).all() and not line.reached(start, goal).any()


def test_goals_shown_are_where_the_environment_is_put() -> None:
    line = world(goals=Shown(lambda place, id: {"place": float(place[0]) + 10}))
    start, goal = line.task(IDS)
    assert torch.allclose(line.distance(start, goal), torch.full((3,), 10.0), atol=1e-4)


def test_play_reaches_goals_in_closed_loop() -> None:
    line = world(goals=Shown(lambda place, id: {"place": 20.0}))
    start, goal = line.task(IDS)
    seen = []

    def act(clip: ClipBatch) -> torch.Tensor:
        seen.append(clip)
        return 20.0 - clip.proprio[:, 0] if clip.proprio is not None else torch.zeros(0)

    played = play(WithProprio(line), start, act, 8, lambda state: line.distance(state, goal))
    assert played.ends_near(1e-3).all()
    assert (played.distance[:, 0] > 6).all()
    assert played.distance.shape == (3, 9)
    assert seen[0].frames.shape == (3, 1, 3, 16, 16) and seen[0].action.shape == (3, 0, 1)


def test_an_environment_that_does_not_repeat_itself_has_no_tasks() -> None:
    with pytest.raises(UserError, match="does not begin alike"):
        world(repeatable=False, goals=Ahead(2)).task(IDS)
    with pytest.raises(UserError, match="has no goals"):
        world().task(IDS)


def test_choices_are_numbered_from_zero() -> None:
    line = world(choices=True)
    start = line.start(IDS)
    state = line.step(start, torch.tensor([[0.0], [1.0], [2.0]]))
    assert torch.allclose((state.place - start.place)[:, 0], torch.tensor([-1.0, 0.0, 1.0]), atol=1e-5)
    with pytest.raises(UserError, match="choices 0 to 2"):
        line.step(state, torch.full((3, 1), 3.0))
    made = Uniform()(line, torch.arange(40), 5)
    assert made.action.unique().tolist() == [0.0, 1.0, 2.0]


def test_noise_and_random_shares_are_as_asked_and_a_function_of_the_episode() -> None:
    line = world()
    made = Scripted(right, noise=0.1)(line, torch.arange(40), 10)
    assert abs(float(made.action.mean()) - 2.0) < 0.05
    assert abs(float(made.action.std()) - 0.3) < 0.04
    assert torch.equal(Scripted(right, noise=0.1)(line, torch.arange(40)[5:7], 10).action, made.action[5:7])
    shared = Scripted(right, random_share=0.25)(line, torch.arange(40), 10).action
    assert 0.17 < float((shared != 2.0).float().mean()) < 0.33
    assert (Scripted(right)(line, IDS, 3).action == 2.0).all()
    held = Uniform(hold=2)(line, IDS, 4).action
    assert torch.equal(held[:, 0], held[:, 1]) and not torch.equal(held[:, 1], held[:, 2])


def test_collecting_ends_where_episodes_end_and_does_not_depend_on_how_many_are_played() -> None:
    line, ids = world(steps=4), torch.arange(5)
    whole = list(collect(line, Uniform(), ids, 7))
    assert [len(episode.frames) for episode in whole] == [5] * 5
    assert all(episode.action.shape == (4, 1) for episode in whole)
    for one, other in zip(whole, collect(line, Uniform(), ids, 7, at_once=2), strict=True):
        assert torch.equal(one.frames, other.frames) and torch.equal(one.action, other.action)
        assert torch.equal(one.proprio, other.proprio)
    assert collect_first(world(proprio=None)).proprio is None


def collect_first(line: GymnasiumWorld) -> Any:
    return next(collect(line, Uniform(), torch.arange(1), 3))


def test_it_gives_clips_to_learn_from() -> None:
    stream = ClipStream(world(), Roaming(), batch_size=2, num_frames=3, frame_skip=2)
    clip = stream.batch(4)
    assert clip.frames.shape == (2, 3, 3, 16, 16) and clip.action.shape == (2, 4, 1)
    assert torch.equal(clip.frames, stream.batch(4).frames)


def test_closing_closes_every_instance() -> None:
    made: list[Line] = []

    def make() -> Line:
        made.append(Line())
        return made[-1]

    line = GymnasiumWorld(make)
    line.start(IDS)
    line.close()
    assert len(made) == 3 and all(env.closed for env in made)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"unbounded": True}, "bounded box of one axis, or choices"),
        ({"proprio": "joints"}, "has no 'joints'; its observations and info have place, pixels, reached, speed"),
        ({"proprio": "words"}, "'words' holds no numbers, but str"),
        ({"place": "hole"}, "not finite"),
        ({"pictures": "place"}, "no uint8 picture as 'place'"),
    ],
)
def test_what_an_environment_does_not_have(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        world(**settings)


def test_what_cannot_be_done_is_said() -> None:
    line = world(place=None, max_envs=2)
    start = line.start(IDS[:2])
    for action in (torch.zeros(2, 2), torch.full((2, 1), torch.nan)):
        with pytest.raises(UserError, match="is 1 finite numbers"):
            line.step(start, action)
    with pytest.raises(UserError, match="1 to 2 episodes at once"):
        line.start(IDS)
    with pytest.raises(UserError, match="has no distances"):
        line.distance(start, start)
    with pytest.raises(UserError, match="pip install 'jepakit"):
        GymnasiumWorld("no_such_package:Nothing-v0")
    with pytest.raises(UserError, match="There is no environment 'Nothing-v0' here"):
        GymnasiumWorld("Nothing-v0")
    for behaviour in (lambda: Scripted(right, noise=-1.0), lambda: Scripted(right, random_share=2.0)):
        with pytest.raises(UserError, match="got"):
            behaviour()
    with pytest.raises(UserError, match="cannot have noise"):
        Scripted(right, noise=0.1)(world(choices=True), IDS, 2)
    with pytest.raises(UserError, match="at least 1 action"):
        next(collect(line, Uniform(), IDS, 0))


def test_an_environment_that_draws_nothing_is_refused() -> None:
    class Blind(Line):
        def render(self) -> None:
            return None

    class Broken(Line):
        def render(self) -> None:
            raise AttributeError("'NoneType' object has no attribute 'glGetError'")

    with pytest.raises(UserError, match=r"no uint8 picture as 'render'.*render_mode='rgb_array'"):
        GymnasiumWorld(Blind)
    with pytest.raises(UserError, match=r"cannot draw here .*glGetError.*; without a screen MuJoCo needs EGL"):
        GymnasiumWorld(Broken)


def made_or_skipped(name: str, **settings: Any) -> GymnasiumWorld:
    pytest.importorskip(name.split(":")[0], reason="jepakit[envs] not installed")
    try:
        return GymnasiumWorld(name, **settings)
    except UserError as error:
        if "GL" not in str(error):
            raise
        pytest.skip(f"no EGL: apt-get install libegl1 libgl1-mesa-dri ({error})")


@pytest.mark.filterwarnings("ignore")
def test_point_maze_is_a_world() -> None:
    maze = made_or_skipped(
        "gymnasium_robotics:PointMaze_UMaze-v3",
        settings={"width": 64, "height": 64},
        proprio="observation",
        place="achieved_goal",
        success="success",
        goals=Ahead(30),
    )
    start, goal = maze.task(torch.arange(2))
    assert start.frames.shape == (2, 3, 64, 64) and start.frames.float().std() > 10
    assert start.proprio.shape == (2, 4) and start.place.shape == (2, 2)
    assert maze.distance(start, goal).min() > 0.01
    made = Uniform()(maze, torch.arange(2), 30)
    assert torch.allclose(made.at(30).place, goal.place)
    assert torch.equal(made.at(30).frames, goal.frames)
    maze.close()


@pytest.mark.filterwarnings("ignore")
def test_push_t_is_a_world() -> None:
    push = made_or_skipped(
        "gym_pusht:gym_pusht/PushT-v0",
        settings={"obs_type": "pixels_agent_pos"},
        pictures="pixels",
        proprio="agent_pos",
        place="block_pose",
        success="is_success",
        goals=Shown(lambda place, id: {"reset_to_state": [256, 400, 256, 256, 0.785]}),
    )
    start, goal = push.task(torch.arange(2))
    assert start.frames.shape == (2, 3, 64, 64) and start.proprio.shape == (2, 2)
    assert torch.equal(goal.frames[0], goal.frames[1]) and not torch.equal(start.frames[0], start.frames[1])
    assert push.distance(start, goal).min() > 1
    state = push.step(start, start.proprio + 30.0)
    assert (state.proprio > start.proprio).all()
    push.close()


def test_a_planner_plays_in_an_environment() -> None:
    class Sees:
        """A model that knows the line: an embedding is the column of the dot."""

        action_space = world().action_space

        def observe(self, observation: torch.Tensor) -> Any:
            return Held(self.encode_goal(observation))

        def rollout(self, state: Any, actions: torch.Tensor) -> torch.Tensor:
            return state.z[:, None, None] + actions.cumsum(2)[..., None, :]

        def encode_goal(self, goal: torch.Tensor) -> torch.Tensor:
            return goal[:, 0].float().sum(1).argmax(-1).float()[:, None, None]

    line = world(image_size=32, goals=Shown(lambda place, id: {"place": 25.0}))
    start, goal = line.task(IDS)
    control = Control(CEM(horizon=3, num_samples=64, num_iterations=3), Sees(), goal.frames, IDS)
    played = play(line, start, control, 12, lambda state: line.distance(state, goal))
    assert (played.distance[:, 0] > 10).all() and played.ends_near(1.5).all()


@dataclass(frozen=True)
class Held:
    z: torch.Tensor

    def expand(self, num_samples: int) -> "Held":
        return self

    def select(self, index: torch.Tensor) -> "Held":
        return Held(self.z[index])
