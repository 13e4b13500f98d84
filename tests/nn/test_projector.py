import dataclasses
import json

import pytest
import torch
from torch import nn

from jepakit.nn.batchnorm import BatchNorm
from jepakit.nn.projector import Projector, ProjectorConfig
from jepakit.types import UserError


def test_layers_are_linear_batchnorm_relu_then_linear() -> None:
    layers = list(Projector(8, (16, 12), 4).layers)
    assert [type(layer) for layer in layers] == 2 * [nn.Linear, BatchNorm, nn.ReLU] + [nn.Linear]
    assert [(layer.in_features, layer.out_features) for layer in layers[::3]] == [(8, 16), (16, 12), (12, 4)]
    assert [layer.bias is not None for layer in layers[::3]] == [False, False, True]


def test_without_batchnorm_every_linear_has_its_bias() -> None:
    projector = Projector(8, (16,), 4, has_batchnorm=False)
    assert not any(isinstance(module, BatchNorm) for module in projector.modules())
    assert all(layer.bias is not None for layer in projector.layers if isinstance(layer, nn.Linear))


def test_no_hidden_layer_is_one_linear_map() -> None:
    projector = Projector(8, (), 4)
    x = torch.randn(5, 8)
    torch.testing.assert_close(projector(2 * x) - projector(0 * x), 2 * (projector(x) - projector(0 * x)))


def test_leading_axes_are_kept_and_share_statistics() -> None:
    projector = Projector(8, (16,), 4)
    z = torch.randn(6, 3, 8)
    grouped = projector(z)
    assert grouped.shape == (6, 3, 4)
    torch.testing.assert_close(grouped.flatten(0, 1), projector(z.flatten(0, 1)))


def test_hidden_units_are_normalised_over_the_batch() -> None:
    projector = Projector(8, (16,), 4)
    hidden = projector.layers[:2](torch.randn(50, 8) * 7 + 3)
    torch.testing.assert_close(hidden.mean(0), torch.zeros(16), rtol=0, atol=1e-5)
    torch.testing.assert_close(hidden.var(0, correction=0), torch.ones(16), rtol=0, atol=1e-4)


def test_a_config_survives_json_and_builds_what_it_says() -> None:
    config = ProjectorConfig(in_dim=8, hidden_dims=(16,), out_dim=4, has_batchnorm=False)
    stored = json.loads(json.dumps(dataclasses.asdict(config)))
    again = ProjectorConfig(**{**stored, "hidden_dims": tuple(stored["hidden_dims"])})
    assert again == config
    assert again.build().config == config
    with pytest.raises(UserError, match=r"hidden_dims=\(0,\)"):
        Projector(8, (0,), 4)
