"""What an episode saw and did last is shown in whole blocks; with it a model tells how fast things move."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor
from toy_worlds import Place

from jepakit.methods.acting import as_clip
from jepakit.planning import CEM, Control, LatentDistance, Memory, Remembering
from jepakit.types import ClipBatch, UserError


def frame(value: int, num: int = 2) -> Tensor:
    return torch.full((num, 1, 1, 1), value, dtype=torch.uint8)


def shown(memory: Memory, num: int) -> list[tuple[list[int], list[float]]]:
    """Show frames 0, 1, 2 ... and do after each what it says, tenfold; returns the first episode's clips."""
    clips = []
    for value in range(num):
        clip = memory.see(frame(value))
        clips.append((clip.frames[0].flatten().tolist(), clip.action[0].flatten().tolist()))
        memory.did(torch.full((2, 1), 10.0 * value))
    return clips


def test_a_memory_grows_to_its_length_and_then_forgets() -> None:
    assert shown(Memory(3, 1, 1), 5) == [
        ([0], []),
        ([0, 1], [0.0]),
        ([0, 1, 2], [0.0, 10.0]),
        ([1, 2, 3], [10.0, 20.0]),
        ([2, 3, 4], [20.0, 30.0]),
    ]


def test_frames_are_as_far_apart_as_the_model_looks_and_end_at_the_present() -> None:
    clips = shown(Memory(2, 3, 1), 6)
    assert clips[2] == ([2], [])
    assert clips[3] == ([0, 3], [0.0, 10.0, 20.0])
    assert clips[5] == ([2, 5], [20.0, 30.0, 40.0])
    assert shown(Memory(3, 3, 1), 5)[4] == ([1, 4], [10.0, 20.0, 30.0])


def test_a_memory_of_one_frame_shows_it_as_it_is() -> None:
    memory = Memory(1, 4, 1)
    for value in range(3):
        assert memory.see(frame(value)).equal(frame(value))
        memory.did(torch.zeros(2, 1))


def test_what_was_done_must_be_told() -> None:
    memory = Memory(2, 1, 1)
    memory.see(frame(0))
    with pytest.raises(UserError, match="told what was done after a frame"):
        memory.see(frame(1))
    with pytest.raises(UserError, match="at least 1 frame"):
        Memory(0, 1, 1)


class Sliding:
    """A ball that keeps half its speed a step: the model is told its place, and its speed only by two frames."""

    max_horizon = None

    @property
    def action_space(self) -> gymnasium.spaces.Space[Any]:
        return gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def observe(self, seen: Tensor | ClipBatch) -> Place:
        clip = as_clip(seen, 1)
        place = clip.frames[:, :, 0, 0, 0].float()
        speed = place[:, -1] - place[:, -2] if place.shape[1] > 1 else torch.zeros(len(place))
        return Place(torch.stack((place[:, -1], speed), dim=1))

    def rollout(self, state: Place, actions: Tensor) -> Tensor:
        place, speed = state.z.unbind(-1)
        ahead = []
        for action in actions[..., 0].unbind(-1):
            speed = 0.8 * speed + 4.0 * action
            place = place + speed
            ahead.append(place)
        return torch.stack(ahead, dim=-1)[..., None, None]

    def encode_goal(self, goal: Tensor) -> Tensor:
        return goal.flatten(1)[:, :1, None].float()


def test_a_planner_stops_a_ball_at_its_goal_only_where_it_remembers() -> None:
    def missed(num_frames: int) -> float:
        ids, goal = torch.arange(4), torch.full((4, 1, 1, 1), 120.0)
        planner = CEM(horizon=6, num_samples=64, num_elites=8, num_iterations=4, cost=LatentDistance(over="mean"))
        act = Remembering(Control(planner, Sliding(), goal, ids), Memory(num_frames, 1, 1))
        place, speed = torch.full((4,), 60.0), torch.zeros(4)
        for _ in range(16):
            action = act(place.round().clamp(0, 255).to(torch.uint8)[:, None, None, None])[:, 0]
            speed = 0.8 * speed + 4.0 * action
            place = place + speed
        return float((place - 120.0).abs().mean())

    assert missed(2) < 1.5
    assert missed(1) > 3.0
