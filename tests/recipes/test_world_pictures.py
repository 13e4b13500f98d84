"""Pictures of a world: places are where they are drawn, plans and elites lead where the model says, maps show the cost."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from jepakit.methods.ebjepa_world import EBJEPAWorld, EBJEPAWorldConfig
from jepakit.nn.framenet import FrameNetConfig
from jepakit.planning import CEM, LatentDistance
from jepakit.recipes.world_pictures import Playing, distance_maps, episodes, rollouts, save_world_pictures, telling
from jepakit.recipes.world_viewing import coloured, fit_places, learn_to_draw, plane_of, seen
from jepakit.report import build_report
from jepakit.report.material import read
from jepakit.storage import Run
from jepakit.views import Preprocess
from jepakit.worlds import BouncingBalls, Distracted, PointMaze2D, SWMTwoRoom, TwoRooms
from jepakit.worlds.wandering import Wandering

WORLD = TwoRooms("random")
CONFIG = EBJEPAWorldConfig(
    encoder=FrameNetConfig(patch_size=16, width=8, dim=16),
    preprocess=Preprocess(image_size=65, channels=2, mean=(0.01, 0.1), std=(0.04, 0.3)),
    action_low=(-2.0, -2.0),
    action_high=(2.0, 2.0),
)
MIX = torch.tensor([[0.6, 0.8, 1.0], [-0.8, 0.6, 2.0]]) / 30
PLANNER = CEM(horizon=5, num_samples=40, num_iterations=3, num_elites=10, std=0.4)
PLAYING = Playing(PLANNER, every=2, hold=3, num_steps=24)
IDS = torch.tensor([3, 8, 21])


@dataclass(frozen=True)
class Spot:
    z: Tensor

    def expand(self, num_samples: int) -> "Spot":
        return Spot(self.z[:, None].expand(-1, num_samples, -1))

    def select(self, index: Tensor) -> "Spot":
        return Spot(self.z[index])


class Exact(EBJEPAWorld):
    """Know where the dot is, to a linear map, and believe that no wall stops it."""

    def encode_goal(self, goal: Any) -> Tensor:
        dot = goal[:, 0].float()
        total, at = dot.sum(dim=(1, 2)), torch.arange(65.0)
        x, y = (dot.sum(dim=1) * at).sum(1) / total, (dot.sum(dim=2) * at).sum(1) / total
        return (torch.stack((x, y), dim=1) @ MIX)[:, None]

    def observe(self, observation: Any) -> Any:
        return Spot(self.encode_goal(observation)[:, 0])

    def rollout(self, state: Any, actions: Tensor) -> Tensor:
        return (state.z[:, :, None] + actions.cumsum(dim=2) @ MIX)[..., None, :]


def exact() -> Exact:
    return Exact(CONFIG, 0).eval()


@pytest.fixture(scope="module")
def played() -> dict[str, np.ndarray]:
    with torch.no_grad():
        plane = plane_of(WORLD)
        assert plane
        places = fit_places(exact(), WORLD, Wandering(), plane, num=8, num_steps=8)
        return dict(episodes(exact(), WORLD, plane, places, PLAYING, IDS))


@pytest.mark.parametrize(
    "world", [TwoRooms(), SWMTwoRoom(image_size=64), PointMaze2D(), Distracted(TwoRooms(), "texture")]
)
def test_what_is_put_somewhere_is_drawn_at_its_pixels(world: Any) -> None:
    plane = plane_of(world)
    assert plane
    assert plane.put is not None
    start = world.start(torch.arange(2))
    span = plane.high - plane.low
    places = plane.low + span * torch.tensor([[0.15, 0.35], [0.85, 0.65]])
    here, there = (world.render(plane.put(start, places[[i, i]])).float() for i in (0, 1))
    changed = (here - there).abs().sum(dim=1)
    for place, half in ((places[0], changed[:, :, : changed.shape[2] // 2]), (places[1], None)):
        drawn = changed.clone()
        drawn[:, :, changed.shape[2] // 2 :] = 0.0
        drawn = drawn if half is not None else changed - drawn
        rows, columns = (torch.arange(float(size)) for size in drawn.shape[1:])
        middle = [(drawn.sum(dim=1) * columns).sum(1), (drawn.sum(dim=2) * rows).sum(1)]
        middle = torch.stack(middle, dim=1) / drawn.sum(dim=(1, 2))[:, None]
        torch.testing.assert_close(middle, plane.pixels(place).expand(2, 2), atol=0.6, rtol=0)


def test_a_world_without_one_thing_to_be_moved_has_no_plane() -> None:
    assert plane_of(BouncingBalls()) is None


def test_places_are_read_off_embeddings_that_tell_them() -> None:
    plane = plane_of(WORLD)
    assert plane
    places = fit_places(exact(), WORLD, Wandering(), plane, num=8, num_steps=8)
    state = WORLD.start(torch.arange(900, 920))
    torch.testing.assert_close(places(seen(exact(), WORLD, state)), state.position, atol=0.15, rtol=0)


def test_an_episode_is_told_from_its_start_to_whether_it_ends_at_the_goal(played: dict[str, np.ndarray]) -> None:
    start, goal = WORLD.task(IDS)
    np.testing.assert_allclose(played["path"][:, 0], start.position.numpy())
    np.testing.assert_allclose(played["goal"], goal.position.numpy())
    assert played["path"].shape == (3, 25, 2)
    assert played["frame_step"].tolist() == list(range(25))
    np.testing.assert_array_equal(played["frames"][:, 0], coloured(WORLD.render(start)))
    away = np.linalg.norm(played["path"][:, -1] - played["goal"], axis=1)
    assert played["reached"].tolist() == (away < 4.5).tolist()


def test_plans_begin_where_the_episode_is_and_are_followed(played: dict[str, np.ndarray]) -> None:
    assert played["plan_step"].tolist() == [0, 6, 12, 18]
    assert played["plans"].shape == (3, 4, 15, 2)
    np.testing.assert_array_equal(played["plans"][:, 0], played["imagined"])
    free = np.abs(played["path"][:, :4, 0] - WORLD.layouts(IDS)[0].numpy()[:, None]).min(axis=1) > 7
    assert free.any()  # where no wall is near the way goes as imagined
    np.testing.assert_allclose(played["path"][free, 1:4], played["imagined"][free, :3], atol=0.3)


def test_the_plan_is_the_mean_of_the_last_elites_and_these_near_the_goal(played: dict[str, np.ndarray]) -> None:
    elites = played["elites"]
    assert elites.shape == (3, 3, 10, 15, 2)
    np.testing.assert_allclose(elites[:, -1].mean(axis=1), played["imagined"], atol=0.02)
    apart = np.linalg.norm(elites - elites.mean(axis=2, keepdims=True), axis=-1).mean(axis=(2, 3))
    assert (apart[:, -1] < apart[:, 0]).all()  # the search draws them together
    away = np.linalg.norm(elites[:, :, :, -1] - played["goal"][:, None, None], axis=-1).mean(axis=2)
    assert (away[:, -1] < away[:, 0]).all()


def test_the_map_is_the_cost_of_being_at_each_place() -> None:
    plane = plane_of(WORLD)
    assert plane
    with torch.no_grad():
        maps = distance_maps(exact(), WORLD, plane, LatentDistance(over="mean"), IDS, grid=8)
    _, goal = WORLD.task(IDS)
    assert maps["extent"].tolist() == [[4.0, 4.0, 60.0, 60.0]] * 3
    for i in range(3):
        for row, column in ((0, 0), (2, 6), (7, 3)):
            place = torch.tensor([4 + 7 * (column + 0.5), 4 + 7 * (row + 0.5)])
            told = ((place - goal.position[i]) @ MIX).square().mean()
            assert maps["distance"][i, row, column] == pytest.approx(float(told), abs=0.02)
    np.testing.assert_array_equal(maps["background"], coloured(WORLD.render(goal)))


def test_a_decoder_learns_to_draw_and_changes_nothing_of_the_model() -> None:
    method = exact()
    before = {name: value.clone() for name, value in method.state_dict().items()}
    world = TwoRooms()
    with torch.no_grad():
        decoder = learn_to_draw(method, world, Wandering(), num_updates=40, num=16, num_steps=8)
        state = world.start(torch.arange(50))
        target = method.preprocess(world.render(state))
        missed = (decoder(seen(method, world, state)[:, 0]) - target).square().mean()
    assert missed < 0.8 * target.var(correction=0)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    assert all(parameter.grad is None for parameter in method.parameters())


def test_imagined_frames_begin_with_the_true_embedding_and_go_on_from_it() -> None:
    method = exact()
    with torch.no_grad():
        arrays = rollouts(method, TwoRooms(), Wandering(), num=2, num_ahead=3, decoder_updates=3)
        decoder = learn_to_draw(method, TwoRooms(), Wandering(), 3)
        clips = Wandering()(TwoRooms(), 2**41 + torch.arange(2), 3)
        z = seen(method, TwoRooms(), clips.at(0))[:, 0]
        moved = z[:, None] + torch.cat((torch.zeros(2, 1, 2), clips.action.cumsum(dim=1)), dim=1) @ MIX
        drawn = method.preprocess.to_pixels(decoder(moved.flatten(0, 1)))
    assert arrays["true"].shape == arrays["imagined"].shape == (2, 4, 65, 65, 3)
    np.testing.assert_array_equal(arrays["true"], coloured(clips.render(TwoRooms())))
    assert np.abs(arrays["imagined"].astype(int) - coloured(drawn.unflatten(0, (2, 4))).astype(int)).max() <= 1


def test_both_channels_of_a_picture_are_seen() -> None:
    frame = torch.zeros(1, 2, 1, 3, dtype=torch.uint8)
    frame[0, 0, 0, 1] = frame[0, 1, 0, 2] = 255
    assert coloured(frame)[0, 0].tolist() == [[0, 0, 0], [255, 255, 255], [92, 104, 122]]
    assert coloured(torch.full((1, 1, 1, 1), 7, dtype=torch.uint8)).tolist() == [[[[7, 7, 7]]]]


def test_episodes_to_show_are_of_both_outcomes_while_there_are_both() -> None:
    reached = torch.tensor([True] * 8 + [False])
    assert telling(reached).tolist() == [0, 1, 2, 3, 4, 8]
    assert telling(~reached).tolist() == [0, 1, 2, 3, 4, 8]
    assert telling(torch.tensor([False, False]), 4).tolist() == [0, 1]


def test_every_picture_is_one_that_the_report_can_show(tmp_path: Path) -> None:
    save_world_pictures(
        Run(tmp_path), exact(), WORLD, Wandering(), PLAYING, LatentDistance(over="mean"), IDS, decoder_updates=2
    )
    material = read(tmp_path)
    assert material.troubles == []
    assert material.artifacts.keys() == {"episodes", "distance", "rollout"}
    text = build_report(tmp_path).read_text()
    assert all(f'id="{name}"' in text for name in ("paths", "animation", "elites", "distance", "rollout"))
