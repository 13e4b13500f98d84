"""A loaded model takes images in every form that people have, and gives the same embedding for each."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_methods import CONFIGS, build

from jepakit.data import Digits
from jepakit.hub import Model, load
from jepakit.types import UserError

GREY = Digits().images[:3]


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run)


@pytest.fixture(scope="module")
def colour() -> Model:
    """Return an untrained model of colour images of 16 pixels."""
    return Model(build("ijepa_sigreg").eval(), {})


def as_pil(pixels: Any) -> list[Image.Image]:
    return [Image.fromarray(image[0].numpy()) for image in pixels]


FORMS = {
    "tensor b c h w": lambda: GREY,
    "tensor b h w": lambda: GREY[:, 0],
    "array b h w": lambda: GREY[:, 0].numpy(),
    "array b c h w": lambda: GREY.numpy(),
    "array b h w c": lambda: np.moveaxis(GREY.numpy(), 1, 3),
    "read-only array": lambda: np.frombuffer(GREY.numpy().tobytes(), np.uint8).reshape(3, 8, 8),
    "PIL images": lambda: as_pil(GREY),
    "PIL images read only": lambda: [np.asarray(image) for image in as_pil(GREY)],
    "arrays h w": lambda: list(GREY[:, 0].numpy()),
    "arrays c h w": lambda: list(GREY.numpy()),
    "tensors c h w": lambda: tuple(GREY),
    "colour PIL images": lambda: [image.convert("RGB") for image in as_pil(GREY)],
    "mixed": lambda: [as_pil(GREY)[0], GREY[1], GREY[2, 0].numpy()],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_images_has_the_same_embedding(model: Model, form: str) -> None:
    expected = model.method.encode(model.preprocess(GREY))
    torch.testing.assert_close(model.encode(FORMS[form]()), expected, rtol=1e-4, atol=1e-5)


def test_paths_and_single_images_are_taken_too(model: Model, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, image in zip(paths, as_pil(GREY), strict=True):
        image.save(path)
    expected = model.encode(GREY)
    torch.testing.assert_close(model.encode(paths), expected)
    torch.testing.assert_close(model.encode(str(paths[1])), expected[1:2])
    torch.testing.assert_close(model.encode(as_pil(GREY)[2]), expected[2:])


def test_float_tensors_are_taken_as_the_encoder_takes_them(colour: Model) -> None:
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(colour.prepare(x), x)
    assert torch.equal(colour.encode(x), colour.method.encode(x))
    larger = torch.randn(1, 3, 24, 24)
    assert colour.encode(larger, tokens=True).shape == (1, 36, 32)


def test_pixels_are_prepared_by_the_stored_settings(colour: Model) -> None:
    image = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    expected = image.float() / 127.5 - 1  # mean and deviation of one half
    torch.testing.assert_close(colour.prepare(image), expected, rtol=1e-5, atol=1e-5)
    assert colour.prepare(torch.zeros(1, 3, 40, 20, dtype=torch.uint8)).shape == (1, 3, 16, 16)
    assert colour.prepare([Image.new("RGB", (50, 30)), Image.new("L", (7, 9))]).shape == (2, 3, 16, 16)


def test_a_large_set_is_encoded_in_parts_and_whole(model: Model) -> None:
    images = Digits().images[:600]
    z = model.encode(images)
    assert z.shape == (600, 16)
    torch.testing.assert_close(z[500:503], model.encode(images[500:503]), rtol=1e-4, atol=1e-5)


def test_tokens_average_to_the_pooled_embedding(colour: Model) -> None:
    tokens = colour.encode(torch.randn(2, 3, 16, 16), tokens=True)
    assert tokens.shape == (2, 16, 32)
    x = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(colour.encode(x, tokens=True).mean(dim=1), colour.encode(x))
    assert not tokens.requires_grad


def test_energy_is_one_number_an_image_in_any_form(colour: Model) -> None:
    image = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8)
    energy = colour.energy(image)
    assert energy.shape == (3,)
    torch.testing.assert_close(energy, colour.method.energy(colour.prepare(image)))
    with pytest.raises(UserError, match="has no predictor"):
        Model(build("vicreg").eval(), {}).energy(image)


def test_energy_of_another_image_size_is_refused(colour: Model) -> None:
    with pytest.raises(UserError, match="energy takes inputs of 16x16, as in training, got 32x16"):
        colour.energy(torch.zeros(1, 3, 32, 16))


def test_every_other_name_is_the_method_s(colour: Model) -> None:
    assert colour.config is colour.method.config
    assert colour.config == CONFIGS["ijepa_sigreg"]
    assert colour.encoder.embedding_dim == 32
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = colour.no_such_name


def test_a_model_can_be_copied_and_pickled(model: Model) -> None:
    for other in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other.encode(GREY), model.encode(GREY))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([], "the given sequence is empty"),
        (["no-such-file.png"], "'no-such-file.png' cannot be read: No such file or directory"),
        ([3.5], "Images are paths, PIL images, uint8 arrays or float tensors, got float"),
        (np.zeros((2, 8, 8)), "must be uint8 in [0, 255], not torch.float64"),
        (torch.zeros(8, 8, dtype=torch.uint8), "must be (b, h, w), (b, c, h, w) or (b, h, w, c), not (8, 8)"),
        (torch.zeros(3, 8, 8), "Prepared images are (b, 1, h, w), got a tensor of (3, 8, 8)"),
        (torch.zeros(1, 3, 8, 8), "Prepared images are (b, 1, h, w), got a tensor of (1, 3, 8, 8)"),
    ],
)
def test_what_is_no_image_is_one_sentence(model: Model, images: Any, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        model.encode(images)
    assert sentence in str(error.value)


def test_a_broken_file_is_named(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    as_pil(GREY)[0].resize((64, 64)).save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"broken\.png: cannot be decoded"):
        model.encode([path])
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UserError, match=r"text\.png: no image that can be opened"):
        model.encode(tmp_path / "text.png")


def test_an_image_that_the_patch_does_not_divide_is_one_sentence(colour: Model) -> None:
    with pytest.raises(UserError, match="do not divide images of 18x16"):
        colour.encode(torch.zeros(1, 3, 18, 16))
