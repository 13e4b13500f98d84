import math

import pytest
import torch

from jepakit.views import PARAMS, Augment, relative

COLUMN = {name: i for i, name in enumerate(PARAMS)}
RULES = Augment(
    image_size=8,
    flip_prob=0.5,
    rotation_degrees=180.0,
    shift_fraction=0.1,
    jitter_prob=0.8,
    gray_prob=0.3,
    blur_prob=0.5,
)


def views(b=50):
    return (RULES.draw(torch.arange(b), 0, view, (16, 16)) for view in range(2))


def to_source(params, u):
    """Map points of a view, from its centre in fractions of its sides, to the source: the definition in view.py."""
    get = {name: params[:, i].double() for name, i in COLUMN.items()}
    y = u[:, 0] * torch.exp(get["log_height"])
    x = u[:, 1] * torch.exp(get["log_width"]) * (1 - 2 * get["flip"])
    angle = math.pi * get["rotation"]
    return torch.stack(
        (
            get["cy"] + torch.cos(angle) * y + torch.sin(angle) * x,
            get["cx"] + torch.cos(angle) * x - torch.sin(angle) * y,
        ),
        dim=1,
    )


def from_source(params, point):
    """Invert `to_source` by solving for its matrix, found by mapping unit vectors."""
    b = params.shape[0]
    zero = to_source(params, torch.zeros(b, 2).double())
    columns = [to_source(params, torch.eye(2)[i].expand(b, 2).double()) - zero for i in range(2)]
    return torch.linalg.solve(torch.stack(columns, dim=2), point - zero)


def test_equal_views_give_zeros():
    params, _ = views()
    assert (relative(params, params) == 0).all()


def test_from_the_whole_source_a_view_is_itself():
    params, _ = views()
    told = relative(torch.zeros_like(params), params)
    torch.testing.assert_close(told, params, rtol=0, atol=1e-6)


def test_centre_is_where_the_first_view_sees_the_second():
    a, b = views()
    seen = from_source(a, to_source(b, torch.zeros(50, 2).double()))
    told = relative(a, b)[:, [COLUMN["cy"], COLUMN["cx"]]]
    torch.testing.assert_close(told.double(), seen, rtol=1e-4, atol=1e-5)


def test_rotation_and_flip_are_those_between_square_views_of_one_size():
    a, b = views()
    for params in (a, b):
        params[:, COLUMN["log_height"]] = params[:, COLUMN["log_width"]] = 0.0
    told = relative(a, b)
    u = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)).double() - 0.5
    torch.testing.assert_close(from_source(a, to_source(b, u)), to_source(told, u), rtol=1e-4, atol=1e-5)


def test_closed_form_of_a_quadrant():
    whole, quadrant = torch.zeros(1, len(PARAMS)), torch.zeros(1, len(PARAMS))
    for name, value in (("cy", 0.25), ("cx", -0.25), ("log_height", math.log(0.5)), ("log_width", math.log(0.5))):
        quadrant[:, COLUMN[name]] = value
    told = relative(quadrant, whole)[0]
    assert told[COLUMN["cy"]] == pytest.approx(-0.5)
    assert told[COLUMN["cx"]] == pytest.approx(0.5)
    assert told[COLUMN["log_height"]] == pytest.approx(math.log(2))


@pytest.mark.parametrize(("name", "first", "second", "expected"), [
    ("flip", 1.0, 0.0, 1.0),
    ("flip", 1.0, 1.0, 0.0),
    ("rotation", 0.9, -0.9, 0.2),  # the shorter way round
    ("hue", 0.4, -0.4, 0.2),
    ("log_brightness", math.log(0.5), math.log(0.75), math.log(1.5)),
    ("gray", 1.0, 0.0, -1.0),
    ("blur", 0.5, 2.0, 1.5),
    ("solarize", 0.0, 1.0, 1.0),
])  # fmt: skip
def test_closed_forms_of_single_parameters(name, first, second, expected):
    a, b = torch.zeros(1, len(PARAMS)), torch.zeros(1, len(PARAMS))
    a[:, COLUMN[name]], b[:, COLUMN[name]] = first, second
    told = relative(a, b)[0]
    assert told[COLUMN[name]] == pytest.approx(expected, abs=1e-6)
    assert (told.abs() > 1e-6).sum() == (expected != 0)
