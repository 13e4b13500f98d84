"""States of many trajectories lie episode by episode, and can be picked, joined and told apart again."""

import torch

from jepakit.worlds import Distracted, TwoRooms, World
from jepakit.worlds.stream import ClipStream
from jepakit.worlds.trajectories import concatenate, follow, select
from jepakit.worlds.wandering import Wandering

WORLD = TwoRooms("random", seed=3)
IDS = torch.arange(5)


def test_two_rooms_is_a_world() -> None:
    assert isinstance(WORLD, World)


def test_states_lie_episode_by_episode() -> None:
    start, action = WORLD.start(IDS), torch.full((5, 3, 2), 0.5)
    made = follow(WORLD, start, action)
    state = start
    for step in range(4):
        assert torch.equal(made.at(step).position, state.position)
        assert torch.equal(made.of(made.states.position)[:, step], state.position)
        assert torch.equal(made.render(WORLD)[:, step], WORLD.render(state))
        state = WORLD.step(state, action[:, min(step, 2)])


def test_selecting_and_concatenating_undo_each_other() -> None:
    state = WORLD.start(IDS)
    again = concatenate([select(state, torch.arange(2)), select(state, torch.arange(2, 5))])
    assert torch.equal(again.position, state.position)
    assert torch.equal(again.id, state.id)
    assert again.time == state.time


def test_clips_made_ahead_are_those_of_their_step() -> None:
    stream = ClipStream(WORLD, Wandering(), batch_size=3, num_frames=4)
    steps = stream.from_step(7)
    for _ in range(20):  # beyond what is made at once
        step, batch = next(steps)
        alone = stream.batch(step)
        assert torch.equal(batch.frames, alone.frames)
        assert torch.equal(batch.action, alone.action)
        assert torch.equal(batch.id, alone.id)
    assert step == 26


def test_states_within_states_are_selected_and_joined_too() -> None:
    world = Distracted(WORLD)
    state = world.step(world.start(IDS), torch.ones(5, 2))
    again = concatenate([select(state, slice(0, 2)), select(state, torch.arange(2, 5))])
    assert torch.equal(again.inner.position, state.inner.position)
    assert torch.equal(again.id, state.id)
    made = follow(world, world.start(IDS), torch.ones(5, 3, 2))
    assert torch.equal(made.at(1).inner.position, state.inner.position)
    assert made.of(made.states.time.float())[2].tolist() == [0.0, 1.0, 2.0, 3.0]
