import dataclasses
import json

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn
from transformers import ResNetConfig as TheirConfig
from transformers import ResNetModel

from jepakit.nn.batchnorm import BatchNorm
from jepakit.nn.resnet import BasicBlock, ResNet, ResNet9, ResNet9Config, ResNetConfig
from jepakit.types import UserError


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_parameter_counts_are_torchvisions_without_the_classifier() -> None:
    with torch.device("meta"):
        assert count(ResNet(stem="standard")) == 11_689_512 - 512 * 1000 - 1000 == 11_176_512
        assert count(ResNet((3, 4, 6, 3), stem="standard")) == 21_797_672 - 512 * 1000 - 1000
        assert count(ResNet(stem="small")) == 11_176_512 - 64 * 3 * 7 * 7 + 64 * 3 * 3 * 3


@pytest.mark.parametrize(("stem", "size", "n"), [("small", 32, 16), ("standard", 64, 4)])
def test_tokens_are_the_places_of_the_last_map(stem: str, size: int, n: int) -> None:
    model = ResNet(width=8, stem=stem)
    assert model.embedding_dim == 64
    assert model(torch.randn(2, 3, size, size)).shape == (2, n, 64)
    assert model(torch.randn(2, 3, size, 2 * size)).shape == (2, 2 * n, 64)


def test_tokens_equal_hugging_faces_resnet() -> None:
    torch.manual_seed(0)
    config = TheirConfig(embedding_size=8, hidden_sizes=[8, 16, 32, 64], depths=[2, 2, 2, 2], layer_type="basic")
    theirs = ResNetModel(config).eval()
    with torch.no_grad():
        for tensor in theirs.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) * 0.2 + 0.1)
    ours = ResNet(width=8, stem="standard").eval()
    names = [k for k in ours.state_dict() if "downsample" not in k], [k for k in ours.state_dict() if "downsample" in k]
    state = theirs.state_dict()
    their_names = [k for k in state if "shortcut" not in k], [k for k in state if "shortcut" in k]
    for our_half, their_half in zip(names, their_names, strict=True):
        for ours_key, theirs_key in zip(our_half, their_half, strict=True):
            ours.state_dict()[ours_key].copy_(state[theirs_key])
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = theirs(x).last_hidden_state
        torch.testing.assert_close(ours(x), expected.flatten(2).mT, rtol=1e-4, atol=1e-4)


def test_the_mean_over_tokens_is_global_average_pooling() -> None:
    model = ResNet9(width=8).eval()
    x = torch.randn(2, 3, 32, 32)
    tokens = model(x)
    assert tokens.shape == (2, 16, 64)
    assert model.embedding_dim == 64
    as_map = tokens.mT.unflatten(2, (4, 4))
    torch.testing.assert_close(tokens.mean(1), nn.functional.adaptive_avg_pool2d(as_map, 1).flatten(1))


def test_tokens_are_counted_row_by_row() -> None:
    model = ResNet9(width=4).eval()
    x = torch.zeros(1, 3, 64, 64)
    x[..., :4, -4:] = 10.0  # top right
    moved = (model(x) - model(torch.zeros_like(x))).norm(dim=-1)[0]
    assert int(moved.argmax()) in (6, 7)


def num_zero_scales(model: nn.Module) -> int:
    return sum(not m.weight.any() for m in model.modules() if isinstance(m, BatchNorm))


def test_zero_init_makes_each_residual_the_identity() -> None:
    assert num_zero_scales(ResNet(width=8)) == 8
    assert num_zero_scales(ResNet9(width=8)) == 2
    assert num_zero_scales(ResNet(width=8, zero_init_residual=False)) == 0
    assert num_zero_scales(ResNet9(width=8, zero_init_residual=False)) == 0
    block = BasicBlock(4, 4)
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(2, 4, 5, 5)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("model", [ResNet(width=8), ResNet9(width=8)], ids=["resnet18", "resnet9"])
def test_channels_last_gives_the_same_tokens_and_stays_so(model: nn.Module) -> None:
    model = model.eval()
    x = torch.randn(2, 3, 32, 32)
    plain = model(x)
    last = model.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, plain, atol=1e-4, rtol=1e-4)
    assert last.is_contiguous()  # (b, n, d) of a channels-last map needs no copy


@pytest.mark.parametrize("model", [ResNet(width=8), ResNet9(width=8)], ids=["resnet18", "resnet9"])
def test_hiding_patches_from_a_convolution_is_refused(model: nn.Module) -> None:
    with pytest.raises(UserError, match="context_idx"):
        model(torch.zeros(1, 3, 32, 32), torch.tensor([[0]]))


def test_configs_survive_json_and_build_what_they_say() -> None:
    config = ResNetConfig(num_blocks=(1, 2), width=8, stem="standard")
    stored = json.loads(json.dumps(dataclasses.asdict(config)))
    assert ResNetConfig(**stored | {"num_blocks": tuple(stored["num_blocks"])}) == config
    assert config.build().config == config
    assert ResNet9Config(width=8).build().config == ResNet9Config(width=8)
    with pytest.raises((UserError, TypeCheckError), match=r"small'?, '?standard"):
        ResNet(stem="tiny")
    with pytest.raises(UserError, match="needs a block"):
        ResNet(num_blocks=(2, 0))
