"""Pictures: pixels survive their way into the page, masks cover the right cells, large images stay small."""

import base64
import io
import re

import fake_runs
import numpy as np
import pytest
from PIL import Image

from jepakit.report.gallery import galleries, neighbours
from jepakit.report.material import Material
from jepakit.report.pictures import SIDE, Canvas, data_uri, heat, to_rgb


def decode(uri: str) -> np.ndarray:
    kind, _, data = uri.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_small_pictures_are_exact() -> None:
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    assert (decode(data_uri(image)) == image).all()


def test_large_pictures_are_shrunk() -> None:
    image = np.random.default_rng(0).integers(0, 256, (600, 900, 3), dtype=np.uint8)
    assert decode(data_uri(image)).shape == (160, 240, 3)
    assert len(data_uri(image)) < 60_000


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_any_number_of_channels_becomes_colour(channels: int) -> None:
    image = np.arange(4 * channels, dtype=np.uint8).reshape(2, 2, channels)
    rgb = to_rgb(image)
    assert rgb.shape == (2, 2, 3)
    assert (rgb == (image[..., :3] if channels >= 3 else image[..., :1])).all()


def test_floats_are_fractions_and_nan_is_black() -> None:
    values = np.array([[[0.0], [1.0], [2.0], [np.nan], [-1.0], [np.inf]]])
    assert to_rgb(values)[0, :, 0].tolist() == [0, 255, 255, 0, 0, 255]
    assert to_rgb(np.array([[[300], [-2]]]))[0, :, 0].tolist() == [255, 0]


def boxes(path: str) -> set[tuple[float, float, float, float]]:
    found = re.findall(r"M([\d.]+) ([\d.]+)H([\d.]+)V([\d.]+)H[\d.]+Z", path)
    return {tuple(float(v) for v in box) for box in found}  # type: ignore[misc]


def test_veil_covers_exactly_the_hidden_cells() -> None:
    hidden = np.array([[True, True, False], [False, False, True]])
    svg = str(Canvas(np.zeros((20, 30, 1), np.uint8), "x").veil(hidden).markup())
    path = re.search(r'd="([^"]+)" class="veil"', svg)
    assert path
    third, half = SIDE / 3, SIDE * 2 / 3 / 2
    assert boxes(path[1]) == {(0.0, 0.0, 2 * third, half), (2 * third, half, 3 * third, 2 * half)}


def test_nothing_hidden_draws_no_veil() -> None:
    canvas = (
        Canvas(np.zeros((4, 4, 1), np.uint8), "x").veil(np.zeros((2, 2), bool)).outline(np.zeros((2, 2), bool), 0, 1.0)
    )
    assert "path" not in canvas.markup()


def test_outline_of_a_block_is_its_border() -> None:
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    svg = str(Canvas(np.zeros((8, 8, 1), np.uint8), "x").outline(mask, 2, 1.0).markup())
    edge = re.search(r'd="([^"]+)" class="edge"', svg)
    assert edge
    assert edge[1].count("M") == 8  # two segments a side
    numbers = [float(v) for v in re.findall(r"[\d.]+", edge[1])]
    assert min(numbers) == SIDE / 4 + 1
    assert max(numbers) == 3 * SIDE / 4 - 1
    assert 'class="question s2"' in svg


def test_heat_runs_from_blue_to_yellow() -> None:
    colours = heat(np.array([[0.0, 1.0, np.nan]]), 0.0, 1.0)
    assert colours.shape == (1, 3, 3)
    assert colours[0, 0, 2] > colours[0, 0, 0]
    assert colours[0, 1, 0] > colours[0, 1, 2]


def stored(tmp_path, name: str) -> dict[str, np.ndarray]:
    fake_runs.write_artifacts(tmp_path)
    return dict(np.load(tmp_path / f"artifacts/{name}.npz"))


def test_mask_cards_say_how_much_is_shown(tmp_path) -> None:
    arrays = stored(tmp_path, "masks")
    gallery = galleries(Material(tmp_path, artifacts={"masks": arrays}))[0]
    assert [card.caption for card in gallery.cards] == [f"{m.mean():.0%} is shown" for m in arrays["context"]]
    assert gallery.questions == 4
    hidden = re.search(r'd="([^"]*)" class="veil"', str(gallery.cards[0].pictures[0]))
    cells = sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes(hidden[1])) / SIDE**2
    assert cells == pytest.approx(1 - arrays["context"][0].mean(), abs=1e-3)
    asked = str(gallery.cards[0].pictures[1])
    assert asked.count('class="tint"') == int(arrays["targets"][0].any(axis=(1, 2)).sum())


def test_positions_that_were_never_asked_are_veiled(tmp_path) -> None:
    arrays = stored(tmp_path, "energy")
    arrays["energy"][0, 0, 0] = np.nan
    arrays["energy"][1] = np.nan
    gallery = galleries(Material(tmp_path, artifacts={"energy": arrays}))[0]
    assert "veil" in gallery.cards[0].pictures[1]
    assert "veil" not in gallery.cards[2].pictures[1]
    assert gallery.cards[1].caption == "mean not finite"
    mean = np.nanmean(arrays["energy"][0])
    assert float(gallery.cards[0].caption.removeprefix("mean ")) == pytest.approx(mean, rel=1e-3)


def test_neighbours_come_in_their_order_with_similarity(tmp_path) -> None:
    arrays = stored(tmp_path, "neighbours")
    rows = neighbours(Material(tmp_path, artifacts={"neighbours": arrays}))
    assert len(rows) == 6
    for i, row in enumerate(rows):
        assert [similarity for _, _, similarity in row.found] == [f"{s:.3f}" for s in arrays["similarity"][i]]
        assert [name for _, name, _ in row.found] == arrays["names"][i].tolist()
        uris = [re.search(r'href="([^"]+)"', str(picture))[1] for picture, _, _ in row.found]
        for uri, image in zip(uris, arrays["neighbours"][i], strict=True):
            assert (decode(uri)[..., :1] == image).all()


def test_more_samples_than_shown_are_counted(tmp_path) -> None:
    image = fake_runs.digits(20)
    arrays = {"image": image, "pca": np.random.default_rng(0).random((20, 4, 4, 3))}
    gallery = galleries(Material(tmp_path, artifacts={"features": arrays}))[0]
    assert len(gallery.cards) == 6
    assert "Shown are 6 of 20." in gallery.lead


def test_strips_of_film_stand_below_each_other(tmp_path) -> None:
    film = {"image": np.zeros((2, 8, 32, 1), dtype=np.uint8), "energy": np.ones((2, 1, 4))}
    square = {"image": np.zeros((2, 8, 8, 1), dtype=np.uint8), "energy": np.ones((2, 1, 1))}
    (strips,), (pictures,) = (galleries(Material(tmp_path, artifacts={"energy": one})) for one in (film, square))
    assert strips.is_reel and strips.card_width == 400
    assert not pictures.is_reel and pictures.card_width == 212
    found = {"query": film["image"], "neighbours": np.zeros((2, 1, 8, 32, 1), np.uint8), "similarity": np.ones((2, 1))}
    assert all(row.is_reel for row in neighbours(Material(tmp_path, artifacts={"neighbours": found})))
