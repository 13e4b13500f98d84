"""Windows of PushT: filters keep what they promise, and what was recorded leads from a start to its goal exactly."""

import pytest
import torch

from jepakit.data import in_memory
from jepakit.evaluation.push_windows import FILTERS, PushWindows, chosen, passing, push_windows
from jepakit.evaluation.windows import BUDGET, GAP, LATEST_START
from jepakit.storage.trajectories import Episode
from jepakit.types import UserError
from jepakit.worlds import BlockPusher, PushT, collect
from jepakit.worlds.env_push_t import NEAR, TURN

LENGTH = LATEST_START + GAP


def recorded(num: int, length: int = LENGTH) -> list[Episode]:
    place = torch.arange(num * (length + 1) * 5.0).reshape(num, length + 1, 5)
    action = torch.arange(num * length * 2.0).reshape(num, length, 2)
    return [Episode(torch.zeros(length + 1, 1, 2, 2, dtype=torch.uint8), action[i], place[i]) for i in range(num)]


def test_filters_keep_what_they_promise() -> None:
    start = torch.zeros(7, 5)
    goal = torch.zeros(7, 5)
    goal[1, 0] = NEAR  # the disc alone
    goal[2, 0] = 2 * NEAR
    goal[3, 3] = NEAR  # the T alone
    goal[4, 4] = TURN + 1e-4
    goal[5, 4] = -2 * TURN - 1e-4
    goal[6, 4] = 2 * torch.pi  # the same again
    kept = passing(start, goal)
    assert tuple(kept) == FILTERS
    assert kept["published"].all()
    assert kept["moderate"].tolist() == [False, True, True, True, True, True, False]
    assert kept["strict"].tolist() == [False, False, True, False, False, True, False]
    assert kept["pushed"].tolist() == [False, False, False, True, True, True, False]


def test_a_goal_is_what_the_trajectory_comes_to_and_its_own_actions_lead_there() -> None:
    windows = push_windows(in_memory("made", recorded(40)), seed=7)
    every = torch.arange(40)
    start, goal = windows.ends()
    row = (every * (LENGTH + 1) + windows.first) * 5.0
    assert torch.equal(start[:, 0], row) and torch.equal(goal[:, 0], row + GAP * 5.0)
    assert windows.first.min() >= 0 and windows.first.max() <= LATEST_START and len(windows.first.unique()) > 10
    own = windows.own(every[3:5])
    assert own.shape == (2, BUDGET, 2) and not own[:, GAP:].any()
    assert torch.equal(own[0, :GAP], windows.action[3, windows.first[3] :][:GAP])
    assert torch.equal(push_windows(in_memory("made", recorded(9)), seed=7).first, windows.first[:9])
    assert not torch.equal(push_windows(in_memory("made", recorded(40)), seed=8).first, windows.first)


def test_the_first_that_pass_are_chosen_and_too_few_are_refused() -> None:
    passes = {"published": torch.ones(6, dtype=torch.bool), "strict": torch.tensor([0, 1, 0, 1, 0, 1]).bool()}
    assert {name: some.tolist() for name, some in chosen(passes, 2).items()} == {"published": [0, 1], "strict": [1, 3]}
    with pytest.raises(UserError, match="4 episodes are asked for, and 3 of 6 windows pass 'strict'"):
        chosen(passes, 4)
    with pytest.raises(UserError, match="at least 1"):
        chosen(passes, 0)


def test_what_holds_no_windows_is_refused() -> None:
    with pytest.raises(UserError, match="at least 61 frames, made has 60"):
        push_windows(in_memory("made", recorded(2, LENGTH - 1)), seed=0)
    blind = [Episode(episode.frames, episode.action) for episode in recorded(2)]
    with pytest.raises(UserError, match="holds no places of disc and T"):
        push_windows(in_memory("made", blind), seed=0)
    with pytest.raises(UserError, match="different lengths"):
        push_windows(in_memory("made", recorded(1) + recorded(1, LENGTH + 3)), seed=0)


@pytest.mark.filterwarnings("ignore")
def test_what_was_recorded_is_done_again_exactly() -> None:
    pytest.importorskip("gym_pusht", reason="jepakit[envs] not installed")
    world, some = PushT(seed=11, draw_every=1000), torch.tensor([3, 1])
    recording = in_memory("pusht", list(collect(world, BlockPusher(), torch.arange(4), LENGTH)))
    windows = push_windows(recording, seed=11)
    start, goal = windows.begin(world, some)
    begin, end = windows.ends()
    assert torch.equal(start.place, begin[some]) and torch.equal(goal.place, end[some])
    assert not world.reached(start, goal).all()
    state, own = start, windows.own(some)
    for step in range(GAP):
        state = world.step(state, own[:, step])
    assert torch.equal(state.place, goal.place)
    other = PushWindows(11, windows.first, windows.action + 0.5, windows.place)
    with pytest.raises(UserError, match="beside the recorded places"):
        other.begin(world, some)
    world.close()
