import dataclasses
import json

import pytest
import torch
from torch import nn

from jepakit.nn.convnet import ConvNet, ConvNetConfig
from jepakit.nn.stem import cosine_filters
from jepakit.types import UserError


def small() -> ConvNet:
    return ConvNet(stem_width=8, widths=(8, 12, 16), pools=(True, False, True))


def test_tokens_are_the_places_of_the_last_map_row_by_row() -> None:
    model = small().eval()
    assert model.embedding_dim == 16
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 16, 16)
    assert model(torch.zeros(2, 3, 24, 32)).shape == (2, 12, 16)
    x = torch.zeros(1, 3, 64, 64)
    x[..., :8, -8:] = 5.0  # top right
    moved = (model(x) - model(torch.zeros_like(x))).norm(dim=-1)[0] > 0
    tokens = moved.nonzero()[:, 0].tolist()
    assert tokens, "the token of the changed place must move"
    assert all(token // 8 <= 2 and token % 8 >= 5 for token in tokens), "and only its neighbours with it"


def test_it_computes_what_its_layers_say() -> None:
    model = small().eval()
    x = torch.randn(2, 3, 16, 16)
    expected = x
    for unit, pool in zip((model.stem, *model.units), (False, True, False, True), strict=True):
        weight = unit.get_submodule("conv").get_parameter("weight")
        stride = 2 if weight.shape[-1] == 4 else 1
        expected = nn.functional.conv2d(expected, weight, stride=stride, padding=1)
        expected = nn.functional.max_pool2d(expected, 2) if pool else expected
        expected = nn.functional.gelu(expected / (1 + 1e-5) ** 0.5)  # BatchNorm with its first running statistics
    torch.testing.assert_close(model(x), expected.flatten(2).mT, rtol=1e-4, atol=1e-5)


def test_the_stem_begins_as_cosines_of_both_signs() -> None:
    filters = cosine_filters(3, 4, 4)
    weight = small().stem.get_submodule("conv").get_parameter("weight")
    torch.testing.assert_close(weight[:4], filters[:4])
    torch.testing.assert_close(weight[4:], -filters[:4])
    gray = ConvNet(stem_width=40, widths=(8,), pools=(False,), in_channels=1)
    assert gray(torch.randn(1, 1, 8, 8)).isfinite().all()  # more filters than cosines: the rest is random


def test_hiding_patches_is_refused() -> None:
    with pytest.raises(UserError, match="ConvNet mixes neighbouring patches"):
        small()(torch.zeros(1, 3, 32, 32), torch.tensor([[0]]))


def test_the_config_survives_json_and_builds_what_it_says() -> None:
    config = ConvNetConfig(stem_width=8, widths=(8, 16), pools=(True, False))
    stored = json.loads(json.dumps(dataclasses.asdict(config)))
    assert ConvNetConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}) == config
    assert config.build().config == config
    for widths, pools in (((), ()), ((8, 16), (True,))):
        with pytest.raises(UserError, match="a pool \\(or none\\) after each"):
            ConvNetConfig(widths=widths, pools=pools)


def test_images_of_which_nothing_would_be_left_are_refused_in_one_sentence() -> None:
    net = ConvNetConfig(stem_width=8, widths=(8, 8), pools=(True, True), in_channels=1).build()
    assert net(torch.zeros(2, 1, 8, 9)).shape == (2, 1, 8)
    with pytest.raises(UserError, match="needs 8 pixels a side .* got 16x7"):
        net(torch.zeros(2, 1, 16, 7))
