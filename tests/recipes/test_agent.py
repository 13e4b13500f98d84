"""An agent collects, learns and plans by rounds; it goes on where it stopped, and what it lived through is kept."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from jepakit import cli
from jepakit.commands import plan
from jepakit.methods import EBJEPAWorldConfig
from jepakit.methods.acting import as_clip
from jepakit.nn.dynamics import LatentState
from jepakit.nn.framenet import FrameNetConfig
from jepakit.nn.residual_dynamics import ResidualDynamicsConfig
from jepakit.planning import LatentDistance
from jepakit.recipes import WorldData, WorldRecipe, table
from jepakit.recipes.agent import AgentRecipe, experience, live, round_of
from jepakit.recipes.config import CostLearning, Planning
from jepakit.recipes.episodes import evaluate_unseen
from jepakit.recipes.exploring import Leaving
from jepakit.recipes.feeds import learning_world
from jepakit.storage import Run, config_from_dict, config_to_dict
from jepakit.training import TrainingConfig
from jepakit.types import UserError
from jepakit.views import Preprocess
from jepakit.worlds import PointMaze2D, Roaming

SIDE = 20


def tiny(**settings: Any) -> AgentRecipe:
    """Return an agent with a small network and two short rounds in small mazes."""
    learner = WorldRecipe(
        recipe="tiny-learner",
        method=EBJEPAWorldConfig(
            encoder=FrameNetConfig(image_size=SIDE, in_channels=3, patch_size=5, width=8, dim=8),
            preprocess=Preprocess(image_size=SIDE),
            dynamics=ResidualDynamicsConfig(hidden_dim=8, depth=1),
            action_low=(-1.0, -1.0),
            action_high=(1.0, 1.0),
            frame_skip=4,
            rollout_steps=2,
            inverse_dim=8,
        ),
        data=WorldData(
            world=PointMaze2D(size=3, num_layouts=4, path_lengths=(1, 4), image_size=SIDE),
            behaviour=Roaming(),
            num_frames=3,
            num_health=16,
        ),
        training=TrainingConfig(num_steps=3, batch_size=6, log_every=2, device="cpu", precision="fp32"),
        planning=Planning(
            horizon=2,
            num_samples=6,
            num_elites=2,
            num_iterations=1,
            learned=CostLearning(num_frames=4, num_steps=2, hidden_dim=8),
            num_steps=16,
        ),
        seed=5,
    )
    chosen = {"num_rounds": 2, "num_episodes": 4, "num_steps": 24, "planned": 0.5, "leaving": 16, "num_tasks": 6}
    return AgentRecipe(recipe="tiny", learner=learner, **(chosen | settings))


def weights(run: Run) -> dict[str, torch.Tensor]:
    return (run.load_checkpoint() or ({}, {}))[0]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, list[dict[str, Any]]]:
    run = Run(tmp_path_factory.mktemp("agent") / "life")
    return run, live(tiny(), run.path)


def test_every_round_is_recorded_with_what_it_saw_and_reached(lived: tuple[Run, list[dict[str, Any]]]) -> None:
    _, records = lived
    assert [told["round"] for told in records] == [1, 2]
    assert [told["frames"] for told in records] == [4 * 25, 8 * 25]
    assert [told["updates"] for told in records] == [3, 6]
    assert [told["episodes_by_plan"] for told in records] == [0, 2]
    for told in records:
        assert told["ends"]["n"] == len(told["reached"]) == 6
        assert told["ends"]["value"] == pytest.approx(sum(told["reached"]) / 6)
        assert told["ends"]["low"] <= told["ends"]["value"] <= told["ends"]["high"]
        assert told["gain"]["value"] == pytest.approx(told["ends"]["value"] - told["random_policy"]["value"])


def test_a_later_round_learns_from_all_episodes_and_from_the_weights_before(
    lived: tuple[Run, list[dict[str, Any]]],
) -> None:
    run, _ = lived
    assert [len(experience(tiny(), run, number)) for number in (1, 2)] == [4, 8]
    whole, first = experience(tiny(), run, 2), experience(tiny(), run, 1)
    assert whole.frames(torch.arange(100)[None]).equal(first.frames(torch.arange(100)[None]))
    one, two = (weights(round_of(run, number)) for number in (1, 2))
    moved = max(float((two[name] - one[name]).abs().max()) for name in one if name.startswith("model.encoder"))
    assert 0.0 < moved < 0.05  # three updates of 1e-3 each: not weights drawn anew


def test_an_agent_goes_on_where_it_stopped_and_ends_with_the_same_bits(
    lived: tuple[Run, list[dict[str, Any]]], tmp_path: Path
) -> None:
    run, records = lived
    again = Run(tmp_path / "life")
    shutil.copytree(run.path, again.path)
    last = round_of(again, 2)
    for name in ("round.json", "evaluation.json"):
        last.file(name).unlink()
    for name in ("cost", "checkpoints"):
        shutil.rmtree(last.file(name))
    told = live(tiny(), again.path)
    ours, theirs = weights(round_of(run, 2)), weights(last)
    assert all(ours[name].equal(theirs[name]) for name in ours)
    assert told[1]["reached"] == records[1]["reached"]
    whole = Run(tmp_path / "whole")
    live(tiny(), whole.path)
    assert all(ours[name].equal(tensor) for name, tensor in weights(round_of(whole, 2)).items())


def test_an_agent_that_never_plans_differs_from_the_second_round_on(
    lived: tuple[Run, list[dict[str, Any]]], tmp_path: Path
) -> None:
    run, records = lived
    told = live(tiny(planned=0.0), tmp_path / "floor")
    assert told[0]["reached"] == records[0]["reached"]
    assert [row["frames"] for row in told] == [row["frames"] for row in records]
    ours, theirs = experience(tiny(), run, 2), experience(tiny(), Run(tmp_path / "floor"), 2)
    same = [ours.episode(i).action.equal(theirs.episode(i).action) for i in range(8)]
    assert same[:4] == [True] * 4
    assert not all(same[4:])


def test_a_round_is_a_run_by_which_one_can_plan(lived: tuple[Run, list[dict[str, Any]]]) -> None:
    run, _ = lived
    assert len(plan(round_of(run, 2).path, episodes=2)) == 2
    with pytest.raises(UserError, match=r"is the life of an agent; give one of its rounds"):
        plan(run.path)


def test_an_agent_lives_by_command_and_tells_how_each_round_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(table.AGENTS, "maze-agent", lambda: tiny(num_rounds=1))
    assert cli.run(["agent", "maze-agent", "--out", str(tmp_path / "life"), "--seed", "9"]) == 0
    told = capsys.readouterr().out
    assert "round 1: " in told
    assert "after 100 frames" in told
    assert round_of(Run(tmp_path / "life"), 1).config()["seed"] == 9
    mine = tmp_path / "mine.py"
    mine.write_text("from jepakit.recipes import AGENTS\ndef life():\n    return AGENTS['maze-agent']().learner\n")
    with pytest.raises(UserError, match="must return an AgentRecipe, got WorldRecipe"):
        table.find_agent(f"{mine}:life")()


def test_the_agents_of_the_table_can_be_built_and_written_down() -> None:
    for name, make in table.AGENTS.items():
        recipe = make()
        assert recipe.recipe == name
        assert make.__doc__
        assert config_from_dict(AgentRecipe, config_to_dict(recipe)) == recipe
        method = recipe.learner.method.build(seed=0, num_steps=1)
        world = recipe.learner.data.world
        assert method.embed(world.render(world.start(torch.arange(2)))[:, None]).shape[0] == 2


def test_no_goal_is_in_a_layout_that_was_collected_in(lived: tuple[Run, list[dict[str, Any]]]) -> None:
    learner, ids = tiny().learner, torch.arange(50)
    seen = learning_world(learner).start(ids).layout
    found, _ = evaluate_unseen(Right(), learner, LatentDistance(), {}, 6)
    unseen = found.world.task(ids)[0].layout
    assert found.world.seed == learner.seed
    assert set(seen.tolist()) <= set(range(4))
    assert set(unseen.tolist()) <= set(range(4, 8))


class Right:
    """A world model whose embedding is the place along x, of a walk without walls; the ball is all it sees."""

    frame_skip, action_dim = 4, 2

    def __init__(self) -> None:
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.shown: list[tuple[int, int]] = []

    def parameters(self) -> Any:
        return iter([self.weight])

    @property
    def action_space(self) -> Any:
        return PointMaze2D().action_space

    def place(self, frames: torch.Tensor) -> torch.Tensor:
        red = (frames[:, 0].float() - frames[:, 1].float()).clamp_min(0)
        columns = torch.arange(red.shape[-1], dtype=torch.float32)
        return ((red.sum(1) * columns).sum(1) / red.sum((1, 2)))[:, None] / SIDE

    def observe(self, seen: Any) -> Any:
        clip = as_clip(seen, 2)
        self.shown.append((clip.frames.shape[1], clip.action.shape[1]))
        return LatentState(self.place(clip.frames[:, -1]))

    def rollout(self, state: Any, actions: torch.Tensor) -> torch.Tensor:
        blocks = actions[..., 0].unflatten(2, (-1, 4)).sum(-1)
        return (state.z[..., :1] + 0.1 * blocks.cumsum(2))[..., None, None]

    def encode_goal(self, goal: torch.Tensor) -> torch.Tensor:
        return self.place(goal)[:, None]


def test_an_explorer_leaves_where_it_was_and_remembers_what_it_did() -> None:
    world = PointMaze2D(size=3, num_layouts=4, path_lengths=(1, 4), image_size=SIDE, seed=1)
    planning = replace(tiny().learner.planning, num_samples=16, num_iterations=2, memory=2)
    ids, roams = torch.arange(24), Roaming(persistence=0.0)
    method = Right()
    explore = Leaving(method, LatentDistance(over="mean"), planning, noise=0.1, steps=16)
    far = {}
    for name, act in (("leaves", explore), ("roams", roams)):
        made = act(world, ids, 16)
        along = made.of(made.states.position)[..., 0]
        far[name] = float((along[:, -1] - along[:, 0]).abs().mean())
    assert far["leaves"] > 1.5 * far["roams"]
    assert method.shown[0] == (1, 0)
    assert set(method.shown[1:]) == {(2, 4)}
    assert explore(world, ids[:3], 16).action.equal(explore(world, ids, 16).action[:3])


def test_agents_without_sense_are_refused() -> None:
    with pytest.raises(UserError, match="at least 1 round"):
        tiny(num_rounds=0)
    with pytest.raises(UserError, match="planned is a share"):
        tiny(planned=1.5)
    with pytest.raises(UserError, match="Episodes of 8 actions are too short for 4 frames"):
        tiny(num_steps=8)
    with pytest.raises(UserError, match="Noise is at least 0"):
        Leaving(None, LatentDistance(), tiny().learner.planning, noise=-1.0)
