"""A run in a world trains, learns its cost, reaches for goals, resumes, and refuses what makes no sense."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import quick_pictures, tiny_world

import jepakit
from jepakit import cli
from jepakit.commands import evaluate, evaluate_reaching, plan, train
from jepakit.evaluation.reaching import play_arm
from jepakit.nn import TemporalDistance
from jepakit.planning import CEM, LatentDistance
from jepakit.planning.costs import Reachability, WeightedSum
from jepakit.recipes import find_recipe
from jepakit.recipes.config import CostLearning, WorldRecipe
from jepakit.recipes.episodes import Floor, _StraightLine, evaluate_world
from jepakit.recipes.feeds import learning_world, world_feed
from jepakit.recipes.pipeline import train as run_recipe
from jepakit.recipes.reaching import learn_cost, read_cost
from jepakit.recipes.stored import embedded_trajectories
from jepakit.storage import Run, config_from_dict, config_to_dict
from jepakit.types import UserError
from jepakit.worlds import Distracted, Heedless, PointMaze2D, SWMExpert, TwoRooms

PICTURES = ("episodes", "distance", "rollout")


@pytest.fixture(scope="module")
def world_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "run"
    with pytest.MonkeyPatch.context() as few, quick_pictures():
        few.setattr("jepakit.commands.reaching.evaluate_world", _few_episodes)
        train(tiny_world(), folder)
    return folder


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jepakit.commands.reaching.save_world_pictures", lambda *_: None)


def _few_episodes(*given, **told):  # type: ignore[no-untyped-def]
    return evaluate_world(*given, **(told | {"num_episodes": told["num_episodes"] or 4}))


def test_training_ends_with_goals_reached_beside_floors(world_run: Path) -> None:
    record = json.loads((world_run / "evaluation.json").read_text())
    assert [arm["arm"] for arm in record["arms"]] == ["jepa", "random policy", "straight line"]
    assert [arm["uses_labels"] for arm in record["arms"]] == [False, False, True]
    assert record["protocol"]["manifest"] == "two-rooms-fixed-dev"
    assert (record["checkpoint"], record["step"]) == ("last", 4)
    assert {gain["against"] for gain in record["gains"]} == {"random policy", "straight line"}
    assert {path.name for path in (world_run / "artifacts").iterdir()} == {f"{n}.npz" for n in PICTURES}
    page = (world_run / "report.html").read_text()
    assert "Reaching goals" in page
    assert "straight line" in page


def test_the_straight_line_reaches_goals_that_it_sees_through_the_door(world_run: Path) -> None:
    record = evaluate_reaching(world_run, episodes=60)
    line = next(arm for arm in record["arms"] if arm["arm"] == "straight line")
    assert 0.0 < line["ends"]["value"] < 0.6  # the door is 9 of 57 rows high
    assert record["arms"][1]["ends"]["value"] < 0.1


def test_a_run_in_a_world_is_loaded_and_planned_with(world_run: Path) -> None:
    model = jepakit.load(world_run)
    world = tiny_world().data.world
    start, goal = world.task(torch.arange(2))
    found = CEM(horizon=4, num_samples=8, num_elites=2)(model, world.render(start), world.render(goal))
    assert found.actions.shape == (2, 4, 2)
    episodes = plan(world_run, episodes=2, first=5)
    assert [one.episode for one in episodes] == [5, 6]
    assert len(episodes[0].distance) == 21
    far = world.distance(*world.task(torch.tensor([5, 6])))
    torch.testing.assert_close(torch.tensor([one.distance[0] for one in episodes]), far)


def test_a_second_call_does_nothing_twice(world_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jepakit.commands.running.score_world", None)
    monkeypatch.setattr("jepakit.commands.running.learn_cost", None)
    assert train(tiny_world(), world_run).result.step == 4


def test_the_learned_cost_is_kept_with_the_run(world_run: Path, tmp_path: Path) -> None:
    cost = read_cost(tiny_world().planning, Run(world_run))
    assert isinstance(cost, WeightedSum)
    planning = replace(tiny_world().planning, learned=CostLearning(num_steps=0))
    assert isinstance(read_cost(planning, Run(world_run)), LatentDistance)
    with pytest.raises(UserError, match="no learned cost yet"):
        read_cost(tiny_world().planning, Run(tmp_path))


@pytest.mark.parametrize("still_dim", [0, 4])
def test_a_cost_by_shortest_ways_is_kept_and_planned_by(tmp_path: Path, still_dim: int) -> None:
    recipe, run = tiny_world(), Run(tmp_path)
    recipe = replace(recipe, method=replace(recipe.method, still_dim=still_dim))  # type: ignore[call-arg]
    recipe = replace(recipe, planning=replace(recipe.planning, learned=replace(recipe.planning.learned, by="paths")))
    method = recipe.method.build(seed=0, num_steps=1).eval()
    learn_cost(method, recipe, run)
    cost = read_cost(recipe.planning, run)
    assert isinstance(cost, WeightedSum)
    (_, told), _ = cost.terms
    assert isinstance(told, Reachability) and isinstance(told.head, TemporalDistance)
    world = recipe.data.world
    start, goal = world.task(torch.arange(2))
    found = CEM(horizon=4, num_samples=8, num_elites=2, cost=cost)(method, world.render(start), world.render(goal))
    assert found.cost.isfinite().all()
    with pytest.raises(UserError, match="'gaps' or 'paths', not by 'guess'"):
        CostLearning(by="guess")
    with pytest.raises(UserError, match="fp32 or bf16, not 'half'"):
        replace(recipe.planning, precision="half")


def test_each_seed_wanders_elsewhere_and_the_cost_is_learned_on_what_was_held_out() -> None:
    one, two = (learning_world(tiny_world(seed=seed)) for seed in (0, 1))
    assert (one.seed, two.seed) == (0, 1)
    recipe = tiny_world()
    method = recipe.method.build(seed=0, num_steps=1).eval()
    z = embedded_trajectories(method, recipe, 3, 6)
    assert z.shape == (3, 6, 16)
    assert not torch.equal(z, embedded_trajectories(method, recipe, 3, 6, first=0))


def test_recipes_of_worlds_survive_their_file() -> None:
    for name in ("two-rooms-fixed", "two-rooms-random"):
        recipe = find_recipe(name)()
        assert config_from_dict(WorldRecipe, json.loads(json.dumps(config_to_dict(recipe)))) == recipe


@pytest.mark.parametrize("kind", ["noise", "texture"])
def test_a_run_before_a_background_learns_evaluates_and_survives_its_file(kind: str, tmp_path: Path) -> None:
    plain = tiny_world(seed=3)
    data = replace(plain.data, world=Distracted(plain.data.world, kind), behaviour=Heedless(plain.data.behaviour))
    recipe = replace(plain, data=data)
    assert config_from_dict(WorldRecipe, json.loads(json.dumps(config_to_dict(recipe)))) == recipe
    assert learning_world(recipe) == Distracted(TwoRooms(seed=3), kind, seed=3)
    method = recipe.method.build(seed=0, num_steps=1).eval()
    feed = world_feed(recipe, method, torch.device("cpu"))
    _, seen = next(feed.batches(0))
    _, without = next(world_feed(plain, method, torch.device("cpu")).batches(0))
    assert torch.equal(seen.action, without.action)
    assert not torch.equal(seen.frames, without.frames)
    found = evaluate_world(method, recipe, LatentDistance(over="mean"), {}, split="dev", num_episodes=20)
    arms = {arm["arm"]: arm["ends"]["value"] for arm in found.record["arms"]}
    bare = evaluate_world(method, plain, LatentDistance(over="mean"), {}, split="dev", num_episodes=20).record
    floors = {arm["arm"]: arm["ends"]["value"] for arm in bare["arms"]}
    assert found.record["protocol"]["manifest"] == bare["protocol"]["manifest"] == "two-rooms-fixed-dev"
    assert [arms[name] for name in ("random policy", "straight line")] == list(floors.values())[1:]


def test_a_run_whose_encoder_never_learned_stands_beside_as_a_floor(
    world_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_world("two-rooms-fixed-random-encoder", seed=1)
    other = run_recipe(recipe, tmp_path / "floor").method.eval()
    learn_cost(other, recipe, Run(tmp_path / "floor"))
    assert cli.run(["evaluate", str(world_run), "--episodes", "3", "--floor", str(tmp_path / "floor")]) == 0
    assert "two-rooms-fixed-random-encoder" in capsys.readouterr().out
    record = json.loads((world_run / "evaluation.json").read_text())
    names = ["jepa", "two-rooms-fixed-random-encoder", "random policy", "straight line"]
    assert [arm["arm"] for arm in record["arms"]] == names
    assert [arm["is_floor"] for arm in record["arms"]] == [False, True, True, True]
    assert [gain["against"] for gain in record["gains"]] == names[1:]
    assert "4 steps of training, seed 1" in record["arms"][1]["note"]
    cost = read_cost(recipe.planning, Run(tmp_path / "floor"))
    alone = evaluate_world(other, recipe, cost, {}, split="dev", num_episodes=3).record["arms"][0]
    assert alone["ends"] == record["arms"][1]["ends"]
    for other_recipe, words in (
        (replace(recipe, planning=replace(recipe.planning, horizon=4)), "plans by"),
        (replace(recipe, data=replace(recipe.data, world=TwoRooms("random"))), "learned in the world"),
    ):
        floor = Floor(other, other_recipe, LatentDistance())
        with pytest.raises(UserError, match=words):
            evaluate_world(other, recipe, LatentDistance(), {}, split="dev", num_episodes=1, floor=floor)


def test_a_behaviour_of_another_world_is_refused() -> None:
    data = tiny_world().data
    with pytest.raises(UserError, match=r"Wandering acts in TwoRooms, not in Distracted; .* Heedless\(Wandering\(\)\)"):
        replace(data, world=Distracted(data.world))
    with pytest.raises(UserError, match="SWMExpert acts in SWMTwoRoom"):
        replace(data, behaviour=SWMExpert())


def test_the_straight_line_drives_a_ball_to_rest_where_no_wall_is_between() -> None:
    world = PointMaze2D("held-out", path_lengths=(1, 1))
    start, goal = world.task(torch.arange(50))
    line = _StraightLine(goal, torch.ones(2), start, world)
    played = play_arm("line", world, start, goal, line, 60, 1)
    assert bool(played.reached[:, -1].all())
    assert float(line.state.velocity.abs().max()) < 1e-3
    assert float(played.played.distance[:, -1].max()) < 1e-2


def test_commands_are_told_apart_by_what_a_run_learned(
    world_run: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="reaching goals"):
        evaluate(world_run)
    with pytest.raises(UserError, match="nothing to act in"):
        plan(tiny_run)
    with pytest.raises(UserError, match="at least 1"):
        plan(world_run, episodes=0)
    assert cli.run(["plan", str(world_run), "--episodes", "1"]) == 0
    assert "from its goal at the start" in capsys.readouterr().out
    assert cli.run(["evaluate", str(world_run), "--episodes", "2"]) == 0
    shown = capsys.readouterr().out
    assert "2 episodes of two-rooms-fixed-dev" in shown
    assert "(told the places)" in shown
    assert cli.run(["evaluate", str(world_run), "--episodes", "201"]) == 2
    assert "1 to 200 episodes" in capsys.readouterr().err


def test_actions_held_for_parts_of_a_block_are_refused() -> None:
    with pytest.raises(UserError, match="must fill whole blocks"):
        replace(tiny_world(), planning=replace(tiny_world().planning, hold=6))


def test_the_estimator_takes_recipes_of_images_alone() -> None:
    with pytest.raises(UserError, match="takes those of images"):
        jepakit.JEPATransformer(recipe="two-rooms-fixed").fit(torch.zeros(4, 8, 8, dtype=torch.uint8).numpy())


def test_clips_made_ahead_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(tiny_world(), planning=replace(tiny_world().planning, learned=CostLearning(num_steps=0)))
    whole = run_recipe(recipe, tmp_path / "whole").method.state_dict()
    monkeypatch.setattr("jepakit.worlds.stream.AHEAD", 1)
    again = run_recipe(recipe, tmp_path / "again").method.state_dict()
    for name, tensor in whole.items():
        assert torch.equal(tensor, again[name]), name


def test_a_diagnosis_stands_in_the_record(world_run: Path) -> None:
    record = evaluate_reaching(world_run, episodes=2, diagnose=1)
    found = record["diagnosis"]
    assert found["num_episodes"] == 1
    assert len(found["arms"]) == 4
    assert found["sentence"]
    assert json.loads((world_run / "evaluation.json").read_text())["diagnosis"] == found
