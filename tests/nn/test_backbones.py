"""Backbones of others can stand in a configuration: they train, are written down, and come back as they were."""

import inspect
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from small_methods import CONFIGS, batch
from torch import Tensor, nn

from jepakit.hub import load
from jepakit.methods import VICRegConfig
from jepakit.methods.agree import settle
from jepakit.nn import AdaptedEncoder, BackboneConfig, BatchNorm, HuggingFaceConfig, TimmConfig, adapt
from jepakit.storage import config_from_dict, config_to_dict
from jepakit.types import UserError

DINO = {
    "model_type": "dinov2",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 16,
    "patch_size": 4,
}


@dataclass(frozen=True, kw_only=True)
class MineConfig(BackboneConfig):
    width: int = 5

    def build(self) -> AdaptedEncoder:
        return adapt(
            nn.Sequential(nn.Conv2d(self.in_channels, self.width, 4, 4), nn.BatchNorm2d(self.width)), self.width
        )


class TimmLike(nn.Module):
    num_features = 6

    def __init__(self, in_chans: int, width: int):
        super().__init__()
        self.conv = nn.Conv2d(in_chans, width, 4, 4)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.conv(x)


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in: Any = ModuleType("timm")
    stand_in.is_model = lambda name: name == "tiny"
    stand_in.create_model = lambda name, pretrained, num_classes, in_chans, width: TimmLike(in_chans, width)
    monkeypatch.setitem(sys.modules, "timm", stand_in)


ENCODERS = [HuggingFaceConfig(config=DINO), TimmConfig(name="tiny", arguments={"width": 6}), MineConfig(width=7)]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: type(encoder).__name__)
@pytest.mark.usefixtures("timm")
def test_a_method_with_it_trains_and_comes_back_as_it_was(encoder: Any, tmp_path: Path) -> None:
    config: VICRegConfig = replace(CONFIGS["vicreg"], encoder=encoder)
    assert config_from_dict(VICRegConfig, config_to_dict(config)) == config
    method: Any = config.build(seed=1, num_steps=3)
    method(batch(), 0).loss.backward()
    assert any(p.grad.abs().sum() > 0 for p in method.encoder.parameters() if p.grad is not None)
    method.save_pretrained(tmp_path)
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(load(tmp_path).encode(x), method.eval().encode(x))


def test_weights_are_drawn_from_the_seed() -> None:
    first, again, other = (replace(CONFIGS["vicreg"], encoder=ENCODERS[0]).build(seed, 1) for seed in (1, 1, 2))
    weights = [next(method.encoder.parameters()) for method in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_an_adapted_backbone_is_exact_over_processes() -> None:
    assert isinstance(MineConfig().build().module[1], BatchNorm)


@dataclass(frozen=True, kw_only=True)
class Unknown:
    in_channels: int = 3


def test_what_could_not_be_loaded_again_is_refused_before_training() -> None:
    with pytest.raises(UserError, match="type Unknown cannot be written down .* subclass of jepakit.nn.BackboneConfig"):
        inspect.unwrap(settle)(CONFIGS["vicreg"], Unknown(), CONFIGS["vicreg"].preprocess)
    stored = config_to_dict(CONFIGS["vicreg"]) | {"encoder": {"class": "Elsewhere"}}
    with pytest.raises(UserError, match="'Elsewhere' does not fit here .* import the module that defines it"):
        config_from_dict(VICRegConfig, stored)
    with pytest.raises(UserError, match="no model of model_type 'dinov9'"):
        HuggingFaceConfig(config={"model_type": "dinov9"}).build()
