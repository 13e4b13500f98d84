import builtins
import importlib.util

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    ConvNextConfig,
    ConvNextModel,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    IJepaConfig,
    IJepaModel,
    ViTConfig,
    ViTModel,
)

from jepakit.nn.adapters import adapt, timm_encoder
from jepakit.nn.schedules import Constant
from jepakit.nn.target import EMATarget, FrozenTarget
from jepakit.types import UserError

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 4,
}
TINY_DINO = {k: v for k, v in TINY.items() if k != "intermediate_size"}


def timm_importable() -> bool:
    if importlib.util.find_spec("timm") is None:
        return False
    try:
        import timm  # noqa: F401
    except (ImportError, RuntimeError):  # a torchvision that does not fit the installed torch
        return False
    return True


class TimmLike(nn.Module):
    """A stand-in with timm's interface: forward gives logits, forward_features tokens with a class and a register."""

    num_features = 8
    num_prefix_tokens = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.prefix = nn.Parameter(torch.zeros(1, 2, 8))

    def forward_features(self, x: Tensor) -> Tensor:
        return torch.cat((self.prefix.expand(x.shape[0], -1, -1), self.conv(x).flatten(2).mT), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the classifier must not be called")


class TimmSwinLike(TimmLike):
    """timm's hierarchical transformers give maps with channels last and say so."""

    output_fmt = "NHWC"

    def forward_features(self, x: Tensor) -> Tensor:
        return self.conv(x).permute(0, 2, 3, 1)


@pytest.mark.parametrize(
    ("model", "num_prefix"),
    [
        (ViTModel(ViTConfig(**TINY), add_pooling_layer=False), 1),
        (Dinov2Model(Dinov2Config(**TINY_DINO)), 1),
        (Dinov2WithRegistersModel(Dinov2WithRegistersConfig(num_register_tokens=3, **TINY_DINO)), 4),
        (IJepaModel(IJepaConfig(**TINY), add_pooling_layer=False), 0),
    ],
    ids=["vit", "dinov2", "dinov2-registers", "ijepa"],
)
def test_hugging_face_models_lose_their_class_and_register_tokens(model: nn.Module, num_prefix: int) -> None:
    model = model.eval()
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        all_tokens = model(x).last_hidden_state
        encoder, keeper = adapt(model), adapt(model, keep_prefix=True)
        assert encoder.embedding_dim == 16
        assert encoder(x).shape == (2, 16, 16)
        assert torch.equal(encoder(x), all_tokens[:, num_prefix:])
        assert torch.equal(keeper(x), all_tokens)


def test_other_image_sizes_reach_hugging_face_through_named_arguments() -> None:
    encoder = adapt(ViTModel(ViTConfig(**TINY), add_pooling_layer=False), arguments={"interpolate_pos_encoding": True})
    assert encoder(torch.randn(1, 3, 24, 16)).shape == (1, 24, 16)


def test_hugging_face_feature_maps_become_tokens() -> None:
    model = ConvNextModel(ConvNextConfig(hidden_sizes=[4, 8, 12, 16], depths=[1, 1, 1, 1])).eval()
    encoder = adapt(model)
    x = torch.randn(2, 3, 64, 96)
    assert encoder.embedding_dim == 16
    assert torch.equal(encoder(x), model(x).last_hidden_state.flatten(2).mT)


def test_models_with_timms_interface_give_their_patch_tokens() -> None:
    x = torch.randn(2, 3, 16, 16)
    for model, num_all in ((TimmLike(), 18), (TimmSwinLike(), 16)):
        encoder = adapt(model)
        assert encoder.embedding_dim == 8
        torch.testing.assert_close(encoder(x), model.conv(x).flatten(2).mT)
        assert adapt(model, keep_prefix=True)(x).shape == (2, num_all, 8)


def test_vectors_tokens_and_maps_of_plain_modules() -> None:
    x = torch.randn(2, 3, 8, 8)
    vector = adapt(nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), embedding_dim=5)
    assert torch.equal(vector(x)[:, 0], vector.module(x))
    tokens = adapt(nn.Flatten(2), embedding_dim=64)
    assert torch.equal(tokens(x), x.flatten(2))
    assert torch.equal(adapt(nn.Flatten(2), embedding_dim=64, num_prefix_tokens=1)(x), x.flatten(2)[:, 1:])
    assert torch.equal(adapt(nn.Identity(), embedding_dim=3)(x), x.flatten(2).mT)
    last = adapt(nn.Identity(), embedding_dim=8, channels_last=True)
    assert torch.equal(last(x), x.flatten(1, 2))


def test_an_adapted_backbone_trains_and_serves_as_a_target() -> None:
    encoder = adapt(TimmLike())
    x = torch.randn(2, 3, 16, 16)
    for target in (EMATarget(encoder, Constant(value=0.5)), FrozenTarget(encoder)):
        assert not target(x).requires_grad
        target.after_step(0)
    encoder(x).sum().backward()
    assert encoder.module.conv.weight.grad is not None


def test_mistakes_get_one_clear_sentence() -> None:
    x = torch.randn(2, 3, 8, 8)
    with pytest.raises(UserError, match="cannot tell the width of Flatten"):
        adapt(nn.Flatten())
    with pytest.raises(UserError, match="embedding_dim=7"):
        adapt(nn.Identity(), embedding_dim=7)(x)
    with pytest.raises(UserError, match="returned a tuple"):
        adapt(Pair(), embedding_dim=3)(x)
    with pytest.raises(UserError, match="of shape"):
        adapt(nn.Unflatten(1, (1, 3)), embedding_dim=3)(x)
    with pytest.raises(UserError, match="cannot encode a part"):
        adapt(TimmLike())(x, torch.tensor([[0], [1]]))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


@pytest.mark.parametrize("error", [ImportError("No module named 'timm'"), RuntimeError("operator torchvision::nms")])
def test_a_timm_that_cannot_be_imported_is_explained(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    real_import = builtins.__import__

    def broken_import(name: str, *arguments: object, **named: object) -> object:
        if name == "timm":
            raise error
        return real_import(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", broken_import)
    with pytest.raises(UserError, match=r"timm cannot be imported .* pip install 'jepakit\[timm\]'"):
        timm_encoder("resnet18")


@pytest.mark.skipif(not timm_importable(), reason="timm not importable")
def test_real_timm_models() -> None:
    x = torch.randn(1, 3, 64, 64)
    vit = timm_encoder("vit_tiny_patch16_224", arguments={"img_size": 64})
    assert vit(x).shape == (1, 16, 192)
    assert timm_encoder("resnet18")(x).shape == (1, 4, 512)
    with pytest.raises(UserError, match="no model named"):
        timm_encoder("resnet_of_nobody")
