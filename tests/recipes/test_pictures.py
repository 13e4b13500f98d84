"""Pictures are what a report expects, and show what the method did."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_methods import CONFIGS, batch, build

from jepakit.recipes.pictures import energy_maps, masks, neighbours, pca_maps, reconstruction, save_pictures
from jepakit.report.material import ARTIFACTS, read
from jepakit.storage import Run

IMAGES = batch(20).image


@pytest.mark.parametrize("name", list(CONFIGS))
def test_every_picture_is_one_that_the_report_can_show(name: str, tmp_path: Path) -> None:
    save_pictures(Run(tmp_path), build(name).eval(), IMAGES)
    material = read(tmp_path)
    assert material.troubles == []
    expected = {"features", "neighbours"}
    expected |= {"masks", "energy"} if "ijepa" in name or name == "pixels" else {"views"}
    expected |= {"reconstruction"} if name == "pixels" else set()
    assert material.artifacts.keys() == expected
    assert expected <= ARTIFACTS.keys()


def test_masks_show_what_a_step_sees_and_asks() -> None:
    method = build("ijepa").eval()
    shown = masks(method, IMAGES[:3], torch.arange(3))
    hidden = method.hide(torch.arange(3), 0)
    for i in range(3):
        assert set(np.flatnonzero(shown["context"][i])) == set(hidden.context_idx[i].tolist())
        for q in range(2):
            assert set(np.flatnonzero(shown["targets"][i, q])) == set(hidden.target_idx[i, q].tolist())
    assert not (shown["context"][:, None] & shown["targets"]).any()


def test_nearest_neighbours_are_the_most_similar_images_and_never_the_image_itself() -> None:
    method = build("transform_jepa").eval()
    images = torch.cat((IMAGES[:10], IMAGES[:10].clamp(max=250)))  # each image has a near twin ten places on
    with torch.no_grad():
        found = neighbours(method, images)
    assert found["similarity"].shape == (8, 6)
    assert (np.diff(found["similarity"], axis=1) <= 1e-6).all()
    for i in range(8):
        twin = images[10 + i].permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(found["neighbours"][i, 0], twin)


def test_the_energy_of_a_position_is_the_mean_over_the_questions_about_it() -> None:
    method = build("ijepa_sigreg").eval()
    with torch.no_grad():
        maps = energy_maps(method, IMAGES[:2], num_questions=3)
        x, ids = method.preprocess(IMAGES[:2]), torch.zeros(2, dtype=torch.long)
        told: dict[tuple[int, int], list[float]] = {}
        for question in range(3):
            p = method.questions(x, ids, question)
            energy = (p.z_hat - p.z).square().mean(dim=1)
            for sample, group, value in zip(p.sample.tolist(), p.group.tolist(), energy.tolist(), strict=True):
                told.setdefault((sample, group), []).append(value)
    for sample in range(2):
        for position in range(16):
            value = maps[sample].flat[position]
            asked = told.get((sample, position))
            assert np.isnan(value) if asked is None else value == pytest.approx(np.mean(asked), rel=1e-4)


def test_colours_of_features_are_the_first_principal_components() -> None:
    method = build("ijepa").eval()
    with torch.no_grad():
        maps = pca_maps(method, IMAGES[:8])
        tokens = method.encode(method.preprocess(IMAGES[:8]), tokens=True).flatten(0, 1)
    assert maps.shape == (8, 4, 4, 3)
    assert maps.min() >= 0
    assert maps.max() <= 1
    first = torch.pca_lowrank(tokens.double(), q=6)[0][:, 0].numpy()
    inside = (maps.reshape(-1, 3)[:, 0] > 0) & (maps.reshape(-1, 3)[:, 0] < 1)  # the rest is cut at the quantiles
    assert abs(np.corrcoef(first[inside], maps.reshape(-1, 3)[inside, 0])[0, 1]) > 0.999


def test_a_perfect_prediction_of_pixels_is_the_image() -> None:
    method: Any = build("pixels").eval()

    class Oracle(torch.nn.Module):
        def forward(self, s_x: Any, context_idx: Any, target_idx: Any) -> Any:
            return answers[:, None].gather(2, target_idx[..., None].expand(-1, -1, -1, answers.shape[-1]).flatten(
                1, 2)[:, None])[:, 0].unflatten(1, target_idx.shape[1:])  # fmt: skip

    answers = method.target(method.preprocess(IMAGES[:3]))
    method.predictor = Oracle()
    with torch.no_grad():
        drawn = reconstruction(method, IMAGES[:3], torch.arange(3))
    difference = np.abs(drawn["predicted"].astype(int) - drawn["image"].astype(int))
    assert difference.max() <= 1
    assert np.abs(drawn["masked"].astype(int) - drawn["image"].astype(int)).max() > 30
