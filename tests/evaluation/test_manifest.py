"""Manifests list the same episodes for ever, none of them solved before it begins, and say so when draws change."""

from dataclasses import dataclass, replace

import pytest
import torch

from jepakit.evaluation.manifest import Manifest, digest_of, make_manifest, read_manifest
from jepakit.types import UserError
from jepakit.worlds import PointMaze2D, TwoRooms


@pytest.mark.parametrize("layout", ["fixed", "random"])
@pytest.mark.parametrize(("split", "num"), [("dev", 200), ("test", 500)])
def test_committed_manifests_are_what_the_world_draws(layout: str, split: str, num: int) -> None:
    name, manifest = read_manifest(TwoRooms(layout), split)
    assert name == f"two-rooms-{layout}-{split}"
    world, start, goal, ids = manifest.tasks(TwoRooms(layout, seed=9))
    assert len(ids) == len(set(ids.tolist())) == num
    assert not bool(world.reached(start, goal).any())
    assert world.seed not in (0, 9)  # neither a training's default nor the one given


def test_choices_and_results_are_made_on_other_episodes() -> None:
    dev, test = (read_manifest(TwoRooms("random"), split)[1].tasks(TwoRooms("random")) for split in ("dev", "test"))
    assert dev[0].seed != test[0].seed
    assert not torch.equal(dev[1].position, test[1].position[:200])


def test_few_are_the_first_of_all() -> None:
    manifest = read_manifest(TwoRooms(), "dev")[1]
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


def test_an_unknown_world_or_split_is_refused() -> None:
    with pytest.raises(UserError, match="no committed dev manifest"):
        read_manifest(PointMaze2D(size=4), "dev")
    with pytest.raises(UserError, match="dev and test"):
        read_manifest(TwoRooms(), "train")


def test_a_digest_changes_with_the_states_and_not_with_noise_below_a_thousandth() -> None:
    state = TwoRooms("random").start(torch.arange(5))
    there = state.at(state.position.round())
    assert digest_of(there) == digest_of(there.at(there.position + 1e-5))
    assert digest_of(there) != digest_of(there.at(there.position + 1e-2))
    assert digest_of(there, state) != digest_of(state, there)


@dataclass(frozen=True)
class Solved:
    """A world of which every other episode begins at its goal."""

    seed: int = 0

    def task(self, ids: torch.Tensor) -> tuple[TwoRooms, TwoRooms]:
        state = TwoRooms().start(ids)
        return state, state.at(state.position + 10.0 * (ids % 2)[:, None])  # type: ignore[return-value]

    def reached(self, start: torch.Tensor, goal: torch.Tensor) -> torch.Tensor:
        return TwoRooms().reached(start, goal)  # type: ignore[arg-type]


def test_episodes_that_begin_at_their_goal_are_left_out() -> None:
    manifest = make_manifest(Solved(), 5)
    assert isinstance(manifest, Manifest)
    assert manifest.ids == (1, 3, 5, 7, 9)
