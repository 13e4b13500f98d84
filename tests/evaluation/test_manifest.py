"""Manifests list the same episodes for ever, none of them solved before it begins, and say so when draws change."""

from dataclasses import dataclass, replace

import pytest
import torch
from gymnasium.spaces import Box
from scripts import script

from jepakit.evaluation.manifest import DRAWN, Manifest, digest_of, evaluated, find_manifest, make_manifest, solved_idly
from jepakit.types import UserError
from jepakit.worlds import Distracted, PointMaze2D, TwoRooms

MANIFESTS = script("tools/manifests.py")


@pytest.mark.parametrize("name", MANIFESTS.WORLDS)
@pytest.mark.parametrize(("split", "num"), [("dev", 200), ("test", 500)])
def test_committed_manifests_are_what_the_world_draws(name: str, split: str, num: int) -> None:
    given = MANIFESTS.WORLDS[name]
    found, manifest = find_manifest(given, split)
    assert found == f"{name}-{split}"
    world, start, goal, ids = manifest.tasks(replace(given, seed=9))
    assert len(ids) == len(set(ids.tolist())) == num
    assert not bool(solved_idly(world, start, goal).any())
    assert world.seed not in (0, 9)  # neither a training's default nor the one given
    assert (MANIFESTS.FOLDER / f"{found}.json").read_text(encoding="utf-8") == MANIFESTS.text_of(name, split)


def test_mazes_are_evaluated_in_layouts_that_no_training_can_see() -> None:
    world, start, _, _ = find_manifest(PointMaze2D(), "dev")[1].tasks(PointMaze2D())
    assert world.split == "held-out"
    learnt = PointMaze2D()
    trained_on = learnt.mazes(start.position.device).closed[: learnt.num_layouts]
    evaluated_on = world.mazes(start.position.device).closed[start.layout.unique()]
    assert len(evaluated_on) > 30
    assert not any(torch.equal(one, other) for one in trained_on for other in evaluated_on)


@pytest.mark.parametrize("kind", ["noise", "texture"])
def test_before_a_background_starts_and_goals_are_those_of_the_world_without(kind: str) -> None:
    given = Distracted(TwoRooms(), kind, seed=4)
    name, manifest = find_manifest(given, "test")
    assert name == "two-rooms-fixed-test"
    world, start, goal, _ = manifest.tasks(given, 20)
    plain = manifest.tasks(TwoRooms(), 20)
    assert (world.seed, world.world.seed, world.kind) == (202, 202, kind)
    assert torch.equal(start.inner.position, plain[1].position)
    assert torch.equal(goal.inner.position, plain[2].position)
    assert not torch.equal(world.render(start), plain[0].render(plain[1]))
    assert evaluated(Distracted(PointMaze2D()), 3).world == PointMaze2D("held-out", seed=3)
    with pytest.raises(UserError, match="not of"):
        manifest.tasks(Distracted(TwoRooms("random")))


def test_choices_and_results_are_made_on_other_episodes() -> None:
    dev, test = (find_manifest(TwoRooms("random"), split)[1].tasks(TwoRooms("random")) for split in ("dev", "test"))
    assert dev[0].seed != test[0].seed
    assert not torch.equal(dev[1].position, test[1].position[:200])


def test_few_are_the_first_of_all() -> None:
    manifest = find_manifest(TwoRooms(), "dev")[1]
    few, every = manifest.tasks(TwoRooms(), 3), manifest.tasks(TwoRooms())
    assert torch.equal(few[1].position, every[1].position[:3])
    for wrong in (0, 201):
        with pytest.raises(UserError, match="1 to 200 episodes"):
            manifest.tasks(TwoRooms(), wrong)


def test_a_world_that_draws_otherwise_than_it_did_is_noticed() -> None:
    manifest = make_manifest(TwoRooms("random", seed=3), 10)
    with pytest.raises(UserError, match="its draws changed"):
        replace(manifest, digest="0").tasks(TwoRooms("random"))
    with pytest.raises(UserError, match="not of"):
        manifest.tasks(TwoRooms("fixed"))


def test_a_world_with_settings_of_its_own_gets_a_manifest_that_is_drawn() -> None:
    given = PointMaze2D(size=4, path_lengths=(2, 6), seed=3)
    (name, dev), (_, test) = (find_manifest(given, split) for split in ("dev", "test"))
    assert name == DRAWN
    world, start, goal, ids = dev.tasks(given)
    assert (len(ids), len(test.ids)) == (200, 500)
    assert (world.split, world.seed) == ("held-out", 101)
    assert not solved_idly(world, start, goal).any()


def test_a_single_maze_is_evaluated_in_itself_by_other_episodes_for_choices_and_results() -> None:
    given = PointMaze2D(size=4, num_layouts=1, path_lengths=(2, 4), seed=7)
    dev, test = (find_manifest(given, split)[1].tasks(given) for split in ("dev", "test"))
    assert dev[0] == test[0] == given
    assert set(dev[3].tolist()).isdisjoint(test[3].tolist())


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(UserError, match="dev and test"):
        find_manifest(TwoRooms(), "train")


def test_a_digest_changes_with_the_states_and_not_with_noise_below_a_thousandth() -> None:
    state = TwoRooms("random").start(torch.arange(5))
    there = state.at(state.position.round())
    assert digest_of(there) == digest_of(there.at(there.position + 1e-5))
    assert digest_of(there) != digest_of(there.at(there.position + 1e-2))
    assert digest_of(there, state) != digest_of(state, there)


@dataclass(frozen=True)
class Place:
    position: torch.Tensor


@dataclass(frozen=True)
class Drifting:
    """A world in which a third of the episodes begin at their goal, and another third drift there by themselves."""

    seed: int = 0

    @property
    def action_space(self) -> Box:
        return TwoRooms().action_space

    def task(self, ids: torch.Tensor) -> tuple[Place, Place]:
        return Place(0.0 * ids), Place(torch.tensor([0.0, 15.0, 25.0])[ids % 3])

    def step(self, state: Place, action: torch.Tensor) -> Place:
        return Place(state.position + 1.0 + action.sum(dim=1))

    def reached(self, state: Place, goal: Place) -> torch.Tensor:
        return state.position == goal.position


def test_episodes_that_are_solved_by_doing_nothing_are_left_out() -> None:
    manifest = make_manifest(Drifting(), 5)
    assert isinstance(manifest, Manifest)
    assert manifest.ids == (2, 5, 8, 11, 14)
